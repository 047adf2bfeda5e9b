/**
 * Every step of the launch, and every option of `unshare`, left out one at a time: no runner starts, or the gateway's measurement
 * says so, or an attack of the list gets out. What is left out without anyone noticing is named here, with the reason. A seeded
 * sample; all of them with SECLLAMA_FULL=1.
 */
import assert from "node:assert/strict";
import { alive, startHost } from "./hosts.ts";
import type { Noticed, Sabotage, SabotageOrder } from "./sabotage_run.ts";
import { sampler } from "../support/sampler.ts";
import { IDENTITIES, linuxOnly, makeStage, runStaged, type Staged } from "./stage.ts";
import { until } from "../support/patience.ts";

const full = Deno.env.get("SECLLAMA_FULL") === "1";
const SAMPLE = 4;
/** A plain run draws the same steps everywhere: what it has not met, it does not meet for the first time on somebody else's machine. */
const FIXED_SEED = 20260401;

/** Steps whose absence is not seen in such a run. `only`: for this kind of run. */
const UNNOTICED: readonly { what: RegExp; index?: number; only?: string; why: string }[] = [
  { what: /^read /, why: "names a file that cannot be read, at which the runner would end" },
  { what: /^landlock rule /, index: 1, why: "grants something: without it the runner may do less" },
  { what: /^getpid$/, why: "puts the own id in the filter: without it the runner may do less" },
  { what: /^limit core$/, why: "the runner sets it again in its first lines, and reports it" },
  { what: /^make mounts private$/, why: "unshare has done that; versions before 2.27 did not" },
  { what: /^PR_SET_PDEATHSIG$/, why: "seen when the gateway is killed, below" },
  {
    what: /^leave the folder$/,
    only: "with a private root",
    why: "the old folder is out of reach",
  },
  {
    what: /^leave the folder$/,
    only: "ordinary, without namespaces",
    why: "no call of stage 2 names a file, and the kernel does not show this user the folder",
  },
  {
    what: /^readlink .*\/user$|gateway's user:/,
    why: "an ordinary user enters no other namespace without it",
  },
  { what: /^umask$/, only: "as ordinary user", why: "the root is owned by who reads it" },
  { what: /^umask$/, only: "without namespaces", why: "nothing is made" },
  {
    what: /^umask$/,
    only: "without a private root",
    why: "nothing is made; see serve_life_test.ts",
  },
  {
    what: /^drop the bounding set$/,
    only: "ordinary, without namespaces",
    why: "it may not be dropped",
  },
  { what: /^capset$/, only: "ordinary, without namespaces", why: "there are none" },
  {
    what: /^set the host name$/,
    why: "no call of stage 2 tells the name; without stage 2 matrix_test.ts sees it",
  },
  { what: /^capset$/, only: "as root", why: "a change of the uid takes them all" },
];

function choose(all: readonly Sabotage[], seed: number): Sabotage[] {
  const next = sampler(seed);
  const left = all.slice(1);
  const chosen = all.slice(0, 1);
  while (chosen.length <= SAMPLE && left.length > 0) {
    chosen.push(...left.splice(next(left.length), 1));
  }
  return chosen;
}

/** With a private root and without. */
const NAMESPACE_WORDS: { readonly [file: string]: readonly string[] } = {
  mnt: ["--mount", "--mount-proc"],
};

/** A check finds something only where there is something to be found. */
function withReason(sabotage: Sabotage): Sabotage {
  const file = /still in the gateway's (\w+):|^readlink .*\/(\w+)$/.exec(sabotage.what);
  const name = file?.[1] ?? file?.[2];
  // Without a user or mount namespace nothing later can be done, and without --mount-proc there is no pid namespace's /proc.
  if (name === undefined || name === "user") return sabotage;
  return { ...sabotage, alsoWords: NAMESPACE_WORDS[name] ?? [`--${name}`] };
}

/** Whether the absence of a step is not seen in such a run: it is not left out, as nothing could be judged by it. */
function isExcused(sabotage: Sabotage, run: readonly string[]): boolean {
  return sabotage.table !== "nothing" &&
    UNNOTICED.some(({ what, index, only }) =>
      what.test(sabotage.what) && (index === undefined || index <= sabotage.index) &&
      (only === undefined || run.includes(only))
    );
}

/** What is wrong with one result, or null. `unaltered`: the same run with nothing left out, in which less may be enforced. */
function judgeNoticed(noticed: Noticed, unaltered: Noticed): string | null {
  const { sabotage, refused, measured } = noticed;
  const attacks = noticed.attacks.filter((name) => !unaltered.attacks.includes(name));
  const seen = refused !== "" || measured.length > 0 || attacks.length > 0;
  const label = `${sabotage.table}: ${sabotage.what || "nothing"} (${sabotage.index})`;
  if (sabotage.table === "nothing") {
    return seen ? `unaltered, yet: ${refused || measured.join("; ")}` : null;
  }
  return seen ? null : `${label}: left out, and nothing noticed it`;
}

