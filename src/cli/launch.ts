/** `secllama launch SPEC`: the sandbox's launcher in a compiled program. Internal; becomes the runner or exits. */
import type { Command } from "./command.ts";

export const launchCommand: Command = {
  path: ["launch"],
  summary: "Internal: restrict this process and become the runner",
  arguments: "SPEC",
  minPositionals: 1,
  maxPositionals: 1,
  options: {},
  hidden: true,
  async run() {
    await import("../sandbox/linux/launch.ts"); // acts when it is loaded, on the last argument
    return 126; // not reached: the module execs or exits
  },
};
