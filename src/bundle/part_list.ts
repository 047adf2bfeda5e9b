/**
 * What a compiled program carries inside itself: runner and attacker as executables of their own, llama.cpp's libraries and the
 * demo model. Each part is a row of pieces. A piece is cut out of the program's own file (the runner stands on the same Deno
 * runtime, so nearly all of it is there already) or out of the payload, one zstd stream.
 */
import { SecLlamaError } from "../errors.ts";

export interface Piece {
  readonly from: "program" | "payload";
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface Part {
  /** Relative to the folder it is unpacked to: `lib/libggml-base.so`. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Lower-case hex of the whole part. */
  readonly sha256: string;
  readonly executable: boolean;
  /** Unpacked by `openParts`; the others are unpacked one by one where they are asked for. */
  readonly always: boolean;
  readonly pieces: readonly Piece[];
}

/** How the program was built, for `secllama version`. */
export interface BuildFacts {
  readonly version: string;
  readonly target: string;
  /**
   * The runtime `denort`. deno: fetched by `deno compile` from Deno's own host · named: the file that DENORT_BIN named ·
   * testbase: recovered from an npm package, for tests only.
   */
  readonly base: {
    readonly kind: "deno" | "named" | "testbase";
    readonly sha256: string | null;
  };
  /** npm package that brought the libraries. */
  readonly llamaCpp: string;
  /** npm packages inside, with the integrity that deno.lock holds. */
  readonly packages: readonly {
    readonly name: string;
    readonly version: string;
    readonly integrity: string;
  }[];
}

export interface PartList {
  readonly schema: 1;
  readonly build: BuildFacts;
  /** Of the payload once it is decompressed. */
  readonly payloadBytes: number;
  readonly parts: readonly Part[];
}

/** The list and the payload, as the program holds them; the payload is read when it is needed. */
export interface Carried {
  readonly list: PartList;
  /** The list as it is stored: its SHA-256 covers every part. */
  readonly text: string;
  payload(): Uint8Array;
}

/** A part by its name. @throws {SecLlamaError} `internal`: the program was put together wrongly. */
export function findPart(list: PartList, name: string): Part {
  const part = list.parts.find((p) => p.name === name);
  if (!part) throw new SecLlamaError("internal", `this program carries no ${name}`);
  return part;
}
