/**
 * The attack list: every attack works without a sandbox, and in each configuration is refused, or not, as this table says.
 * Hits, changed files and lost processes are counted on the host. A sample of them; with SECLLAMA_FULL=1 all, and with each single layer
 * removed; SECLLAMA_UPDATE_DOCS=1 then rewrites docs/sandbox-matrix.md.
 */
import assert from "node:assert/strict";
import { ATTACKS } from "../../src/escape/attacks/list.ts";
import { whyOut } from "../../src/escape/attacks/bombs.ts";
import { COUNTED } from "../../src/escape/attacks/network.ts";
import { CHANNEL_ATTACKS } from "../../src/escape/channels/list.ts";
import type { Configuration, ConfigurationResult, MatrixResult } from "./matrix_run.ts";
import { renderMatrix } from "./matrix_docs.ts";
import { IDENTITIES, linuxOnly, makeStage, runStaged } from "./stage.ts";

const full = Deno.env.get("SECLLAMA_FULL") === "1" ||
  Deno.env.get("SECLLAMA_UPDATE_DOCS") === "1";

/**
 * A plain run makes every tenth attack, others from each identity, and from one all channels; `doctor` makes all attacks against all
 * layers in every plain run (tests/e2e/doctor_test.ts).
 */
function sampleFor(identity: string): readonly string[] {
  const isFirst = identity === IDENTITIES[0]!.name;
  const attacks = ATTACKS.map(({ name }) => name)
    .filter((_, at) => at % 10 === (isFirst ? 2 : 7));
  return isFirst ? [...attacks, CHANNEL_ATTACKS[0]!] : attacks;
}

const OUTSIDE: Configuration = { name: "no sandbox", without: null, lockdown: false };
const HOLDING: readonly Configuration[] = [
  { name: "all layers", without: [], lockdown: true },
  { name: "no namespaces", without: ["namespaces"], lockdown: true },
];
const REMOVED: readonly Configuration[] = [
  { name: "no private root", without: ["private root"], lockdown: true },
  { name: "no Landlock", without: ["landlock"], lockdown: true },
  { name: "no stage 2", without: [], lockdown: false },
  { name: "no namespaces, no stage 2", without: ["namespaces"], lockdown: false },
  { name: "no private root, no stage 2", without: ["private root"], lockdown: false },
  { name: "no Landlock, no stage 2", without: ["landlock"], lockdown: false },
  { name: "no seccomp", without: ["seccomp"], lockdown: false },
  { name: "no limits", without: ["limits"], lockdown: true },
  { name: "no cgroup", without: ["cgroup"], lockdown: true },
  { name: "no limits, no cgroup", without: ["limits", "cgroup"], lockdown: true },
];

const BEFORE_STAGE_2: readonly string[] = [
  "executable memory",
  "become dumpable",
  // Files can still be opened, mapped and looked at. Between two runners one thing passes until then, when they hold nothing yet:
  // libstdc++ must be able to wake its threads, and only stage 2 knows where files are mapped.
  "futex in a file, another runner",
  "a file is opened (inotify), an ordinary process",
  "times of a file, an ordinary process",
  "page cache: madvise, RWF_NOWAIT, an ordinary process",
  "page cache: pread, RWF_NOWAIT, an ordinary process",
  "who has a page mapped, an ordinary process",
  "futex in a file, an ordinary process",
];

/** What goes between a runner without a filter and whomever. */
const WITHOUT_SECCOMP: readonly string[] = [
  ...[
    "byte-range lock",
    "byte-range lock of an open file",
    "file lock (flock)",
    "a file is opened (inotify)",
    "page cache: fadvise, mincore",
    "page cache: readahead, mincore",
    "page cache: madvise, RWF_NOWAIT",
    "page cache: pread, RWF_NOWAIT",
    "futex in a file",
    "memory of the machine (sysinfo)",
  ].flatMap((name) => [`${name}, another runner`, `${name}, an ordinary process`]),
  "times of a file, an ordinary process",
  "who has a page mapped, an ordinary process",
  "name of a thread, an ordinary process",
  "another process's processors, an ordinary process",
];

