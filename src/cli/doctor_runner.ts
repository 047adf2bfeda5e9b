/** The doctor's own runner, where no serve runs that has one: of the demo model, as `serve` starts it, with a key in memory. */
import { gpuLine } from "../app/banner.ts";
import { type Finding, judgeRunner, type Switches } from "../app/findings.ts";
import type { Installation } from "../app/installation.ts";
import { openModelStore } from "../app/model_store.ts";
import type { Settings } from "../config/settings.ts";
import { toSecLlamaError } from "../errors.ts";
import { openKeySource } from "../keys/mod.ts";
import { silentLogger } from "../log.ts";
import { openGpu } from "../supervisor/gpu.ts";
import { openSandbox, sandboxMode } from "../supervisor/isolation.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import { VERSION } from "../version.ts";

interface RunnerFacts {
  readonly installation: Installation;
  readonly settings: Settings;
  readonly switches: Switches;
}

/** Starts it, measures it and ends it. */
export async function runnerChecks(
  { installation, settings, switches }: RunnerFacts,
): Promise<Finding[]> {
  const { config, dataDir } = settings;
  const findings: Finding[] = [];
  let supervisor: Supervisor | undefined;
  using keys = await openKeySource({ dataDir, env: {}, interactive: false, ephemeral: true });
  try {
    const sandbox = await openSandbox({
      files: await installation.runnerFiles(config),
      mode: sandboxMode({
        enableSandbox: switches.sandbox,
        strictNetworkIsolation: switches.strict,
      }),
    });
    findings.push({ name: "this machine", result: "note", observed: sandbox.platform.facts });
    const gpu = await openGpu(config, sandbox);
    supervisor = new Supervisor({
      config,
      models: await openModelStore(settings, installation),
      keys,
      sandbox,
      gpu,
      logger: silentLogger,
      version: VERSION,
    });
    const started = performance.now();
    const { model } = await supervisor.acquire("demo");
    findings.push(
      {
        name: "runner",
        result: "holds",
        observed: `${model.name} loaded and proven in ${
          Math.round(performance.now() - started)
        } ms`,
      },
      {
        name: "GPU",
        result: "note",
        observed: gpuLine(gpu.status()),
      },
      ...judgeRunner(model.isolation.measureNow()),
    );
  } catch (error) {
    findings.push(failed("runner", error));
  } finally {
    await supervisor?.stop();
  }
  return findings;
}

/** An error as a finding: what was to work does not. */
export function failed(name: string, error: unknown): Finding {
  const { message, hint } = toSecLlamaError(error);
  return { name, result: "fails", observed: message, ...(hint ? { hint } : {}) };
}
