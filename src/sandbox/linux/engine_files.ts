/**
 * What a program of somebody else's needs to run: itself, the libraries that it and these name, and the backends beside it that
 * llama.cpp opens by name. Found as the loader finds them where it has no cache file, since the sandbox holds none.
 */
import { basename, dirname } from "node:path";
import { SecLlamaError } from "../../errors.ts";
import { elfNeedsOf } from "../../linux/elf.ts";
import type { EngineKind } from "../../api/engine_kinds.ts";
import { libraryFolders } from "./library_folders.ts";

/** A program as it is started. */
export interface EngineProgram {
  /** An ELF file, with its links followed. */
  readonly executable: string;
  /** What stands before its arguments: of a script, the script. */
  readonly first: readonly string[];
  /** Files that it needs, by the names that they are looked up by. */
  readonly files: readonly string[];
}

const MOST_FILES = 512;

/**
 * The program of an engine, and what it needs.
 * @param path Of the engine's program, or of a script with `#!` and a full path.
 * @throws {SecLlamaError} `bad-config`: it is not there, is no program of this machine, or a library of it is missing.
 */
export function findEngine(kind: EngineKind, path: string): EngineProgram {
  const bad = (message: string, hint: string) =>
    new SecLlamaError("bad-config", `SECLLAMA_ENGINE_PATH: ${message}`, { hint });
  if (isFolder(path)) {
    const hint = "give the full path of the engine's program, which may be in it";
    throw bad(`${path} is a folder`, hint);
  }
  const start = readStart(path);
  if (start === undefined) {
    throw bad(`${path} cannot be read`, "give the full path of the engine's program");
  }
  const script = /^#! *(\/\S+)(?: +(\S+))? *\n/.exec(start);
  const named = script?.[1] ?? path;
  if (!isFile(named)) {
    throw bad(
      `${path} is a script for ${named}, which is not there`,
      "in its first line, give the full path of a program that is there",
    );
  }
  const program = Deno.realPathSync(named);
  if (script && basename(program) === "env") {
    throw bad(
      `${path} is a script that looks for its program by env`,
      "in its first line, give the full path of the program",
    );
  }
  if (!needsOf(program)) {
    throw bad(`${program} is no program of this machine`, "give the path of an ELF executable");
  }
  const beside = kind === "llama-server" ? backendsIn(dirname(program)) : [];
  const files = new Set<string>(script ? [path] : []);
  const waiting = [program, ...beside];
  for (const one of beside) files.add(one);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const { needed = [], runPath = [] } = needsOf(file) ?? {};
    const origin = dirname(Deno.realPathSync(file));
    const folders = [
      ...runPath.map((p) => p.replace(/\$\{?ORIGIN\}?/g, dirname(file!))),
      ...runPath.map((p) => p.replace(/\$\{?ORIGIN\}?/g, origin)),
      ...libraryFolders(Deno.build.arch),
    ];
    for (const name of needed) {
      const found = folders.map((folder) => `${folder}/${name}`).find(isFile);
      // The loader itself is there already.
      if (found === undefined && name.startsWith("ld-linux")) continue;
      if (found === undefined) {
        throw bad(
          `${file} needs ${name}, which is in none of ${[...new Set(folders)].join(", ")}`,
          "inside the sandbox there is no LD_LIBRARY_PATH: put it beside the program, with an rpath of $ORIGIN",
        );
      }
      if (files.has(found)) continue;
      files.add(found);
      waiting.push(found);
      if (files.size > MOST_FILES) throw bad(`${path} needs too many files`, "look at it with ldd");
    }
  }
  return {
    executable: program,
    first: script ? [...(script[2] === undefined ? [] : [script[2]]), path] : [],
    files: [...files],
  };
}

/** @throws {SecLlamaError} `bad-config`: it may not be read. */
function needsOf(file: string): ReturnType<typeof elfNeedsOf> {
  try {
    return elfNeedsOf(file);
  } catch (cause) {
    throw new SecLlamaError("bad-config", `SECLLAMA_ENGINE_PATH: ${file} cannot be read`, {
      hint: "the engine's program and its libraries must be readable by who runs serve",
      cause,
    });
  }
}

/** Of llama.cpp built with GGML_BACKEND_DL. */
function backendsIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => /^libggml-.*\.so$/.test(name)).sort().map((name) => `${folder}/${name}`);
}

function readStart(path: string): string | undefined {
  try {
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(256);
    return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
  } catch {
    return undefined;
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
