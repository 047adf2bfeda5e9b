/**
 * libstdc++ wakes who waits for a static variable by a futex that is not private. A filter that lets threads wait and does not let
 * them be woken stops a runner for good, at the first such meeting of two threads: rare, and on no machine of ours.
 */
import assert from "node:assert/strict";

async function run(how: "now" | "before"): Promise<Record<string, number>> {
  const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--no-code-cache", // it would take a lock, under a filter that refuses it
      "--v8-flags=--jitless",
      new URL("static_guard_run.ts", import.meta.url).pathname,
      how,
    ],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const ignore = Deno.build.os !== "linux";
if (ignore) console.log("SKIP filters: this is not Linux");

Deno.test({
  name: "filters: a thread that waits for a static variable is woken",
  ignore,
  async fn() {
    const EPERM = 1;
    assert.deepEqual(await run("before"), { made: 1, woken: -EPERM }, "who waits sleeps for ever");
    assert.deepEqual(await run("now"), { made: 1, woken: 1, second: 0 });
  },
});