/** What besides goes where the runner's user is the operator, who owns the file. */
const WITHOUT_SECCOMP_AS_OWNER: readonly string[] = [
  "lease on a file, an ordinary process",
  "free space of a file system, an ordinary process",
];

/** What gets out in spite of the rest, where a layer is missing: the reason why that layer is there. */
const EXPECTED_OUT: { readonly [configuration: string]: readonly string[] } = {
  "no sandbox": [],
  "all layers": [],
  // After stage 2 nothing is opened or looked at: what these are worth shows before it.
  "no namespaces": [],
  "no private root": [],
  "no Landlock": [],
  // The first filter must leave V8 and the loader their executable memory until the model is loaded.
  "no stage 2": BEFORE_STAGE_2,
  // Landlock has no right for stat, and seccomp cannot see paths.
  "no namespaces, no stage 2": [
    ...BEFORE_STAGE_2,
    "stat outside",
    "learn the host's name",
    "sockets of the network namespace, an ordinary process",
  ],
  // The name is set with the root.
  "no private root, no stage 2": [...BEFORE_STAGE_2, "stat outside", "learn the host's name"],
  "no Landlock, no stage 2": [...BEFORE_STAGE_2, "list the root folder"],
  "no seccomp": [
    "netlink socket",
    "vsock socket",
    "fork",
    "clone3",
    "unshare",
    "nested user namespace",
    "System V shared memory",
    "userfaultfd",
    "keyctl",
    "become dumpable",
    "outlive the gateway",
    "executable memory",
    "int 0x80",
    "exec the loader",
    "exec itself again",
    "fork bomb",
    ...WITHOUT_SECCOMP,
  ],
  // The group counts what is touched, this bomb only maps. Of the others, what the plan of a machine has against them decides.
  "no limits": ["memory bomb"],
  "no cgroup": [],
  "no limits, no cgroup": ["memory bomb"],
};

function assertHolds(
  result: ConfigurationResult,
  { outside, root }: { outside: ConfigurationResult; root: boolean },
): void {
  const out = Object.entries(result.cells).filter(([, c]) => c.verdict === "out").map(([n]) => n);
  const unknown = Object.entries(result.cells).filter(([, c]) =>
    c.verdict === "not run" && !c.absent
  );
  assert.deepEqual(unknown, [], `${result.name}: what was not run`);
  // A layer that is left out and lets nothing more through would not be needed: the sets are equal.
  const unstopped = ATTACKS.map(({ name }) => name)
    .filter((name) => whyOut(name, result.planned) !== undefined);
  const owner = result.name === "no seccomp" && !root ? WITHOUT_SECCOMP_AS_OWNER : [];
  const expected = [...EXPECTED_OUT[result.name]!, ...owner, ...unstopped]
    .filter((name, i, all) => outside.cells[name]?.verdict === "out" && all.indexOf(name) === i);
  assert.deepEqual(out.toSorted(), expected.toSorted(), `${result.name}: what got out`);
  assert.deepEqual(result.changed, [], `${result.name}: files were changed`);
  const hits = Object.entries(result.hits).filter(([, count]) => count > 0);
  assert.deepEqual(hits, [], `${result.name}: listeners were reached`);
  assert.ok(result.inference.before.length > 0, `${result.name}: no inference`);
  assert.equal(
    result.inference.after,
    result.inference.before,
    `${result.name}: inference changed`,
  );
}

/** Attacks that no one can make on this machine, sandbox or not; said, not hidden. */
function impossible(outside: ConfigurationResult, root: boolean): string[] {
  return Object.entries(outside.cells).filter(([, c]) => c.verdict !== "out").map(([name]) => name)
    .filter((name) => root || !ATTACKS.find((a) => a.name === name)?.privileged);
}

