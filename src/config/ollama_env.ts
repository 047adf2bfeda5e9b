/**
 * Ollama's environment variables. Those that mean the same here are taken as defaults, below our own file, variables and flags;
 * each other one that is set is named in a warning, so that nobody relies on what has no effect. None is ever an error: they
 * are another program's, and a desktop that has both sets them for all.
 */
import { durationMs } from "../duration.ts";
import { isLoopbackHost } from "../loopback.ts";
import type { Config } from "./fields.ts";
import { canBeHost, isEverywhere, parseOllamaHost } from "./ollama_host.ts";

type Env = { readonly [name: string]: string | undefined };

interface OllamaSettings {
  readonly values: Partial<Config>;
  /** One sentence each. */
  readonly warnings: readonly string[];
}

/** A variable's reader: what it sets, or why it sets nothing, or both. */
type Reader = (text: string) => Partial<Config> | string | Partly;

interface Partly {
  readonly sets: Partial<Config>;
  readonly warning: string;
}

const ELSEWHERE =
  "the proxy listens on loopback only; for other machines, see: secllama help remote";

/** Variables with the same meaning here. `OLLAMA_MODELS` is a setting of ours, in fields.ts. */
const READERS: { readonly [name: string]: Reader } = {
  OLLAMA_HOST: (text) => {
    const { host, port, portIgnored } = parseOllamaHost(text);
    if (!canBeHost(host)) return "it is not an address";
    const everywhere = isEverywhere(host);
    if (!everywhere && host !== "" && !isLoopbackHost(host)) return ELSEWHERE;
    const sets = { proxyPort: port };
    const remarks = [
      ...(portIgnored ? [`names no port from 0 to 65535: ${port} is taken, as Ollama does`] : []),
      ...(everywhere ? [`counts for its port only: ${ELSEWHERE}`] : []),
    ];
    return remarks.length === 0 ? sets : { sets, warning: remarks.join("; it ") };
  },
  OLLAMA_KEEP_ALIVE: (text) => {
    const ms = goDurationMs(text);
    return ms === undefined ? "it is not a duration" : { keepAliveMs: ms };
  },
  OLLAMA_LOAD_TIMEOUT: (text) => {
    const ms = goDurationMs(text);
    return ms === undefined || !Number.isFinite(ms) || ms === 0
      ? "it is not a duration"
      : { loadTimeoutMs: ms };
  },
  OLLAMA_NUM_PARALLEL: whole("parallel", 64),
  OLLAMA_MAX_LOADED_MODELS: whole("maxLoadedModels", 64),
  OLLAMA_MAX_QUEUE: whole("maxQueue", 4000),
  OLLAMA_KV_CACHE_TYPE: (text) =>
    text === "f16" || text === "q8_0" ? { kvCache: text } : "the types here are f16 and q8_0",
  OLLAMA_CONTEXT_LENGTH: whole("contextLength", 1_048_576),
};

/** Variables that are set for reasons which do not concern us, or that another setting here replaces. */
const INSTEAD: { readonly [name: string]: string } = {
  OLLAMA_ORIGINS:
    "web pages are let in one by one, by their exact origin: SECLLAMA_PROXY_ALLOWED_ORIGINS",
  OLLAMA_DEBUG: "logs are set by SECLLAMA_LOG_LEVEL, and hold no content at any level",
  OLLAMA_LLM_LIBRARY: "the libraries are pinned; for a GPU: SECLLAMA_GPU",
};

/**
 * Reads them.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { values } = readOllamaEnvironment({ OLLAMA_HOST: "127.0.0.1:8080", OLLAMA_KEEP_ALIVE: "-1" });
 * assert.deepEqual(values, { proxyPort: 8080, keepAliveMs: Infinity });
 * ```
 */
export function readOllamaEnvironment(env: Env): OllamaSettings {
  let values: Partial<Config> = {};
  const warnings: string[] = [];
  for (const [name, text] of Object.entries(env).sort()) {
    if (!name.startsWith("OLLAMA_") || name === "OLLAMA_MODELS" || !text) continue;
    // As Ollama does: a file of variables may have left the quotes in.
    const bare = text.trim().replace(/^["']+|["']+$/g, "").trim();
    if (bare === "") continue;
    const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    const found = read ? read(bare) : INSTEAD[name] ?? "there is no such setting here";
    if (typeof found === "string") warnings.push(`${name} has no effect: ${found}`);
    else if ("sets" in found) {
      values = { ...values, ...found.sets };
      warnings.push(`${name} ${found.warning}`);
    } else values = { ...values, ...found };
  }
  return { values, warnings };
}

/** A count; 0 and what is no number mean "as you think best" to Ollama, and leave our default. */
function whole(name: keyof Config, most: number): Reader {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (Number.isNaN(value)) return "it is not a whole number";
    return value === 0 ? {} : { [name]: Math.min(value, most) };
  };
}

/** Go's durations, or seconds; anything negative is for ever. */
function goDurationMs(text: string): number | undefined {
  const seconds = /^-?\d{1,12}$/.test(text) ? Number(text) : undefined;
  const ms = seconds === undefined ? durationMs(text) : seconds * 1000;
  return ms === undefined ? undefined : ms < 0 ? Infinity : Math.round(ms);
}
