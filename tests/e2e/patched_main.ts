/** The same program with another runner: the bundle that TEST_RUNNER names. For patched_runner_test.ts. */
import { Installation } from "../../src/app/installation.ts";
import { runCli } from "../../src/cli/main.ts";

const runner = Deno.env.get("TEST_RUNNER")!;
const runnerFiles = Installation.prototype.runnerFiles;
Installation.prototype.runnerFiles = async function (config) {
  return { ...await runnerFiles.call(this, config), runner };
};
Deno.exit(await runCli(Deno.args));
