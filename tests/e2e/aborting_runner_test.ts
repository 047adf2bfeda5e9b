/** A model that cannot compute inside the sandbox is found out when it is loaded, not by whoever asks it first. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { newHome, ROOT, startServe } from "../support/serve.ts";
import { notOn } from "../support/systems.ts";

Deno.test({
  name: "serve: a runner that computing ends is no ready runner",
  ignore: notOn("linux"),
  async fn() {
    const { home } = await newHome();
    const runner = join(home, "runner.js");
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["bundle", "--quiet", "--platform=deno", "--output", runner],
        join(ROOT, "tests/e2e/aborting_runner.ts"),
      ],
      stdout: "null",
      stderr: "inherit",
    }).output();
    assert.ok(success);
    const failure = await startServe({
      env: { TEST_RUNNER: runner },
      entry: join(ROOT, "tests/e2e/patched_main.ts"),
    }).then(async (served) => {
      await served.stop();
      return "it was ready";
    }, (error: Error) => error.message);
    assert.match(failure, /model failed to load: its runner ended with SIG(ABRT|SEGV)/);
    assert.match(failure, /on this processor .*: secllama doctor/);
  },
});
