/** Where SecLlama keeps its files. Reads the environment it is given, not the process's, and touches no file. */
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";

type Env = { readonly [name: string]: string | undefined };

/**
 * The data folder: `SECLLAMA_DATA_DIR`, else `$XDG_DATA_HOME/secllama`, else `~/.local/share/secllama` (on macOS
 * `~/Library/Application Support/SecLlama`, on Windows `%LOCALAPPDATA%\SecLlama`).
 * @throws {SecLlamaError} `bad-config` if none of the variables that could name it is set, or one is not absolute.
 */
export function dataDirectory(env: Env, os: typeof Deno.build.os = Deno.build.os): string {
  const explicit = env["SECLLAMA_DATA_DIR"];
  if (explicit !== undefined && explicit !== "") {
    if (!isAbsolute(explicit, os)) {
      throw new SecLlamaError("bad-config", "SECLLAMA_DATA_DIR must be an absolute path", {
        field: "SECLLAMA_DATA_DIR",
        hint: "give the full path of a folder that only you can read",
      });
    }
    return explicit;
  }
  if (os === "windows") {
    const local = env["LOCALAPPDATA"];
    if (local) return join(local, "SecLlama");
  } else {
    // The XDG specification: a relative path is invalid and is to be ignored.
    const xdg = env["XDG_DATA_HOME"];
    if (os !== "darwin" && xdg && isAbsolute(xdg, os)) return join(xdg, "secllama");
    const home = env["HOME"];
    if (home && isAbsolute(home, os)) {
      return os === "darwin"
        ? join(home, "Library", "Application Support", "SecLlama")
        : join(home, ".local", "share", "secllama");
    }
  }
  throw new SecLlamaError("bad-config", "no data folder: HOME is not set", {
    hint: "set SECLLAMA_DATA_DIR to the full path of a folder that only you can read",
  });
}

function isAbsolute(path: string, os: string): boolean {
  return os === "windows" ? /^[A-Za-z]:[\\/]|^\\\\/.test(path) : path.startsWith("/");
}
