/** `secllama sandbox plan`: the argv and the layers that would be used for a model on this machine. Starts nothing. */
import { join } from "node:path";
import { EXIT } from "../errors.ts";
import { ModelStore } from "../models/store.ts";
import { makePlan } from "../sandbox/mod.ts";
import { openSandbox, runnerTarget } from "../supervisor/isolation.ts";
import { type Command, flag, JSON_OPTION } from "./command.ts";
import { embeddedDemoPath } from "./models.ts";
import { runnerFiles } from "./roles.ts";
import { readSettings } from "./settings.ts";

const planCommand: Command = {
  path: ["sandbox", "plan"],
  summary: "Show how a model would be confined on this machine; starts nothing",
  arguments: "[MODEL]",
  maxPositionals: 1,
  options: JSON_OPTION,
  async run(context) {
    const { tui } = context;
    const { config, dataDir } = await readSettings(context);
    const models = await ModelStore.open(join(dataDir, "models"), {
      ollamaDir: config.ollamaModels || undefined,
      embeddedDemo: embeddedDemoPath(),
    });
    const { blobPath } = await models.resolve(context.positionals[0] ?? "demo");
    const mode = { sandbox: config.enableSandbox, strict: config.strictNetworkIsolation };
    const sandbox = await openSandbox({ files: await runnerFiles(), mode });
    const plan = makePlan(runnerTarget(sandbox.files, blobPath), sandbox.capabilities, mode);
    const { os, policy, level, layers, warnings, argv, env } = plan;
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

export const sandboxCommands: readonly Command[] = [planCommand];
