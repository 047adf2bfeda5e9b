/** `secllama sandbox plan`: the argv and the layers that would be used for a model. Starts nothing. */
import { EXIT, SecLlamaError } from "../errors.ts";
import type { Plan, SandboxMode } from "../sandbox/mod.ts";
import { openSandbox, sandboxMode } from "../supervisor/isolation.ts";
import { limitedTarget } from "../supervisor/runner_target.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "./command.ts";
import { openModelStore } from "../app/model_store.ts";
import type { Settings } from "../config/settings.ts";
import { openGpu } from "../supervisor/gpu.ts";
import { installationFor } from "./installation.ts";
import { samplePlan } from "./sandbox_samples.ts";
import { readSettings } from "./settings.ts";

const planCommand: Command = {
  path: ["sandbox", "plan"],
  summary: "Show how a model would be confined; starts nothing",
  arguments: "[MODEL]",
  maxPositionals: 1,
  options: {
    ...JSON_OPTION,
    os: {
      type: "string",
      value: "linux|macos|windows",
      help: "a plan for another system, with a usual installation assumed",
    },
  },
  async run(context) {
    const { tui } = context;
    const os = stringOption(context, "os") ?? "linux";
    if (os !== "linux" && os !== "macos" && os !== "windows") {
      throw new SecLlamaError("usage", "--os must be linux, macos or windows", {
        field: "--os",
        hint: "without --os it is the plan for Linux: secllama sandbox plan",
      });
    }
    const settings = await readSettings(context);
    const mode = sandboxMode(settings.config);
    const plan = os === "linux" ? await ownPlan(context, settings, mode) : samplePlan(os, mode);
    const { policy, level, layers, warnings, argv, env } = plan;
    if (flag(context, "json")) {
      tui.json({ schema: 1, os, policy, level, layers, warnings, argv, env });
      return EXIT.ok;
    }
    tui.out(`${os}, policy ${policy}, level ${level}`);
    for (const { layer, planned, detail } of layers) {
      tui.out(`  ${planned ? "planned    " : "not planned"} ${layer}: ${detail}`);
    }
    tui.out("argv:");
    for (const word of argv) tui.out(`  ${word}`);
    for (const warning of warnings) tui.warn(warning);
    return EXIT.ok;
  },
};

/** The plan for a model of this machine's store, on this machine as it was probed. */
async function ownPlan(
  context: CommandContext,
  settings: Settings,
  mode: SandboxMode,
): Promise<Plan> {
  const { config } = settings;
  const installation = installationFor(context);
  const models = await openModelStore(settings, installation);
  const { blobPath } = await models.resolve(context.positionals[0] ?? "demo");
  const sandbox = await openSandbox({ files: await installation.runnerFiles(config), mode });
  return sandbox.platform.plan(
    limitedTarget(sandbox, blobPath, {
      gpu: (await openGpu(config, sandbox)).used,
      limitBytes: config.maxMemoryBytes,
    }),
    mode,
  ).plan;
}

export const sandboxCommands: readonly Command[] = [planCommand];