async function sabotage(
  stage: Staged,
  without: SabotageOrder["without"],
  asUser: boolean,
  run: readonly string[],
): Promise<void> {
  const { deno, attacker, libDir, model } = stage;
  const order = { stage: { deno, attacker, libDir, model }, without };
  const all = await runStaged<Sabotage[]>(stage, "sabotage", { ...order, sabotages: null }, {
    asUser,
  });
  const judged = all.filter((one) => !isExcused(one, run));
  const seed = full ? crypto.getRandomValues(new Uint32Array(1))[0]! : FIXED_SEED;
  const chosen = (full ? judged : choose(judged, seed)).map(withReason);
  console.log(
    `${chosen.length - 1} of ${judged.length - 1} left out one by one, seed ${seed}; of ${
      all.length - judged.length
    } more the absence is not seen`,
  );
  const results = await runStaged<Noticed[]>(stage, "sabotage", { ...order, sabotages: chosen }, {
    asUser,
  });
  assert.equal(results.length, chosen.length);
  const problems = results.map((noticed) => judgeNoticed(noticed, results[0]!))
    .filter((problem) => problem !== null);
  assert.equal(chosen[0]!.table, "nothing");
  assert.deepEqual(problems, []);
}

if (!full) {
  console.log(
    `skipped: all but ${SAMPLE} steps, and as root without namespaces; set SECLLAMA_FULL=1`,
  );
}
for (const identity of IDENTITIES) {
  const root = identity.name === "root";
  Deno.test({
    name: `each step of the launch is needed, as ${identity.name}`,
    ignore: linuxOnly,
    async fn(t) {
      const stage = await makeStage({ sabotage: "tests/sandbox/sabotage_run.ts" });
      try {
        // Root's steps that build the root would change the host's tree if one before them were missing.
        const [layers, without]: [string, SabotageOrder["without"]] = root
          ? ["with all layers but the private root", ["private root"]]
          : ["with all layers", []];
        await t.step(layers, () =>
          sabotage(stage, without, identity.asUser, [
            root ? "without a private root" : "with a private root",
            `as ${identity.name}`,
          ]));
        await t.step({
          name: "without namespaces",
          ignore: root && !full,
          fn: () =>
            sabotage(stage, ["namespaces"], identity.asUser, [
              "without namespaces",
              `as ${identity.name}`,
              ...(root ? [] : ["ordinary, without namespaces"]),
            ]),
        });
      } finally {
        await stage.remove();
      }
    },
  });

  // Who ends when the gateway is killed, with the step and without it: `unshare` with all of it, or the runner alone.
  const CASES = [
    { table: "starter", withoutNamespaces: false, survivor: "child" },
    ...(root
      ? [
        { table: "launcher", withoutNamespaces: false, survivor: "runner" },
        ...(full
          ? [{ table: "launcher", withoutNamespaces: true, survivor: "runner" }] as const
          : []),
      ] as const
      : []),
  ] as const;
  for (const { table, withoutNamespaces, survivor } of CASES) {
    const where = withoutNamespaces ? "without namespaces" : "with all layers";
    Deno.test({
      name:
        `without the ${table}'s PR_SET_PDEATHSIG something outlives the gateway, ${where}, as ${identity.name}`,
      ignore: linuxOnly,
      async fn() {
        const stage = await makeStage({ host: "tests/sandbox/host.ts" });
        try {
          const { host, answer } = await startHost(stage, {
            withoutNamespaces,
            stub: null,
            sabotage: { table, what: "PR_SET_PDEATHSIG" },
          }, identity.asUser);
          assert.ok("runner" in answer, JSON.stringify(answer));
          // Stopped, it cannot see the end of its input and end by itself; SIGKILL ends it all the same.
          Deno.kill(answer.runner, "SIGSTOP");
          host.kill("SIGKILL");
          await host.status;
          const pid = answer[survivor];
          await new Promise((resolve) => setTimeout(resolve, 500));
          assert.ok(alive(pid), "it ended all the same: the step would not be needed");
          for (const left of [answer.child, answer.runner]) {
            if (alive(left)) Deno.kill(left, "SIGKILL");
          }
          await until(() => !alive(answer.runner) && !alive(answer.child), "both are gone");
        } finally {
          await stage.remove();
        }
      },
    });
  }
}