/** Depends on the kernel's configuration, not on us. */
const MAY_BE_IMPOSSIBLE = new Set([
  "x32 entry",
  "int 0x80",
  "MPTCP",
  "TCP over IPv6",
  "vsock socket",
  "io_uring connect",
  "userfaultfd",
  "nested user namespace",
  "core dump",
  "bpf",
  "perf_event_open",
  "ptrace another process",
  "process_vm_readv",
  "pidfd_getfd",
  "/proc/PID/mem",
  "extended attribute",
  // Root's threads and pipes are not counted.
  "threads of the user, another runner",
  "threads of the user, an ordinary process",
  "pages in pipes of the user, another runner",
  "pages in pipes of the user, an ordinary process",
]);

const results: MatrixResult[] = [];
for (const identity of IDENTITIES) {
  Deno.test({
    name: `attack list as ${identity.name}`,
    ignore: linuxOnly,
    async fn(t) {
      const stage = await makeStage({ matrix: "tests/sandbox/matrix_run.ts" });
      try {
        const configurations = full
          ? [OUTSIDE, ...HOLDING, ...REMOVED]
          // Root without namespaces is in a container as well, tests/binary/container_test.ts.
          : [OUTSIDE, ...HOLDING].filter((one) => identity.asUser || one !== HOLDING[1])
            .map((one) => ({ ...one, only: sampleFor(identity.name) }));
        const { deno, attacker, libDir, model } = stage;
        const matrix = await runStaged<MatrixResult>(stage, "matrix", [
          { deno, attacker, libDir, model },
          configurations,
        ], identity);
        results.push(matrix);
        const [outside, ...sandboxed] = matrix.configurations;
        await t.step("without a sandbox every attack works", () => {
          const not = impossible(outside!, matrix.uid === 0);
          if (not.length > 0) console.log(`not possible on this machine at all: ${not.join(", ")}`);
          assert.deepEqual(not.filter((name) => !MAY_BE_IMPOSSIBLE.has(name)), []);
          for (const [name, target] of COUNTED) {
            if (outside!.cells[name]?.verdict !== "out") continue;
            assert.ok((outside!.hits[target] ?? 0) > 0, `${name}: its listener counted nothing`);
          }
          const least = full ? 6 : 1;
          assert.ok(outside!.changed.length >= least, `changed: ${outside!.changed.join()}`);
        });
        for (const result of sandboxed) {
          await t.step(`${result.name}: as the table says, and inference works`, () => {
            assertHolds(result, { outside: outside!, root: matrix.uid === 0 });
            if (result.name.endsWith("no stage 2")) {
              assert.ok(result.shortcomings.some((line) => line.startsWith("stage 2")));
            } else if (result.name !== "no seccomp") {
              assert.deepEqual(result.shortcomings, []);
              assert.ok(result.layers.length > 10);
            }
          });
        }
        await t.step("with all layers nothing is missing from outside either", () => {
          const all = sandboxed.find((r) => r.name === "all layers")!;
          assert.equal(all.level, "full", "this machine does not allow all layers");
          for (const { layer, state, observed } of all.layers) {
            if (layer === "user namespace" && matrix.uid === 0) continue; // root gives up its id
            if (layer === "cgroup" && !stage.groups) continue; // said when the stage was made
            assert.equal(state, "enforced", `${layer}: ${observed}`);
          }
        });
        if (!full) {
          console.log(
            "skipped: nine attacks of ten, root without namespaces, and layers removed one by one; set SECLLAMA_FULL=1 to run them",
          );
        }
      } finally {
        await stage.remove();
      }
    },
  });
}

// Not a check but the writer of the page: registered only when it is asked for.
if (Deno.env.get("SECLLAMA_UPDATE_DOCS") === "1") {
  Deno.test("docs/sandbox-matrix.md is written from these results", async () => {
    const path = new URL("../../docs/sandbox-matrix.md", import.meta.url);
    await Deno.writeTextFile(path, renderMatrix(results));
    assert.ok(results.length > 0);
  });
}
