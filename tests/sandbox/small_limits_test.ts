/** A machine that gives little: few descriptors, a user namespace without the runner's user, little address space. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT, startServe } from "../support/serve.ts";
import { notOn } from "../support/systems.ts";

const linux = Deno.build.os === "linux";

Deno.test({
  name: "limits: with 256 descriptors and no right to more, serve serves",
  ignore: notOn("linux"),
  async fn() {
    const served = await startServe({ under: ["/usr/bin/prlimit", "--nofile=256:256", "--"] });
    try {
      const body = JSON.stringify({ model: "demo", prompt: "Where are my keys?", stream: false });
      const answers = await Promise.all(
        Array.from({ length: 8 }, () =>
          fetch(`${served.proxyUrl}/api/generate`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body,
          })),
      );
      for (const answer of answers) {
        assert.equal(answer.status, 200);
        assert.equal((await answer.json()).done, true);
      }
    } finally {
      await served.stop();
    }
  },
});

const root = linux && Deno.uid() === 0;
if (!root) console.log("SKIP limits: the user namespace without the runner's user is root's");
Deno.test({
  name:
    "limits: root of a user namespace that has no runner's user is told so, not to add capabilities",
  ignore: !root,
  async fn() {
    const under = ["/usr/bin/unshare", "--user", "--map-root-user", "--"];
    await assert.rejects(startServe({ under }), (error: Error) => {
      assert.match(error.message, /launcher: set(?:groups|resgid|resuid)/);
      assert.match(error.message, /65432 are not mapped.*\/etc\/subuid/);
      assert.doesNotMatch(error.message, /cap-add/);
      return true;
    });
  },
});

Deno.test({
  name:
    "limits: what a small ulimit -v looks like is on the page, as it ends the program before its first line",
  ignore: notOn("linux"),
  async fn() {
    const page = await Deno.readTextFile(join(ROOT, "docs/doctor.md"));
    const run = async (bytes: number) => {
      const { code, stdout, stderr } = await new Deno.Command("/usr/bin/prlimit", {
        args: [`--as=${bytes}`, "--", Deno.execPath(), "eval", "console.log('it runs')"],
        env: { NO_COLOR: "1" },
      }).output();
      return { code, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
    };
    const [, words] = /`(Fatal process out of memory: [^`]+)`/.exec(page) ?? [];
    const [, gib] = /`ulimit -v` .*?(\d+) GiB/s.exec(page) ?? [];
    // V8 reserves 32 GiB at a multiple of that, and may look twice.
    const small = await run(26 * 2 ** 30);
    assert.notEqual(small.code, 0);
    assert.ok(small.said.includes(words!), small.said.slice(0, 300));
    assert.deepEqual(await run(Number(gib) * 2 ** 30), { code: 0, said: "it runs\n" });
  },
});
