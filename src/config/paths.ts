/** Where SecLlama keeps its files. Reads the environment it is given, not the process's, and touches no file. */
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";

type Env = { readonly [name: string]: string | undefined };

/** A profile's name: 1 to 32 lower-case letters, digits and `-`. */
const PROFILE = /^[a-z0-9-]{1,32}$/;

/**
 * Which of several keysets this process works with: `SECLLAMA_PROFILE`, which `--profile` sets for one command.
 * @throws {SecLlamaError} `bad-config` for what cannot be a profile's name.
 */
export function profileOf(env: Env): string {
  const name = env["SECLLAMA_PROFILE"] || "default";
  if (PROFILE.test(name)) return name;
  throw new SecLlamaError("bad-config", "a profile is 1 to 32 lower-case letters, digits and -", {
    field: "SECLLAMA_PROFILE",
    hint: "for instance: --profile work",
  });
}

/**
 * The folder of a profile's keys, clients, pairings and settings: the data folder, or `profiles/NAME` in it. Models are not in
 * it: they belong to no profile.
 * @throws {SecLlamaError} `bad-config`, also of {@link baseDirectory}.
 */
export function dataDirectory(env: Env, os: typeof Deno.build.os = Deno.build.os): string {
  const profile = profileOf(env);
  const base = baseDirectory(env, os);
  return profile === "default" ? base : join(base, "profiles", profile);
}

/**
 * The data folder: `SECLLAMA_DATA_DIR`, else `$XDG_DATA_HOME/secllama`, else `~/.local/share/secllama` (on macOS
 * `~/Library/Application Support/SecLlama`, on Windows `%LOCALAPPDATA%\SecLlama`).
 * @throws {SecLlamaError} `bad-config` if none of the variables that could name it is set, or one is not absolute.
 */
export function baseDirectory(env: Env, os: typeof Deno.build.os = Deno.build.os): string {
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
  const name = os === "windows" ? "LOCALAPPDATA" : "HOME";
  const why = env[name] ? "is not a full path" : "is not set";
  throw new SecLlamaError("bad-config", `no data folder: ${name} ${why}`, {
    hint: "set SECLLAMA_DATA_DIR to the full path of a folder that only you can read",
  });
}

/**
 * The folder for what a machine remembers of itself: `$XDG_STATE_HOME/secllama`, else `~/.local/state/secllama` (on macOS
 * `~/Library/Caches/SecLlama`, on Windows `%LOCALAPPDATA%\\SecLlama-State`). Apart from the data folder, so that a backup of that
 * one does not bring it back. Undefined where none of the variables that could name it is set.
 */
export function stateDirectory(
  env: Env,
  os: typeof Deno.build.os = Deno.build.os,
): string | undefined {
  if (os === "windows") {
    const local = env["LOCALAPPDATA"];
    return local ? join(local, "SecLlama-State") : undefined;
  }
  const xdg = env["XDG_STATE_HOME"];
  if (os !== "darwin" && xdg && isAbsolute(xdg, os)) return join(xdg, "secllama");
  const home = env["HOME"];
  if (!home || !isAbsolute(home, os)) return undefined;
  return os === "darwin"
    ? join(home, "Library", "Caches", "SecLlama")
    : join(home, ".local", "state", "secllama");
}

function isAbsolute(path: string, os: string): boolean {
  return os === "windows" ? /^[A-Za-z]:[\\/]|^\\\\/.test(path) : path.startsWith("/");
}
