/**
 * Loads the pinned llama.cpp libraries. After `openLibrary` returns, no further library is opened, no thread pool
 * but the caller's is made and nothing is printed: llama.cpp's log goes to a C function that does nothing, and a
 * failed assertion in native code writes its one line to stderr before the process ends.
 *
 * Not a wrapper of the API: callers use `library.llama` as the header declares it.
 */
import { createHash } from "node:crypto";
import { SecLlamaError } from "../../src/errors.ts";
import { LIBRARY_SETS, type LibrarySet } from "./digests.ts";
import { checkLayout, CONTEXT_PARAMS, MODEL_PARAMS, THREADPOOL_PARAMS } from "./layout.ts";
import {
  BASE_SYMBOLS,
  GGML_SYMBOLS,
  LLAMA_SYMBOLS,
  type LlamaSymbols,
  THREADPOOL_FREE,
  THREADPOOL_NEW,
} from "./symbols.ts";
import { cString, readCString } from "./c_string.ts";
import { isThere, namesIn, readLibrary } from "./library_files.ts";

const reinstall = (set: LibrarySet) => `reinstall ${set.package}`;

export interface Library {
  readonly llama: LlamaSymbols;
  readonly set: LibrarySet;
  /** Defaults as the library gave them, checked against the table; copy before changing. */
  readonly defaults: {
    modelParams(): Uint8Array<ArrayBuffer>;
    contextParams(): Uint8Array<ArrayBuffer>;
    threadpoolParams(threads: number): Uint8Array<ArrayBuffer>;
  };
  /** llama.cpp's name of the first GPU that its backends found ("Vulkan0"); null: none. */
  gpuDevice(): string | null;
  /** The address of strlen(3): see stop_signal.ts. */
  readonly strlen: Deno.PointerValue;
  newThreadpool(params: Uint8Array<ArrayBuffer>): Deno.PointerValue;
  freeThreadpool(pool: Deno.PointerValue): void;
  /**
   * Runs `action` with llama.cpp's error lines collected: for loading, where they say why it failed.
   * @param setLog Of another library of llama.cpp's, which is silent afterwards.
   */
  collectErrors<T>(action: () => T, setLog?: SetLog): { result: T; errors: string[] };
}

type SetLog = (callback: Deno.PointerValue, data: Deno.PointerValue) => void;

/** GPU and IGPU of `enum ggml_backend_dev_type`. */
const GPU_TYPES = [1, 2] as const;

/** One for the process: ggml keeps its backends in globals, and what is loaded is never unloaded. */
const opened = new Map<string, Library>();

/**
 * Opens the libraries in `dir`, or returns them if they are open.
 * @param options.verify Whether to compare their SHA-256 with digests.ts.
 * @throws {SecLlamaError} `model-failed`: a library is missing, differs from the pinned one, or fails to load.
 */
export function openLibrary(dir: string, options: { verify: boolean }): Library {
  const known = opened.get(dir);
  if (known) return known;
  const set = librarySetFor(`${Deno.build.os}-${Deno.build.arch}`, dir);
  if (options.verify) verifyLibraries(dir, set);
  let library: Library;
  try {
    library = load(dir, set);
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    throw new SecLlamaError("model-failed", "the llama.cpp libraries could not be loaded", {
      hint: reinstall(set),
      cause,
    });
  }
  opened.set(dir, library);
  return library;
}

/**
 * The set that `dir` holds, by the name of its libllama; without one, the platform's set without a GPU.
 * @throws {SecLlamaError} `model-failed`: no set is pinned for the platform, or `dir` holds another libllama than these.
 */
export function librarySetFor(platform: string, dir?: string): LibrarySet {
  const sets = LIBRARY_SETS.filter((candidate) => candidate.platform === platform);
  const set = sets.find(({ llama }) => dir !== undefined && isThere(`${dir}/${llama}`)) ?? sets[0];
  if (!set) {
    throw new SecLlamaError("model-failed", `no llama.cpp libraries are pinned for ${platform}`);
  }
  const other = dir === undefined || isThere(`${dir}/${set.llama}`) ? undefined : otherIn(dir);
  if (other !== undefined) {
    const known = sets.map(({ llama }) => llama).join(", ");
    throw new SecLlamaError(
      "model-failed",
      `${other} is no llama.cpp whose layout was checked, must be one of ${known}`,
      { hint: "run that release as --engine llama-server" },
    );
  }
  return set;
}

/** A libllama in the folder, by its name as built. */
function otherIn(dir: string): string | undefined {
  try {
    return namesIn(dir).find((name) =>
      /^(lib)?llama(\.[\w.]+)?\.(so|dylib|dll)(\.[\d.]+)?$/.test(name)
    );
  } catch {
    return undefined; // said where its files are verified
  }
}

/**
 * Compares each library of the folder with its pinned digest. ggml opens every `libggml-*` file it finds there, so one
 * that is not in the table is refused too.
 * @throws {SecLlamaError} `model-failed` naming the file.
 */
export function verifyLibraries(dir: string, set: LibrarySet): void {
  const fail = (message: string, cause?: unknown) =>
    new SecLlamaError("model-failed", message, { hint: reinstall(set), cause });
  const present = new Set<string>();
  try {
    for (const name of namesIn(dir)) {
      if (/^(lib)?ggml.*\.(so|dylib|dll)$/.test(name)) present.add(name);
    }
  } catch (cause) {
    throw fail("the folder of the llama.cpp libraries cannot be read", cause);
  }
  for (const name of [set.base, set.ggml, set.llama]) present.add(name);
  for (const name of present) {
    const expected = set.files[name];
    if (expected === undefined) throw fail(`library ${name} is not one of ${set.package}`);
    let bytes: Uint8Array;
    try {
      bytes = readLibrary(`${dir}/${name}`);
    } catch (cause) {
      throw fail(`library ${name} cannot be read`, cause);
    }
    const actual = createHash("sha256").update(bytes).digest("hex");
    if (actual !== expected) {
      throw fail(`library ${name} has SHA-256 ${actual}, must be ${expected}`);
    }
  }
}

