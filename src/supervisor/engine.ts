/** An engine of somebody else's, from the settings to what is started beside a runner. */
import type { Config } from "../config/config.ts";
import { SecLlamaError } from "../errors.ts";
import { isSameModel } from "../api/model_name.ts";
import type { BootMessage } from "../api/pipe_messages.ts";
import type { EngineKind } from "../api/engine_kinds.ts";
import { type Companion, ENGINE_SOCKET, findEngine } from "../sandbox/mod.ts";

type EngineConfig = Pick<
  Config,
  "engine" | "enginePath" | "engineFiles" | "engineModels" | "enableSandbox"
>;

/** What an engine is told of the model that it is to load. */
interface EngineLoad {
  /** Host paths. */
  readonly modelPath: string;
  readonly adapterPaths: readonly string[];
  /** Of a model that sees or hears. */
  readonly projectorPath?: string | undefined;
  /** Tokens of one slot. */
  readonly contextLength: number;
  readonly slots: number;
  readonly threads: number;
  readonly cacheType: "f16" | "q8_0";
  readonly retyped: BootMessage["retyped"];
  /** Whether the model makes embeddings only. */
  readonly embeds: boolean;
}

/** Whether the engine computes this model. */
export function usesEngine(config: EngineConfig, model: string): boolean {
  if (config.engine === "none") return false;
  return config.engineModels.length === 0 ||
    config.engineModels.some((name) => isSameModel(name, model));
}

/** Whether the engine can be given pictures: of the two only llama-server takes a projector's file. */
export function engineSees(config: EngineConfig): boolean {
  return config.engine === "llama-server";
}

/**
 * What to tell of an engine's models that are not there: one may come later, so that it is no error.
 * @param there Names of the models that are.
 */
export function engineWarnings(config: EngineConfig, there: readonly string[]): string[] {
  if (config.engine === "none") return [];
  return config.engineModels
    .filter((name) => !there.some((one) => isSameModel(name, one)))
    .map((name) =>
      `SECLLAMA_ENGINE_MODELS: there is no model ${name}: until it comes, the engine computes nothing by that name (see: secllama list)`
    );
}

/**
 * That the settings name an engine that can be started.
 * @throws {SecLlamaError} `bad-config`, with what to do.
 */
export function checkEngine(config: EngineConfig): void {
  if (config.engine === "none") {
    if (config.enginePath === "") return;
    throw new SecLlamaError(
      "bad-config",
      "SECLLAMA_ENGINE_PATH is set, and SECLLAMA_ENGINE is not",
      {
        hint: "name the engine as well: --engine llama-server",
      },
    );
  }
  if (config.enginePath === "") {
    throw new SecLlamaError("bad-config", "SECLLAMA_ENGINE is set without SECLLAMA_ENGINE_PATH", {
      hint: "give the full path of its program: --engine-path /opt/llama.cpp/llama-server",
    });
  }
  if (Deno.build.os !== "linux" || !config.enableSandbox) {
    throw new SecLlamaError(
      "bad-config",
      "SECLLAMA_ENGINE: an engine of somebody else's runs in the sandbox of Linux only",
      { hint: "run without --engine, or with the sandbox, on Linux" },
    );
  }
  findEngine(config.engine, config.enginePath);
  for (const path of config.engineFiles) {
    if (isThere(path)) continue;
    throw new SecLlamaError("bad-config", `SECLLAMA_ENGINE_FILES: there is no ${path}`, {
      hint: "give full paths of files and folders that are there, with colons between",
    });
  }
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    // What may not be looked at is there; the launcher says more of it.
    return !(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory);
  }
}

/** @throws {SecLlamaError} `bad-config` if the program went away or a library of it did. */
export function companionFor(config: EngineConfig, load: EngineLoad): Companion {
  const kind = config.engine as EngineKind;
  const { executable, first, files } = findEngine(kind, config.enginePath);
  return {
    kind,
    executable,
    args: [...first, ...ARGUMENTS[kind](load)],
    readOnly: [...files, ...config.engineFiles],
    shared: [
      load.modelPath,
      ...load.adapterPaths,
      ...(load.projectorPath === undefined ? [] : [load.projectorPath]),
    ],
  };
}

const ARGUMENTS: { readonly [kind in EngineKind]: (load: EngineLoad) => Companion["args"] } = {
  "llama-server": (load) => [
    "--host",
    ENGINE_SOCKET,
    "-m",
    { path: load.modelPath },
    "-c",
    String(load.contextLength * load.slots),
    "-np",
    String(load.slots),
    "-t",
    String(load.threads),
    "--offline",
    "--no-webui",
    "--no-slots",
    // By it the runner sees that it computes.
    "--metrics",
    // What a client's prompt left must not be another's: neither kept aside, nor found again by likeness.
    "--cache-ram",
    "0",
    "--slot-prompt-similarity",
    "0",
    ...(load.cacheType === "q8_0" ? ["-ctk", "q8_0", "-ctv", "q8_0"] : []),
    ...load.adapterPaths.flatMap((path) => ["--lora", { path }]),
    ...(load.projectorPath === undefined ? [] : ["--mmproj", { path: load.projectorPath }]),
    ...load.retyped.flatMap(({ key, kind, value }) => [
      "--override-kv",
      `${key}=${kind}:${value}`,
    ]),
    // A text to be embedded is one batch; a prompt is read in pieces, so that each is a step that shows.
    ...(load.embeds ? ["--embeddings"] : ["-b", "512"]),
  ],
  vllm: (load) => [
    "serve",
    { path: load.modelPath },
    "--uds",
    ENGINE_SOCKET,
    "--served-model-name",
    "model",
    "--max-model-len",
    String(load.contextLength),
    "--max-num-seqs",
    String(load.slots),
  ],
};
