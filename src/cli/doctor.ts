/**
 * `secllama doctor`: does on this machine what `serve` would do, and shows what was measured: a runner in a fresh sandbox with
 * its layers and its own attack on live listeners, the whole attack list, the key store, the model store, the ports, the versions.
 * It makes no key and changes nothing. Exit 0 only if all holds.
 */
import { EXIT, SecLlamaError, toSecLlamaError } from "../errors.ts";
import { wipe } from "../secret.ts";
import { openKeySource } from "../keys/mod.ts";
import { chooseBackend } from "../keys/stores/backend.ts";
import { silentLogger } from "../log.ts";
import { openSandbox } from "../supervisor/isolation.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import { VERSION } from "../version.ts";
import { type Command, type CommandContext, flag, JSON_OPTION } from "./command.ts";
import { attackChecks } from "./doctor_attacks.ts";
import type { Installation } from "../app/installation.ts";
import { openModelStore } from "../app/model_store.ts";
import type { Settings } from "../config/settings.ts";
import { openGpu } from "../supervisor/gpu.ts";
import { installationFor } from "./installation.ts";
import { readSettings } from "./settings.ts";

export interface Check {
  readonly name: string;
  /** `note`: not a failure, but worth knowing. */
  readonly result: "holds" | "fails" | "note";
  /** Of an attack: what was to come of it. */
  readonly expected?: string;
  readonly observed: string;
  /** Of an attack: the layer that it met first. */
  readonly stoppedBy?: string;
  readonly hint?: string;
}

export const doctorCommand: Command = {
  path: ["doctor"],
  summary: "Measure this machine: sandbox, attacks, key store, model store, ports",
  options: JSON_OPTION,
  details:
    `Starts a runner as serve would, reads what holds it, and then makes every attack of the list from the runner's place.
Of each attack it shows what was expected, what was observed, and the layer that the attack met first.
Exit code 0 only if everything holds, else 9.`,
  async run(context) {
    const { tui } = context;
    const settings = await readSettings(context);
    const installation = installationFor(context);
    const sandbox = await sandboxChecks(installation, settings);
    endIfCancelled(context);
    const attacks = await attackChecks(installation, settings);
    // Ctrl-C reaches the attackers too: what then seems to fail says nothing of the sandbox.
    endIfCancelled(context);
    const checks = [
      ...settingChecks(settings),
      ...sandbox,
      ...attacks,
      await keyCheck(context),
      ...portChecks(settings),
      versionCheck(),
    ];
    const holds = checks.every((c) => c.result !== "fails");
    if (flag(context, "json")) {
      tui.json({ schema: 1, version: VERSION, holds, checks });
    } else {
      for (const line of lines(checks)) tui.out(line);
      tui.out(holds ? "all holds" : "not everything holds");
    }
    return holds ? EXIT.ok : EXIT.refused;
  },
};

function endIfCancelled({ signal }: CommandContext): void {
  if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
}

/** One line a check; attacks in columns under a heading. */
function lines(checks: readonly Check[]): string[] {
  const attacks = checks.filter((check) => check.stoppedBy !== undefined);
  const width = (text: (check: Check) => string, heading: string) =>
    Math.max(heading.length, ...attacks.map((check) => text(check).length));
  const columns = [
    width((c) => c.name, "attack"),
    "expected".length,
    width((c) => c.observed, "observed"),
  ];
  const row = (result: string, ...cells: string[]) =>
    [result.padEnd(6), ...cells.map((cell, i) => cell.padEnd(columns[i] ?? 0))].join("  ")
      .trimEnd();
  return checks.flatMap((check) => {
    const { name, result, observed, hint } = check;
    if (check.stoppedBy !== undefined) {
      return [
        ...(check === attacks[0] ? [row("", "attack", "expected", "observed", "stopped by")] : []),
        row(result, name, check.expected ?? "", observed, check.stoppedBy),
      ];
    }
    return [
      `${result.padEnd(6)} ${name}: ${observed}`,
      ...(hint ? [`       hint: ${hint}`] : []),
    ];
  });
}

function versionCheck(): Check {
  const { deno, v8 } = Deno.version;
  return {
    name: "versions",
    result: "note",
    observed: `secllama ${VERSION}, deno ${deno}, v8 ${v8}, ${Deno.build.target}`,
  };
}

function settingChecks({ config }: Settings): Check[] {
  return ([
    ["encryption", "SECLLAMA_ENABLE_ENCRYPTION", config.enableEncryption],
    ["sandbox", "SECLLAMA_ENABLE_SANDBOX", config.enableSandbox],
    ["strict isolation", "SECLLAMA_STRICT_NETWORK_ISOLATION", config.strictNetworkIsolation],
  ] as const).map(([name, variable, on]) => ({
    name: `setting: ${name}`,
    result: on ? "holds" : "fails",
    observed: on ? "on" : `off (${variable}=false)`,
  }));
}