function load(dir: string, set: LibrarySet): Library {
  const { labs, perror, strlen } = prepareC();

  const base = Deno.dlopen(`${dir}/${set.base}`, BASE_SYMBOLS).symbols;
  const ggml = Deno.dlopen(`${dir}/${set.ggml}`, GGML_SYMBOLS).symbols;
  const llama = Deno.dlopen(`${dir}/${set.llama}`, LLAMA_SYMBOLS).symbols;

  // A C function serves as log callback, as none of JavaScript is safe to call from native threads. labs(long) looks
  // at one register and touches no memory; perror(message) prints one line.
  llama.llama_log_set(labs, null);
  base.ggml_set_abort_callback(perror);

  const modelDefaults = llama.llama_model_default_params();
  const contextDefaults = llama.llama_context_default_params();
  checkLayout(MODEL_PARAMS, modelDefaults);
  checkLayout(CONTEXT_PARAMS, contextDefaults);
  checkLayout(THREADPOOL_PARAMS, base.ggml_threadpool_params_default(1));

  ggml.ggml_backend_load_all_from_path(cString(dir));
  llama.llama_backend_init();
  const cpu = ggml.ggml_backend_reg_by_name(cString("CPU"));
  if (cpu === null) {
    throw new SecLlamaError("model-failed", "llama.cpp has no backend for this processor");
  }
  const address = (name: string) => {
    const found = base.ggml_backend_reg_get_proc_address(cpu, cString(name));
    if (found === null) throw new SecLlamaError("model-failed", `the CPU backend has no ${name}`);
    return found;
  };
  const threadpoolNew = new Deno.UnsafeFnPointer(
    address("ggml_threadpool_new") as Deno.PointerObject<typeof THREADPOOL_NEW>,
    THREADPOOL_NEW,
  );
  const threadpoolFree = new Deno.UnsafeFnPointer(
    address("ggml_threadpool_free") as Deno.PointerObject<typeof THREADPOOL_FREE>,
    THREADPOOL_FREE,
  );

  return {
    llama,
    set,
    defaults: {
      modelParams: () => modelDefaults.slice(0, MODEL_PARAMS.size),
      contextParams: () => contextDefaults.slice(0, CONTEXT_PARAMS.size),
      threadpoolParams: (threads) =>
        base.ggml_threadpool_params_default(threads).slice(0, THREADPOOL_PARAMS.size),
    },
    gpuDevice: () => {
      const device = GPU_TYPES.map((type) => ggml.ggml_backend_dev_by_type(type)).find(Boolean);
      return device ? readCString(base.ggml_backend_dev_name(device)) : null;
    },
    strlen,
    newThreadpool: (params) => threadpoolNew.call(params),
    freeThreadpool: (pool) => threadpoolFree.call(pool),
    collectErrors: (action, setLog = llama.llama_log_set) => collectErrors(setLog, labs, action),
  };
}

/** Sets the environment that ggml reads. Returns functions of the C library by address: see where logs are set. */
function prepareC(): Record<"labs" | "perror" | "strlen", Deno.PointerValue> {
  const pointer = { type: "pointer" } as const;
  const addresses = { labs: pointer, perror: pointer, strlen: pointer };
  // A failed assertion would fork a debugger, and a variable could name a library to load.
  const [set, unset] = [cString("GGML_NO_BACKTRACE"), cString("GGML_BACKEND_PATH")];
  if (Deno.build.os === "windows") {
    const { symbols } = Deno.dlopen("C:\\Windows\\System32\\ucrtbase.dll", {
      ...addresses,
      _putenv_s: { parameters: ["buffer", "buffer"], result: "i32" },
    });
    symbols._putenv_s(set, cString("1"));
    symbols._putenv_s(unset, cString("")); // an empty value removes it
    return symbols;
  }
  const { symbols } = Deno.dlopen(
    Deno.build.os === "darwin" ? "libSystem.B.dylib" : "libc.so.6",
    {
      ...addresses,
      setenv: { parameters: ["buffer", "buffer", "i32"], result: "i32" },
      unsetenv: { parameters: ["buffer"], result: "i32" },
    },
  );
  symbols.setenv(set, cString("1"), 1);
  symbols.unsetenv(unset);
  return symbols;
}

const ERROR_LEVEL = 4;
const CONTINUED_LEVEL = 5;

/** The action must be synchronous and call back on this thread only, as loading does. */
function collectErrors<T>(
  setLog: SetLog,
  ignore: Deno.PointerValue,
  action: () => T,
): { result: T; errors: string[] } {
  const errors: string[] = [];
  let inError = false;
  const callback = new Deno.UnsafeCallback(
    { parameters: ["i32", "pointer", "pointer"], result: "void" },
    (level, text) => {
      if (level !== CONTINUED_LEVEL) inError = level === ERROR_LEVEL;
      if (!inError || errors.length >= 100) return;
      // A text that is no UTF-8 must not throw into native code.
      try {
        errors.push(readCString(text).trim());
      } catch { /* the next line may be readable */ }
    },
  );
  try {
    setLog(callback.pointer, null);
    return { result: action(), errors };
  } finally {
    setLog(ignore, null);
    callback.close();
  }
}
