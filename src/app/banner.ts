/** The first lines of `serve`: addresses, model, key, and each sandbox layer as it was measured. */
import type { Config } from "../config/config.ts";
import type { KeySource } from "../keys/mod.ts";
import type { GpuStatus } from "../supervisor/gpu.ts";
import type { LoadedModel } from "../supervisor/supervisor.ts";
import type { Tui } from "./tui.ts";

export interface BannerFacts {
  readonly config: Config;
  readonly gatewayUrl: string;
  /** What other machines call it; empty: it is for this machine only. */
  readonly names: readonly string[];
  readonly proxyUrl: string | undefined;
  readonly keys: KeySource;
  readonly gpu: GpuStatus;
  readonly loaded: LoadedModel | undefined;
}

export function printBanner(tui: Tui, facts: BannerFacts): void {
  const { config, loaded } = facts;
  const row = (name: string, value: string) => tui.out(`  ${name.padEnd(10)}${value}`);
  tui.out(tui.bold("SecLlama is ready"));
  if (facts.proxyUrl) row("proxy", `${facts.proxyUrl}  (any Ollama client; sealed from here on)`);
  row(
    "gateway",
    `${facts.gatewayUrl}  (${
      config.enableEncryption ? "sealed requests only" : "PLAINTEXT IS SERVED"
    })`,
  );
  if (facts.names.length > 0) row("", `for paired clients, as ${facts.names.join(", ")}`);
  row(
    "key",
    facts.keys.describe.replace(/^key /, "") + (facts.keys.initialised ? ", made just now" : ""),
  );
  for (const warning of facts.keys.warnings) tui.warn(warning);
  if (!config.enableEncryption) {
    tui.warn("encryption is off (SECLLAMA_ENABLE_ENCRYPTION=false): the gateway serves plaintext");
  }
  if (!config.enableSandbox) {
    tui.warn(
      "the sandbox is off (SECLLAMA_ENABLE_SANDBOX=false): models run with your rights and your network",
    );
  } else if (!config.strictNetworkIsolation) {
    tui.warn(
      "strict isolation is off (SECLLAMA_STRICT_NETWORK_ISOLATION=false): a weaker sandbox is accepted",
    );
  }
  if (config.allowModelManagement) {
    tui.warn(
      "model management is on (SECLLAMA_ALLOW_MODEL_MANAGEMENT=true): this user's programs may pull, create and delete models",
    );
  }
  if (!loaded) return row("model", "none loaded yet");
  const measured = loaded.isolation.measureNow();
  row("model", `${loaded.name}  ${loaded.digest.slice(0, 19)}…  runner ${measured.pid}`);
  const { gpu } = facts;
  if (gpu.setting !== "off") {
    row("gpu", gpu.used === "none" ? `none: ${gpu.reason}` : `${gpu.used}, inside the sandbox`);
  }
  row("isolation", loaded.isolation.level);
  for (const { layer, state, observed } of measured.layers) {
    row("", `${state.padEnd(12)}${layer}: ${observed}`);
  }
  const { attacks } = measured;
  if (attacks) {
    row(
      "",
      `${
        attacks.held ? "held        " : "NOT HELD    "
      }its own attack: ${attacks.attempted} ways out tried, ${
        attacks.held ? "no listener reached" : attacks.problems.join("; ")
      }`,
    );
  }
  for (const warning of measured.warnings) tui.warn(warning);
}
