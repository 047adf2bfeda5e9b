/** The probe against an `unshare` that is missing, fails, hangs, or succeeds without isolating. */
import assert from "node:assert/strict";
import { makeLinuxPlan } from "../../src/sandbox/linux/plan.ts";
import { type Capabilities, probeCapabilities } from "../../src/sandbox/linux/capabilities.ts";
import { runnerTarget } from "../../src/supervisor/isolation.ts";
import { HANG_MS, settled } from "../support/patience.ts";

const linuxOnly = { ignore: Deno.build.os !== "linux" };

async function probeWith(
  unshare: string | null,
  timeoutMs: number,
): Promise<Capabilities> {
  const folder = await Deno.makeTempDir();
  try {
    if (unshare !== null) {
      await Deno.writeTextFile(`${folder}/unshare`, `#!/bin/sh\n${unshare}\n`);
      await Deno.chmod(`${folder}/unshare`, 0o755);
    }
    return await settled(
      probeCapabilities({ toolFolders: [folder], timeoutMs }),
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
      const strict = { sandbox: true, strict: true };
      assert.throws(() => makeLinuxPlan(target, { ...caps, landlockAbi: 0 }, strict), {
        code: "sandbox-unavailable",
      });
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

Deno.test({
  name: "the real unshare is looked up by absolute path, never in PATH",
  ...linuxOnly,
  async fn() {
    const caps = await probeCapabilities({ toolFolders: ["/nowhere"] });
    assert.equal(caps.unshare, undefined);
    assert.equal(caps.namespaces.usable, false);
  },
});
