/** What the doctor looks at besides the sandbox: key store, model store, ports, versions. */
import type { Finding } from "../app/findings.ts";
import type { Installation } from "../app/installation.ts";
import { holderOf } from "../app/local_proxy.ts";
import { openModelStore } from "../app/model_store.ts";
import type { FoundServe } from "../app/running_serve.ts";
import type { Settings } from "../config/settings.ts";
import { chooseBackend } from "../keys/stores/backend.ts";
import { wipe } from "../secret.ts";
import { VERSION } from "../version.ts";
import type { CommandContext } from "./command.ts";
import { failed } from "./doctor_runner.ts";
import { plural } from "../plural.ts";

export function versionCheck(): Finding {
  const { deno, v8 } = Deno.version;
  return {
    name: "versions",
    result: "note",
    observed: `secllama ${VERSION}, deno ${deno}, v8 ${v8}, ${Deno.build.target}`,
  };
}

/** Whether each model can be used. */
export async function storeCheck(
  settings: Settings,
  installation: Installation,
): Promise<Finding> {
  try {
    const rows = await (await openModelStore(settings, installation)).list();
    const broken = rows.filter((row) => row.problem !== undefined);
    return {
      name: "model store",
      result: broken.length === 0 ? "holds" : "fails",
      observed: `${plural(rows.length, "model")}, ${broken.length} unusable`,
      ...(broken.length > 0 ? { hint: "to check each file, run: secllama verify" } : {}),
    };
  } catch (error) {
    return failed("model store", error);
  }
}

/** Looks at the store that `serve` would use; makes no key. */
export async function keyCheck(context: CommandContext): Promise<Finding> {
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
    return failed("key", error);
  }
}

/** Whether the two ports are free, or who has them. A serve that nobody could ask may be behind one whose holder is unknown. */
export async function portChecks(
  { config }: Settings,
  serves: readonly FoundServe[],
): Promise<Finding[]> {
  const own = new Set(
    serves.flatMap(({ proxy, gateway }) =>
      [proxy, gateway].flatMap((url) => url === null ? [] : [Number(new URL(url).port)])
    ),
  );
  const ports = [["gateway", config.port], ["proxy", config.proxyPort]] as const;
  return await Promise.all(
    ports.filter(([, port]) => port !== 0).map(async ([role, port]) => {
      const finding = (result: Finding["result"], observed: string): Finding => ({
        name: `port ${port} (${role})`,
        result,
        observed,
      });
      if (own.has(port)) return finding("note", "in use by the serve above");
      try {
        Deno.listen({ hostname: "127.0.0.1", port }).close();
        return finding("note", "free");
      } catch (error) {
        if (!(error instanceof Deno.errors.AddrInUse)) {
          return finding("note", "this user may not listen there");
        }
      }
      switch (await holderOf({ hostname: "127.0.0.1", port })) {
        case "ollama":
          return finding("note", "in use by Ollama, or by what speaks like it");
        case "secllama":
          return finding("not run", "in use by a SecLlama that is not of this data folder");
        default:
          return finding("not run", "in use by a program that does not say what it is");
      }
    }),
  );
}
