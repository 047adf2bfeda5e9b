/** Packs what a compiled program carries: see src/bundle/part_list.ts for the format. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";
import type { Part, Piece } from "../src/bundle/part_list.ts";

export interface Source {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly executable: boolean;
  readonly always: boolean;
}

/** Compared and taken in whole blocks. */
const BLOCK_BYTES = 1 << 16;

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/**
 * Cuts each source into pieces: blocks that `program` holds at the same offset are taken from there, all else goes into
 * the payload. The first block never counts as equal: it holds the headers, which differ from build to build.
 */
export function pack(
  sources: readonly Source[],
  program: Uint8Array,
): { parts: Part[]; payload: Uint8Array } {
  const literal: Uint8Array[] = [];
  let payloadBytes = 0;
  const parts = sources.map(({ name, bytes, executable, always }): Part => {
    const pieces: { from: Piece["from"]; offset: number; sizeBytes: number }[] = [];
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const block = bytes.subarray(at, at + BLOCK_BYTES);
      const own = executable && at > 0 && equal(block, program.subarray(at, at + block.length));
      const last = pieces.at(-1);
      if (own) {
        if (last?.from === "program") last.sizeBytes += block.length;
        else pieces.push({ from: "program", offset: at, sizeBytes: block.length });
        continue;
      }
      if (last?.from === "payload") last.sizeBytes += block.length;
      else pieces.push({ from: "payload", offset: payloadBytes, sizeBytes: block.length });
      literal.push(block);
      payloadBytes += block.length;
    }
    return { name, sizeBytes: bytes.length, sha256: sha256(bytes), executable, always, pieces };
  });
  return { parts, payload: Buffer.concat(literal) };
}

/**
 * zstd over a window that holds all of it: the libraries are variants of each other.
 * @param small At its highest ordinary level, which takes half a minute; else a tenth larger, in a second.
 */
export function compress(payload: Uint8Array, small: boolean): Uint8Array {
  return zstdCompressSync(payload, {
    params: {
      [constants.ZSTD_c_compressionLevel]: small ? 19 : 9,
      [constants.ZSTD_c_windowLog]: 26,
      [constants.ZSTD_c_enableLongDistanceMatching]: 1,
    },
  });
}

/** Whether `program` still gives every part: the check of a finished build. */
export function holds(
  parts: readonly Part[],
  payload: Uint8Array,
  program: Uint8Array,
): boolean {
  return parts.every((part) => {
    const hash = createHash("sha256");
    for (const { from, offset, sizeBytes } of part.pieces) {
      hash.update((from === "program" ? program : payload).subarray(offset, offset + sizeBytes));
    }
    return hash.digest("hex") === part.sha256;
  });
}
