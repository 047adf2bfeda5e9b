/** What `serve` says once it is ready: addresses, model, key, and each sandbox layer as it was measured. Prints nothing. */
import type { Config } from "../config/config.ts";
import type { KeyFacts } from "../keys/mod.ts";
import type { Measured } from "../supervisor/isolation.ts";
import type { GpuStatus } from "../supervisor/gpu.ts";
import type { LoadedModel } from "../supervisor/supervisor.ts";
import { judgeSettings, type Switches } from "./findings.ts";

export interface BannerFacts {
  readonly config: Config;
  readonly gatewayUrl: string;
  /** What other machines call it; empty: it is for this machine only. */
  readonly names: readonly string[];
  readonly proxyUrl: string | undefined;
  readonly keys: KeyFacts;
  readonly gpu: GpuStatus;
  readonly loaded: LoadedModel | undefined;
}

export interface Banner {
  /** Name and value of each line; "" where it goes on with the line above. */
  readonly rows: readonly (readonly [name: string, value: string])[];
  /** What is weaker than it should be, one sentence each. */
  readonly warnings: readonly string[];
}

export function bannerOf(facts: BannerFacts): Banner {
  const measured = facts.loaded?.isolation.measureNow();
  return {
    rows: [...serverRows(facts), ...modelRows(facts, measured)],
    warnings: [
      ...facts.keys.warnings,
      ...judgeSettings(configured(facts.config)).filter(({ result }) => result !== "holds")
        .map(({ name, observed }) => `${name} is ${observed}`),
      ...(measured?.warnings ?? []),
    ],
  };
}

function serverRows({ config, gatewayUrl, names, proxyUrl, keys }: BannerFacts): Banner["rows"] {
  const served = config.enableEncryption ? "sealed requests only" : "PLAINTEXT IS SERVED";
  const key = keys.describe.replace(/^key /, "");
  return [
    ...(proxyUrl === undefined
      ? []
      : [["proxy", `${proxyUrl}  (any Ollama client; sealed from here on)`] as const]),
    ["gateway", `${gatewayUrl}  (${served})`],
    ...(names.length === 0 ? [] : [["", `for paired clients, as ${names.join(", ")}`] as const]),
    ["key", `${key}${keys.initialised ? ", made just now" : ""}`],
  ];
}

function modelRows({ gpu, loaded }: BannerFacts, measured: Measured | undefined): Banner["rows"] {
  if (!loaded || !measured) return [["model", "none loaded yet"]];
  const { attacks } = measured;
  return [
    ["model", `${loaded.name}  ${loaded.digest.slice(0, 19)}…  runner ${measured.pid}`],
    ...(gpu.setting === "off" ? [] : [[
      "gpu",
      gpu.used === "none" ? `none: ${gpu.reason}` : `${gpu.used}, inside the sandbox`,
    ]] as const),
    ["isolation", loaded.isolation.level],
    ...measured.layers.map(({ layer, state, observed }) =>
      ["", `${state.padEnd(12)}${layer}: ${observed}`] as const
    ),
    ...(attacks === null ? [] : [
      [
        "",
        `${attacks.held ? "held        " : "NOT HELD    "}its own attack: ` +
        `${attacks.attempted} ways out tried, ${
          attacks.held ? "no listener reached" : attacks.problems.join("; ")
        }`,
      ] as const,
    ]),
  ];
}

/** The settings in force, as the judge reads them. */
export function configured(config: Config): Switches {
  return {
    encryption: config.enableEncryption,
    sandbox: config.enableSandbox,
    strict: config.strictNetworkIsolation,
    modelManagement: config.allowModelManagement,
  };
}
