/**
 * `secllama doctor`: does on this machine what `serve` would do, and shows what was measured: a runner in a fresh sandbox with
 * its layers and its own attack on live listeners, one question answered inside, the key store, the model store, the ports. It
 * makes no key and changes nothing. Exit 0 only if all holds.
 */
import { join } from "node:path";
import { EXIT, toSecLlamaError } from "../errors.ts";
import { openKeySource } from "../keys/mod.ts";
import { chooseBackend } from "../keys/backend.ts";
import { silentLogger } from "../log.ts";
import { ModelStore } from "../models/store.ts";
import { attackAll, ATTACKER_MEMORY } from "../doctor/attacks.ts";
import { openSandbox, runnerTarget } from "../supervisor/isolation.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import { VERSION } from "../version.ts";
import { type Command, type CommandContext, flag, JSON_OPTION } from "./command.ts";
import { attackerProgram, embeddedDemoPath, openGpu, runnerFiles } from "./roles.ts";
import { readSettings, type Settings } from "./settings.ts";

interface Check {
  readonly name: string;
  /** `note`: not a failure, but worth knowing. */
  readonly result: "holds" | "fails" | "note";
  readonly observed: string;
  readonly hint?: string;
}

export const doctorCommand: Command = {
  path: ["doctor"],
  summary: "Measure this machine: sandbox, key store, model store, ports",
  options: JSON_OPTION,
  details: "Exit code 0 only if everything holds, else 9.",
  async run(context) {
    const { tui } = context;
    const settings = await readSettings(context);
    const checks = [
      ...settingChecks(settings),
      ...await sandboxChecks(context, settings),
      ...await attackChecks(context, settings),
      await keyCheck(context),
      ...portChecks(settings),
    ];
    const holds = checks.every((c) => c.result !== "fails");
    if (flag(context, "json")) {
      tui.json({ schema: 1, version: VERSION, holds, checks });
    } else {
      for (const { name, result, observed, hint } of checks) {
        tui.out(`${result.padEnd(6)} ${name}: ${observed}`);
        if (hint) tui.out(`       hint: ${hint}`);
      }
      tui.out(holds ? "all holds" : "not everything holds");
    }
    return holds ? EXIT.ok : EXIT.refused;
  },
};

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
  context: CommandContext,
  { config, dataDir }: Settings,
): Promise<Check[]> {
  const keys = await openKeySource({ dataDir, env: {}, interactive: false, ephemeral: true });
  let supervisor: Supervisor | undefined;
  const checks: Check[] = [];
  try {
    const models = await ModelStore.open(join(dataDir, "models"), {
      ollamaDir: config.ollamaModels || undefined,
      embeddedDemo: await embeddedDemoPath(context),
    });
    const rows = await models.list();
    const broken = rows.filter((row) => row.problem !== undefined);
    checks.push({
      name: "model store",
      result: broken.length === 0 ? "holds" : "fails",
      observed: `${rows.length} models, ${broken.length} unusable`,
      ...(broken.length > 0 ? { hint: "to check each file, run: secllama verify" } : {}),
    });
    const sandbox = await openSandbox({
      files: await runnerFiles(context, config),
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
    keys.close();
  }
  return checks;
}

/** Every attack of the list, with the attacker in the runner's place. */
async function attackChecks(context: CommandContext, { config }: Settings): Promise<Check[]> {
  const files = await runnerFiles(context, config);
  const demo = await embeddedDemoPath(context);
  if (!config.enableSandbox) {
    return [{ name: "attacks", result: "fails", observed: "not made: the sandbox is off" }];
  }
  if (Deno.build.os !== "linux") {
    return [{ name: "attacks", result: "note", observed: "the whole list is made on Linux only" }];
  }
  if (demo === undefined) {
    return [{ name: "attacks", result: "fails", observed: "not made: there is no demo model" }];
  }
  try {
    using attacker = await attackerProgram(context, files);
    const mode = { sandbox: true, strict: config.strictNetworkIsolation };
    const sandbox = await openSandbox({ files: { ...files, runner: attacker.path }, mode });
    const target = { ...runnerTarget(sandbox.files, demo), ...ATTACKER_MEMORY };
    const plan = sandbox.platform.plan(target, mode);
    const table = await attackAll(sandbox.platform.command(plan), {
      libDir: plan.pathMap(files.libDir),
      modelPath: plan.pathMap(demo),
    });
    return [
      ...table.rows.map(({ attack, verdict, detail }): Check => ({
        name: `attack: ${attack}`,
        result: verdict === "out" ? "fails" : "holds",
        observed: `${verdict === "out" ? "GOT OUT" : verdict}, ${detail}`,
      })),
      {
        name: "files of the host",
        result: table.changed.length === 0 ? "holds" : "fails",
        observed: table.changed.length === 0
          ? "none changed"
          : `changed: ${table.changed.join(", ")}`,
      },
      {
        name: "inference between the attacks",
        result: table.inferred ? "holds" : "fails",
        observed: table.inferred ? "the model wrote before and after" : "the model wrote nothing",
      },
    ];
  } catch (error) {
    const e = toSecLlamaError(error);
    return [{
      name: "attacks",
      result: "fails",
      observed: e.message,
      ...(e.hint ? { hint: e.hint } : {}),
    }];
  }
}

/** Looks at the store that `serve` would use; makes no key. */
async function keyCheck(context: CommandContext): Promise<Check> {
  try {
    const chosen = await chooseBackend({ env: context.env, interactive: false });
    if (chosen.kind === "fixed") {
      chosen.key.fill(0);
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
