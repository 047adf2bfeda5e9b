/** What `serve` says once it is ready: addresses, model, key, and each sandbox layer as it was measured. Prints nothing. */
import { listenText } from "../config/listen_at.ts";
import type { Config } from "../config/config.ts";
import type { KeyFacts } from "../keys/mod.ts";
import type { Measured } from "../supervisor/isolation.ts";
import type { GpuStatus } from "../supervisor/gpu.ts";
import type { LoadedModel } from "../supervisor/supervisor.ts";
import { judgeSettings, type Switches } from "./findings.ts";
import { plural } from "../plural.ts";

interface BannerFacts {
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
  /** As {@link Banner.rows}, each sandbox layer on a line of its own besides. */
  readonly all: Banner["rows"];
  /** Name and value of each line; "" where it goes on with the line above. */
  readonly rows: readonly (readonly [name: string, value: string])[];
  /** What is weaker than it should be, one sentence each. */
  readonly warnings: readonly string[];
}

export function bannerOf(facts: BannerFacts): Banner {
  const measured = facts.loaded?.isolation.measureNow();
  const rows = [...serverRows(facts), ...modelRows(facts, measured)];
  return {
    rows,
    all: [...rows, ...(measured?.layers ?? []).map(layerRow)],
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
    ...(proxyUrl === undefined ? [] : [
      ["proxy", `${proxyUrl}  (any Ollama client; sealed from here on)`] as const,
      ...(config.proxyListen === null
        ? []
        : [["", `${listenText(config.proxyListen)}  (with a token only)`] as const]),
      ["page", `${proxyUrl}/  (to type in; secllama ui opens it)`] as const,
    ]),
    ["gateway", `${gatewayUrl}  (${served})`],
    ...(names.length === 0 ? [] : [["", `for paired clients, as ${names.join(", ")}`] as const]),
    ["key", `${key}${keys.initialised ? ", made just now" : ""}`],
  ];
}

/** Whom the proxy lets in that it would refuse by default: a line each. */
export function alsoLetIn(
  { proxyAllowedOrigins: pages, proxyAllowedHosts: hosts }: Config,
): string[] {
  return [
    ...(pages.length === 0 ? [] : [`WEB PAGES of ${pages.join(", ")} may use the proxy`]),
    ...(hosts.length === 0 ? [] : [`the proxy also answers as ${hosts.join(", ")}`]),
  ];
}

function modelRows({ gpu, loaded }: BannerFacts, measured: Measured | undefined): Banner["rows"] {
  if (!loaded || !measured) return [["model", "none loaded yet"]];
  return [
    ["model", `${loaded.name}  ${loaded.digest.slice(0, 19)}…  runner ${measured.pid}`],
    ...(gpu.setting === "off" ? [] : [["gpu", gpuLine(gpu)]] as const),
    ["isolation", isolationLine(measured)],
  ];
}

/** "none: REASON", or which. */
export function gpuLine({ used, reason }: Pick<GpuStatus, "used" | "reason">): string {
  return used === "none" ? `none: ${reason}` : `${used}, inside the sandbox`;
}

/** All of a runner's isolation in a line: its level, its layers by number, and what came of its own attack. */
export function isolationLine({ level, layers, attacks }: Measured): string {
  const enforced = layers.filter(({ state, word }) => state === "enforced" && !word).length;
  const said = layers.filter(({ state, word }) => state === "enforced" && word);
  const others = layers.filter(({ state }) => state !== "enforced" && state !== "not planned");
  const parts = [
    `${plural(enforced, "layer")} enforced`,
    ...(said.length === 0
      ? []
      : [`${said.length} on the runner's word (${said.map(({ layer }) => layer).join(", ")})`]),
    ...others.map(({ layer, state }) => `${layer} ${state.toUpperCase()}`),
    attacks === null
      ? "its own attack not run"
      : attacks.held
      ? `its own attack held: ${
        plural(attacks.attempted, "way")
      } out tried (its word), no listener reached`
      : `its own attack NOT HELD: ${attacks.problems.join("; ")}`,
  ];
  return `${level}: ${parts.join(", ")}`;
}

function layerRow({ layer, state, word, observed }: Measured["layers"][number]) {
  return ["", `${(word ? "on its word" : state).padEnd(12)}${layer}: ${observed}`] as const;
}

/** The settings in force, as the judge reads them. */
export function configured(config: Config): Switches {
  return {
    encryption: config.enableEncryption,
    sandbox: config.enableSandbox,
    strict: config.strictNetworkIsolation,
    modelManagement: config.allowModelManagement,
    lenientAudit: config.audit === "lenient",
    unboundSignIn: config.oidcIssuer !== "" && config.oidcDevice,
    pages: config.proxyAllowedOrigins,
    proxyNames: config.proxyAllowedHosts,
  };
}
