/** What holds over a runner's life: it ends with its gateway, and an `unshare` that lies after it was probed is caught. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { linux } from "../../src/linux/libc.ts";
import { sweepGroups } from "../../src/sandbox/linux/cgroup_life.ts";
import { groupsOf } from "./delegation.ts";
import { alive, startHost } from "./hosts.ts";
import { IDENTITIES, linuxOnly, makeStage } from "./stage.ts";
import { until } from "../support/patience.ts";

for (const identity of IDENTITIES) {
  for (const withoutNamespaces of [false, true]) {
    const where = withoutNamespaces ? "without namespaces" : "with all layers";
    Deno.test({
      name: `SIGKILL of the gateway ends the runner, ${where}, as ${identity.name}`,
      ignore: linuxOnly,
      async fn() {
        const stage = await makeStage({ host: "tests/sandbox/host.ts" });
        try {
          const order = { withoutNamespaces, stub: null };
          const { host, answer } = await startHost(stage, order, identity.asUser);
          assert.ok("runner" in answer, JSON.stringify(answer));
          assert.ok(alive(answer.runner) && alive(answer.child));
          const groups = await groupsOf(host.pid);
          if (stage.groups) assert.ok(groups.length > 0, "the runner is in no group of its own");
          host.kill("SIGKILL");
          await host.status;
          await until(() => !alive(answer.runner), "the runner is gone");
          await until(() => !alive(answer.child), "unshare is gone");
          // Nobody was left to remove them: the next gateway does, this one or another that starts meanwhile.
          const places = groups.map((group) => ({
            version: 1 as const,
            folder: group.slice(0, group.lastIndexOf("/")),
            controllers: [],
          }));
          const gone = async () => {
            sweepGroups(linux(), places);
            return (await groupsOf(host.pid)).length === 0;
          };
          await until(gone, "its groups are removed");
        } finally {
          await stage.remove();
        }
      },
    });
  }

  Deno.test({
    name: `an unshare that isolates only while it is probed starts no runner, as ${identity.name}`,
    ignore: linuxOnly,
    async fn() {
      const stage = await makeStage({ host: "tests/sandbox/host.ts" });
      try {
        const stub = join(stage.folder, "unshare");
        await Deno.writeTextFile(
          stub,
          '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n',
        );
        await Deno.chmod(stub, 0o755);
        const mounts = linux().readText("/proc/self/mounts");
        const order = { withoutNamespaces: false, stub };
        const { host, answer } = await startHost(stage, order, identity.asUser);
        await host.status;
        assert.ok("code" in answer, "a runner was started");
        assert.equal(answer.code, 126);
        assert.match(answer.stderr, /^launcher: unshare did not isolate: still in the gateway's /);
        assert.equal(linux().readText("/proc/self/mounts"), mounts, "mounts of the host changed");
      } finally {
        await stage.remove();
      }
    },
  });
}

const isRoot = Deno.uid() === 0;
if (!isRoot) console.error("SKIP: root's runner changes its user, which only root can show");

Deno.test({
  name: "a model that the runner's user may not read is named before anything runs",
  ignore: linuxOnly || !isRoot,
  async fn() {
    const stage = await makeStage({ host: "tests/sandbox/host.ts" });
    try {
      await Deno.remove(stage.model); // a link to the one in the checkout, whose mode is not to change
      await Deno.writeTextFile(stage.model, "GGUF", { mode: 0o600 });
      const { host, answer } = await startHost(
        stage,
        { withoutNamespaces: false, stub: null },
        false,
      );
      await host.status;
      assert.ok("code" in answer, "a runner was started");
      assert.match(answer.stderr, /^launcher: read \/\S+\/model.gguf as uid \d+: EACCES/);
    } finally {
      await stage.remove();
    }
  },
});
