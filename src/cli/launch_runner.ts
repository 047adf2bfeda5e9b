/** `secllama launch-runner ORDERS`: the launcher of a compiled program on Windows. Internal; starts one runner and guards it. */
import { SecLlamaError } from "../errors.ts";
import type { Command } from "./command.ts";

export const launchRunnerCommand: Command = {
  path: ["launch-runner"],
  summary: "Internal: start a runner in its container and guard it (Windows)",
  arguments: "ORDERS",
  minPositionals: 1,
  maxPositionals: 1,
  options: {},
  hidden: true,
  async run({ positionals }) {
    if (Deno.build.os !== "windows") {
      throw new SecLlamaError("usage", "launch-runner is used on Windows only, by the gateway");
    }
    const { launchMain } = await import("../sandbox/windows/launch_main.ts");
    return await launchMain(positionals[0] ?? "");
  },
};
