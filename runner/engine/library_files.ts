/**
 * Reads the folder of libraries, which on Linux may be known by a descriptor only (`/proc/self/fd/N`, src/sandbox/linux/launch_spec.ts):
 * Deno refuses all of /proc to a program that has not all permissions, the kernel does not.
 */
import { AT_FDCWD, cstr, type Linux, linux } from "../../src/linux/libc.ts";

/** No library is larger, with or without a GPU. */
const LIMIT_BYTES = 2 ** 31;

function native(path: string): Linux | null {
  return Deno.build.os === "linux" && path.startsWith("/proc/self/fd/") ? linux() : null;
}

/** @throws If the folder cannot be read. */
export function namesIn(folder: string): string[] {
  return native(folder)?.readDirectory(folder) ??
    [...Deno.readDirSync(folder)].map(({ name }) => name);
}

/** @throws If the file cannot be read. */
export function readLibrary(path: string): Uint8Array<ArrayBuffer> {
  return native(path)?.readFile(path, LIMIT_BYTES) ?? Deno.readFileSync(path);
}

export function isThere(path: string): boolean {
  const system = native(path);
  if (system) return system.call("faccessat", AT_FDCWD, cstr(path), 0) === 0;
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