/** A runner of the demo model as `serve` starts it, with a key in memory. */
async function sandboxChecks(
  installation: Installation,
  settings: Settings,
): Promise<Check[]> {
  const { config, dataDir } = settings;
  const keys = await openKeySource({ dataDir, env: {}, interactive: false, ephemeral: true });
  let supervisor: Supervisor | undefined;
  const checks: Check[] = [];
  try {
    const models = await openModelStore(settings, installation);
    const rows = await models.list();
    const broken = rows.filter((row) => row.problem !== undefined);
    checks.push({
      name: "model store",
      result: broken.length === 0 ? "holds" : "fails",
      observed: `${rows.length} models, ${broken.length} unusable`,
      ...(broken.length > 0 ? { hint: "to check each file, run: secllama verify" } : {}),
    });
    const sandbox = await openSandbox({
      files: await installation.runnerFiles(config),
      mode: { sandbox: config.enableSandbox, strict: config.strictNetworkIsolation },
    });
    checks.push({ name: "this machine", result: "note", observed: sandbox.platform.facts });
    const gpu = await openGpu(config, sandbox);
    supervisor = new Supervisor({
      config,
      models,
      keys,
      sandbox,
      gpu,
      logger: silentLogger,
      version: VERSION,
    });
    const started = performance.now();
    const { model } = await supervisor.acquire("demo");
    checks.push({
      name: "runner",
      result: "holds",
      observed: `${model.name} loaded and proven in ${Math.round(performance.now() - started)} ms`,
    });
    const { used, reason } = gpu.status();
    checks.push({
      name: "GPU",
      result: "note",
      observed: used === "none" ? `none: ${reason}` : `${used}, inside the sandbox`,
    });
    const { layers, attacks, warnings } = model.isolation.measureNow();
    for (const { layer, state, observed } of layers) {
      checks.push({
        name: `layer: ${layer}`,
        result: state === "enforced" ? "holds" : state === "not planned" ? "note" : "fails",
        observed: `${state}, ${observed}`,
      });
    }
    checks.push(
      ...warnings.map((observed): Check => ({ name: "isolation", result: "fails", observed })),
    );
    checks.push({
      name: "attack on live listeners",
      result: attacks?.held ? "holds" : "fails",
      observed: attacks === null
        ? "not made: the sandbox is off"
        : attacks.held
        ? `${attacks.attempted} ways out tried by native code, each refused, no listener reached`
        : attacks.problems.join("; "),
    });
  } catch (error) {
    const e = toSecLlamaError(error);
    checks.push({
      name: "runner",
      result: "fails",
      observed: e.message,
      ...(e.hint ? { hint: e.hint } : {}),
    });
  } finally {
    await supervisor?.stop();
    keys[Symbol.dispose]();
  }
  return checks;
}

/** Looks at the store that `serve` would use; makes no key. */
async function keyCheck(context: CommandContext): Promise<Check> {
  try {
    const chosen = await chooseBackend({ env: context.env, interactive: false });
    if (chosen.kind === "fixed") {
      wipe(chosen.key);
      return {
        name: "key",
        result: "note",
        observed: `from ${chosen.backend}, not from a key store`,
      };
    }
    const status = await chosen.store.probe();
    const ok = status.reachable && !status.locked && status.encryptedAtRest !== "no";
    return {
      name: `key store (${chosen.store.backend})`,
      // Without a store `serve` asks for another source by name, so its absence is no weakness by itself.
      result: ok ? "holds" : status.reachable ? "fails" : "note",
      observed: status.reachable
        ? `reachable, ${
          status.locked ? "locked" : "unlocked"
        }, encrypted at rest: ${status.encryptedAtRest}`
        : `not reachable${status.reason ? `: ${status.reason}` : ""}`,
      ...(status.hint ? { hint: status.hint } : {}),
    };
  } catch (error) {
    const e = toSecLlamaError(error);
    return {
      name: "key",
      result: "fails",
      observed: e.message,
      ...(e.hint ? { hint: e.hint } : {}),
    };
  }
}

/** Whether the two ports are free, or taken (by a running `serve`, most likely). */
function portChecks({ config }: Settings): Check[] {
  return ([["gateway", config.port], ["proxy", config.proxyPort]] as const).map(([name, port]) => {
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return { name: `port ${port} (${name})`, result: "note", observed: "free" };
    } catch {
      return {
        name: `port ${port} (${name})`,
        result: "note",
        observed: "in use; a running serve, or another program",
      };
    }
  });
}
