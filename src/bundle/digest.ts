/** SHA-256 of files, by pieces of a megabyte. */
import { createHash } from "node:crypto";
import { alloc } from "../linux/libc.ts";
import { CHUNK_BYTES, openProgramFile } from "./program_file.ts";

/** In lower-case hex. @throws What `read` throws; it returns 0 at the end. */
function digestOf(read: (buffer: Uint8Array<ArrayBuffer>, at: number) => number): string {
  const hash = createHash("sha256");
  const buffer = alloc(CHUNK_BYTES);
  for (let at = 0;;) {
    const got = read(buffer, at);
    if (got === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, got));
    at += got;
  }
}

/** How long hashing goes on before it lets others have a turn. */
const TURN_MS = 5;

/** Of a file. What else this process does goes on meanwhile. */
export async function fileDigest(path: string): Promise<string> {
  using file = Deno.openSync(path, { read: true });
  const hash = createHash("sha256");
  const buffer = alloc(CHUNK_BYTES);
  for (let turn = performance.now();;) {
    const got = file.readSync(buffer);
    if (got === null) return hash.digest("hex");
    hash.update(buffer.subarray(0, got));
    if (performance.now() - turn < TURN_MS) continue;
    await new Promise((resolve) => setTimeout(resolve, 0)); // reading on another thread took longer than that
    turn = performance.now();
  }
}

/** Of this very program's file. */
export function programDigest(): string {
  using file = openProgramFile();
  return digestOf((buffer, at) => file.readAt(at, buffer));
}
