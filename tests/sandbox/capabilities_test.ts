/** The probe against an `unshare` that is missing, fails, hangs, or succeeds without isolating. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import { SystemCallError } from "../../src/linux/libc.ts";
import { canEnter } from "../../src/sandbox/linux/executables.ts";
import { makeLinuxPlan } from "../../src/sandbox/linux/plan.ts";
import {
  type Capabilities,
  MEANS,
  probeBy,
  probeCapabilities,
  type ProbeMeans,
} from "../../src/sandbox/linux/capabilities.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";
import { HANG_MS, settled } from "../support/patience.ts";
import { notOn } from "../support/systems.ts";

const linuxOnly = { ignore: notOn("linux") };

async function probeWith(
  unshare: string | null,
  timeoutMs: number,
  more: Partial<ProbeMeans> = {},
): Promise<Capabilities> {
  const folder = await Deno.makeTempDir();
  try {
    if (unshare !== null) {
      await Deno.writeTextFile(`${folder}/unshare`, `#!/bin/sh\n${unshare}\n`);
      await Deno.chmod(`${folder}/unshare`, 0o755);
    }
    return await settled(
      probeBy({ ...MEANS, toolFolders: [folder], timeoutMs, ...more }),
      "the end of the probe",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Skips the options of unshare and runs what follows "--", as a stub would that does nothing. */
const RUN_THE_REST = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"';

const STUBS: [string, string | null, RegExp][] = [
  ["missing", null, /was not found/],
  ["failing", "echo 'unshare failed: Operation not permitted' >&2; exit 1", /not permitted/],
  ["exit 0 without running anything", "exit 0", /did not run its program/],
  ["exit 0 without isolating", RUN_THE_REST, /did not isolate/],
  [
    "isolating only in part",
    `exec /usr/bin/unshare $([ $(id -u) = 0 ] || echo -r) --uts -- sh -c '${RUN_THE_REST}' sh "$@"`,
    /did not isolate/,
  ],
];

for (const [name, script, reason] of STUBS) {
  Deno.test({
    name: `unshare ${name}: namespaces are not believed in`,
    ...linuxOnly,
    async fn() {
      const caps = await probeWith(script, HANG_MS);
      assert.equal(caps.namespaces.usable, false);
      assert.match(caps.namespaces.reason, reason);
      const target = runnerTarget(
        { deno: "/bin/true", runner: "/r", libDir: "/d" },
        "/m",
      );
      const strict = "strict";
      assert.throws(
        () => makeLinuxPlan(target, { ...caps, landlockAbi: 0, landlockReason: "ENOSYS" }, strict),
        {
          code: "sandbox-unavailable",
        },
      );
      assert.equal(makeLinuxPlan(target, { ...caps, landlockAbi: 5 }, strict).level, "reduced");
    },
  });
}

for (const script of ["exec sleep 600", "sleep 5 & wait"]) {
  Deno.test({
    name: `unshare that hangs (${script}) is an error, not a machine without namespaces`,
    ...linuxOnly,
    async fn() {
      await assert.rejects(probeWith(script, 300), {
        code: "sandbox-unavailable",
        message: /did not end within 300 ms/,
      });
    },
  });
}

/** What a machine says that is full or busy: each once made a weaker plan, or might have. */
const PASSING: [string, string][] = [
  ["no process", "echo 'unshare: fork failed: Resource temporarily unavailable' >&2; exit 1"],
  ["no memory", "echo 'unshare: unshare failed: Cannot allocate memory' >&2; exit 1"],
  ["no descriptor", "echo 'unshare: cannot open /proc/self/ns: Too many open files' >&2; exit 1"],
  ["no namespace left", "echo 'unshare: unshare failed: No space left on device' >&2; exit 1"],
  ["killed, as for want of memory", "kill -9 $$"],
];

for (const [name, script] of PASSING) {
  Deno.test({
    name: `unshare on a loaded machine (${name}) is an error, not a machine without namespaces`,
    ...linuxOnly,
    async fn() {
      await assert.rejects(probeWith(script, HANG_MS), (error) => {
        assert.ok(error instanceof SecLlamaError && error.code === "sandbox-unavailable");
        assert.match(error.hint ?? "", /try again|raise/);
        return true;
      });
    },
  });
}

Deno.test({
  name: "a probe that is slow gives the same capabilities",
  ...linuxOnly,
  async fn() {
    const slowly = await probeWith('sleep 1; exec /usr/bin/unshare "$@"', HANG_MS, {
      enterGroups: async (folders) => {
        await new Promise((resolve) => setTimeout(resolve, 500));
        return await canEnter(folders);
      },
    });
    const { unshare: _, ...rest } = slowly;
    const { unshare: __, ...quickly } = await probeCapabilities();
    assert.deepEqual(rest, quickly);
  },
});

Deno.test({
  name:
    "a cgroup probe whose process cannot be started or is killed is an error, where groups can be made",
  ...linuxOnly,
  async fn(t) {
    const { cgroup } = await probeCapabilities();
    if (cgroup.places.length === 0) {
      console.log(`skipped: a probe that cannot be started: ${cgroup.reason}`);
      return void await t.step({
        name: "where groups can be made",
        ignore: true,
        fn: () => {},
      });
    }
    const failing = () => Promise.reject(new Error("the probe was ended by SIGKILL"));
    await assert.rejects(probeBy({ ...MEANS, enterGroups: failing }), {
      code: "sandbox-unavailable",
    });
    const full = () => Promise.reject(new SystemCallError("make an executable", 24));
    await assert.rejects(probeBy({ ...MEANS, enterGroups: full }), { code: "sandbox-unavailable" });
  },
});

Deno.test({
  name: "the real unshare is looked up by absolute path, never in PATH",
  ...linuxOnly,
  async fn() {
    const caps = await probeBy({ ...MEANS, toolFolders: ["/nowhere"] });
    assert.equal(caps.unshare, undefined);
    assert.equal(caps.namespaces.usable, false);
  },
});
