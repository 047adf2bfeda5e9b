/** The settings of this process: the environment, the flags, and the config file, if it is nobody else's to change. */
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { ioReason } from "../hints.ts";
import { type Config, type ConfigSources, loadConfig } from "./config.ts";
import { baseDirectory, dataDirectory } from "./paths.ts";

/** Of a config file: some hundred settings have a few KiB. */
const MAX_BYTES = 1 << 20;

export interface Settings {
  readonly config: Config;
  readonly dataDir: string;
  /** The store of models, which all profiles share. */
  readonly modelsDir: string;
  /** The config file, which need not be there. */
  readonly configFile: string;
}

/**
 * Reads the settings. `SECLLAMA_CONFIG` names the file; else `config.toml` in the data folder is read if it is there.
 * @throws {SecLlamaError} `bad-config`.
 */
export async function loadSettings(
  { env, flags = {} }: Pick<ConfigSources, "env" | "flags">,
): Promise<Settings> {
  const dataDir = dataDirectory(env);
  const named = env["SECLLAMA_CONFIG"];
  if (named === "") {
    throw new SecLlamaError("bad-config", "SECLLAMA_CONFIG is set, and names no file", {
      field: "SECLLAMA_CONFIG",
      hint: `name the file, or unset it: ${join(dataDir, "config.toml")} is read then`,
    });
  }
  const path = named ?? join(dataDir, "config.toml");
  let file: { text: string; name: string } | undefined;
  try {
    file = { text: await readOwn(path), name: named ? "SECLLAMA_CONFIG" : "config.toml" };
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    if (named === undefined && cause instanceof Deno.errors.NotADirectory) {
      throw new SecLlamaError("bad-config", `${dataDir} is not a folder, nor can it be one`, {
        field: "SECLLAMA_DATA_DIR",
        hint: "name a folder that only you can read: SECLLAMA_DATA_DIR, or HOME above it",
        cause,
      });
    }
    // A file that was named, or that is there and cannot be read, may hold a protection: going on without it would weaken.
    if (named !== undefined || !(cause instanceof Deno.errors.NotFound)) {
      throw new SecLlamaError(
        "bad-config",
        `cannot read the config file ${named ? "that SECLLAMA_CONFIG names" : path}: ${
          ioReason(cause)
        }`,
        {
          hint: "check that it is there, and whose it is (ls -l)",
          cause,
        },
      );
    }
  }
  return {
    config: loadConfig({ env, flags, ...(file ? { file } : {}) }),
    dataDir,
    modelsDir: join(baseDirectory(env), "models"),
    configFile: path,
  };
}

/**
 * A config file's text, if it is nobody else's to change: it can switch protections off and names libraries to load.
 * @throws {SecLlamaError} `bad-config`.
 */
async function readOwn(path: string): Promise<string> {
  using file = await Deno.open(path);
  const { uid, mode, isFile } = await file.stat();
  const refused = (what: string, hint: string) =>
    new SecLlamaError("bad-config", `the config file ${path} ${what}`, { hint });
  if (Deno.build.os !== "windows" && isFile) {
    if (uid !== 0 && uid !== Deno.uid()) {
      throw refused("belongs to another user", "use a file of your own, or of root's");
    }
    if ((mode ?? 0) & 0o002) {
      throw refused("may be written to by everybody", `run: chmod 600 ${path}`);
    }
  }
  // Read by its bytes: a device's size is 0, and it has no end.
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  for await (const part of file.readable) {
    size += part.length;
    if (size > MAX_BYTES) {
      throw refused("is longer than 1 MiB", "name a file of lines like: name = value");
    }
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}
