/**
 * Reads and checks the header of a GGUF file before any engine maps it.
 *
 * ```
 * "GGUF" | u32 version | u64 tensor count | u64 key count
 * key count ×    string key | u32 type | value          array: u32 type | u64 count | values
 * tensor count × string name | u32 dimensions | u64 each | u32 type | u64 offset
 * padding to the alignment | tensor data
 * ```
 * Nothing is allocated by a number from the file, every string, array and tensor must lie inside it, and tensors must
 * follow one another without a gap or an overlap, which is what llama.cpp expects too. It does not read tensor data:
 * weights may hold any value, and the engine that computes with them is sandboxed.
 *
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { TENSOR_TYPES, VALUE, VALUE_BYTES } from "./gguf_types.ts";
import { badModel, type ByteSource, HeaderReader } from "./gguf_reader.ts";
import { SecLlamaError } from "../errors.ts";
import { ioReason } from "../hints.ts";

/** Caps of the header. Far above any known model; they bound memory and time on a hostile one. */
export const GGUF_LIMITS = {
  headerBytes: 64 * 1024 * 1024,
  keys: 65_536,
  tensors: 65_536,
  keyBytes: 65_535,
  /** Longer strings (an embedded tokenizer.json) are passed over, their value is null. */
  keptStringBytes: 1024 * 1024,
  keptTotalBytes: 8 * 1024 * 1024,
  /** GGML_MAX_NAME, which counts the terminating zero. */
  tensorNameBytes: 63,
  dimensions: 4,
  alignment: 1024 * 1024,
} as const;

/** A value of the metadata. Arrays and long strings are not kept: null. 64-bit integers beyond 2^53 are bigint. */
export type GgufValue = number | bigint | boolean | string | null;

/** What is known of an array without keeping it. */
interface GgufArray {
  /** `gguf_type` of its values. */
  readonly type: number;
  readonly count: number;
  /** Of integer arrays: the smallest value. */
  readonly min?: number;
  /** Of the tokens: a text that is there twice. */
  readonly repeated?: string;
}

export interface GgufHeader {
  readonly version: number;
  readonly sizeBytes: number;
  readonly alignment: number;
  /** Where tensor data begins in the file. */
  readonly dataOffset: number;
  readonly tensorCount: number;
  /** Elements of all tensors. */
  readonly parameterCount: number;
  /** Bytes of tensor data by type name, to name the quantisation when the file does not. */
  readonly bytesByType: ReadonlyMap<string, number>;
  /** Lengths of the dimensions of all tensors. */
  readonly lengths: ReadonlySet<number>;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** `gguf_type` of each key. */
  readonly types: ReadonlyMap<string, number>;
  readonly arrays: ReadonlyMap<string, GgufArray>;
}

const MAGIC = 0x46554747; // "GGUF", little-endian

/**
 * Reads the header of a file that the caller opened (from its start), of bytes, or of the regular file at a path.
 * @throws {SecLlamaError} `bad-model` if anything in it is not as the format says, `model-store-unreadable` if the
 *   path cannot be read or is not a regular file.
 */
export async function readGgufHeader(
  source: string | Deno.FsFile | Uint8Array,
): Promise<GgufHeader> {
  if (source instanceof Uint8Array) return await parse(source, source.length);
  if (typeof source === "string") {
    using file = await openRegularFile(source);
    return await parse(file, (await file.stat()).size);
  }
  return await parse(source, (await source.stat()).size);
}

/**
 * Opens a regular file for reading. A device, a pipe, a socket or a folder is refused before it is opened, since
 * opening a pipe waits for its writer and reading a device may never end (CVE-2024-39721).
 * @throws {SecLlamaError} `bad-model` if it is not a regular file, `model-store-unreadable` if it cannot be opened.
 */
export async function openRegularFile(path: string): Promise<Deno.FsFile> {
  let file: Deno.FsFile | undefined;
  try {
    if ((await Deno.stat(path)).isFile) {
      file = await Deno.open(path, { read: true });
      // Again on the open file: the path may have been replaced in between.
      if ((await file.stat()).isFile) return file;
    }
  } catch (error) {
    file?.close();
    throw unreadable(path, error);
  }
  file?.close();
  throw new SecLlamaError("bad-model", `not a regular file: ${path}`, {
    hint: "give the path of a .gguf file",
  });
}

/** The error for a path that the operating system, or Deno's permissions, did not let us use. */
export function unreadable(path: string, cause: unknown): SecLlamaError {
  if (cause instanceof SecLlamaError) return cause;
  const missing = cause instanceof Deno.errors.NotFound;
  return new SecLlamaError(
    "model-store-unreadable",
    missing ? `no such file: ${path}` : `cannot read or write: ${path}: ${ioReason(cause)}`,
    {
      cause,
      hint: missing
        ? "check the path"
        : "look whose the file and its folders are (ls -ld), and whether the disk is full (df -h)",
    },
  );
}

async function parse(source: ByteSource, sizeBytes: number): Promise<GgufHeader> {
  if (sizeBytes < 24) throw badModel("it is shorter than a header");
  const r = new HeaderReader(source, { sizeBytes, capBytes: GGUF_LIMITS.headerBytes });
  await r.ensure(24);
  if (r.u32() !== MAGIC) throw badModel("it does not begin with GGUF");
  const version = r.u32();
  if (version !== 2 && version !== 3) {
    throw badModel(
      (version & 0xffff) === 0 ? "it is big-endian" : `version ${version} is not 2 or 3`,
    );
  }
  // A tensor's entry takes at least 24 bytes, a key's at least 13.
  const tensorCount = r.count(24, "the list of tensors");
  const keyCount = r.count(13, "the list of keys");
  if (tensorCount > GGUF_LIMITS.tensors) throw badModel(`it has ${tensorCount} tensors`);
  if (keyCount > GGUF_LIMITS.keys) throw badModel(`it has ${keyCount} keys`);

  const keys = await readKeys(r, keyCount);
  const alignment = alignmentOf(keys);
  const tensors = await readTensors(r, tensorCount, alignment);
  const dataOffset = Math.ceil(r.offset / alignment) * alignment;
  if (tensorCount > 0 && dataOffset + tensors.dataBytes > sizeBytes) {
    throw badModel(
      `its tensors end at byte ${dataOffset + tensors.dataBytes}, the file at ${sizeBytes}`,
    );
  }
  return {
    version,
    sizeBytes,
    alignment,
    dataOffset,
    tensorCount,
    parameterCount: tensors.parameterCount,
    bytesByType: tensors.bytesByType,
    lengths: tensors.lengths,
    ...keys,
  };
}

type Keys = Pick<GgufHeader, "metadata" | "types" | "arrays">;

async function readKeys(r: HeaderReader, count: number): Promise<Keys> {
  const metadata = new Map<string, GgufValue>();
  const types = new Map<string, number>();
  const arrays = new Map<string, GgufArray>();
  let keptBytes = 0;
  for (let i = 0; i < count; i++) {
    const key = await readName(r, GGUF_LIMITS.keyBytes, "a key");
    if (metadata.has(key)) throw badModel(`the key ${show(key)} occurs twice`);
    await r.ensure(4);
    const type = r.u32();
    types.set(key, type);
    keptBytes += key.length;
    if (type === VALUE.array) {
      arrays.set(key, await readArray(r, key));
      metadata.set(key, null);
    } else if (type === VALUE.string) {
      await r.ensure(8);
      const length = r.count(1, `the value of ${show(key)}`);
      if (length > GGUF_LIMITS.keptStringBytes) {
        await r.skip(length);
        metadata.set(key, null);
      } else {
        keptBytes += length;
        metadata.set(key, await r.text(length, { strict: false, what: "a value" }));
      }
    } else {
      const bytes = VALUE_BYTES.get(type);
      if (bytes === undefined) throw badModel(`the key ${show(key)} has the unknown type ${type}`);
      await r.ensure(bytes);
      metadata.set(key, readScalar(r, type));
    }
    if (keptBytes > GGUF_LIMITS.keptTotalBytes) throw badModel("its metadata is too large");
  }
  return { metadata, types, arrays };
}

async function readArray(r: HeaderReader, key: string): Promise<GgufArray> {
  await r.ensure(12);
  const type = r.u32();
  if (type === VALUE.string) {
    const count = r.count(8, `the array ${show(key)}`);
    if (key === "tokenizer.ggml.tokens") {
      const repeated = await r.firstRepeated(count);
      return { type, count, ...(repeated === undefined ? {} : { repeated }) };
    }
    await r.skipStrings(count);
    return { type, count };
  }
  const bytes = VALUE_BYTES.get(type);
  // Arrays of arrays exist in the format's text only; llama.cpp refuses them as well.
  if (bytes === undefined) throw badModel(`the array ${show(key)} has the unusable type ${type}`);
  const count = r.count(bytes, `the array ${show(key)}`);
  if ((type !== VALUE.u32 && type !== VALUE.i32) || count > 4096) {
    await r.skip(count * bytes);
    return { type, count };
  }
  let min = Infinity;
  for (let i = 0; i < count; i++) {
    const wait = r.ensure(4);
    if (wait) await wait;
    min = Math.min(min, type === VALUE.u32 ? r.u32() : r.i32());
  }
  return { type, count, ...(count > 0 ? { min } : {}) };
}

function readScalar(r: HeaderReader, type: number): GgufValue {
  switch (type) {
    case VALUE.u8:
      return r.u8();
    case VALUE.i8:
      return r.i8();
    case VALUE.u16:
      return r.u16();
    case VALUE.i16:
      return r.i16();
    case VALUE.u32:
      return r.u32();
    case VALUE.i32:
      return r.i32();
    case VALUE.f32:
      return r.f32();
    case VALUE.f64:
      return r.f64();
    case VALUE.bool:
      return r.u8() !== 0;
    default: {
      const value = type === VALUE.u64 ? r.u64() : r.i64();
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    }
  }
}

async function readName(r: HeaderReader, limit: number, what: string): Promise<string> {
  await r.ensure(8);
  const length = r.count(1, what);
  if (length === 0 || length > limit) throw badModel(`${what} is ${length} bytes long`);
  const name = await r.text(length, { strict: true, what });
  if (name.includes("\0")) throw badModel(`${what} holds a zero byte`);
  return name;
}

function alignmentOf(keys: Keys): number {
  const value = keys.metadata.get("general.alignment");
  if (value === undefined) return 32;
  if (keys.types.get("general.alignment") !== VALUE.u32 || typeof value !== "number") {
    throw badModel("its alignment is not a 32-bit integer");
  }
  if (value < 8 || value > GGUF_LIMITS.alignment || (value & (value - 1)) !== 0) {
    throw badModel(`its alignment ${value} is not a power of two from 8`);
  }
  return value;
}

interface Tensors {
  dataBytes: number;
  parameterCount: number;
  bytesByType: Map<string, number>;
  lengths: Set<number>;
}

async function readTensors(r: HeaderReader, count: number, alignment: number): Promise<Tensors> {
  const names = new Set<string>();
  const bytesByType = new Map<string, number>();
  const lengths = new Set<number>();
  let parameterCount = 0;
  let expectedOffset = 0;
  let dataBytes = 0;
  for (let i = 0; i < count; i++) {
    const name = await readName(r, GGUF_LIMITS.tensorNameBytes, "a tensor's name");
    if (names.has(name)) throw badModel(`the tensor ${show(name)} occurs twice`);
    names.add(name);
    await r.ensure(4);
    const dimensions = r.u32();
    if (dimensions > GGUF_LIMITS.dimensions) {
      throw badModel(`the tensor ${show(name)} has ${dimensions} dimensions`);
    }
    await r.ensure(8 * dimensions + 12);
    let elements = 1n;
    let first = 1n;
    for (let d = 0; d < dimensions; d++) {
      const length = r.u64();
      if (d === 0) first = length;
      elements *= length;
      // Checked at each step, so that the product stays small whatever the file says.
      if (length === 0n || elements > BigInt(Number.MAX_SAFE_INTEGER)) {
        throw badModel(`the tensor ${show(name)} has an impossible shape`);
      }
      lengths.add(Number(length));
    }
    const typeNumber = r.u32();
    const type = TENSOR_TYPES.get(typeNumber);
    if (!type) throw badModel(`the tensor ${show(name)} has the unknown type ${typeNumber}`);
    if (first % BigInt(type.block) !== 0n) {
      throw badModel(`the tensor ${show(name)} has rows that are not whole blocks`);
    }
    const bytes = Number(elements / BigInt(type.block)) * type.bytes;
    const offset = r.u64();
    if (offset !== BigInt(expectedOffset)) {
      throw badModel(`the tensor ${show(name)} is not where the one before it ends`);
    }
    dataBytes = expectedOffset + bytes;
    expectedOffset = Math.ceil(dataBytes / alignment) * alignment;
    if (!Number.isSafeInteger(expectedOffset)) throw badModel("its tensors are too large");
    parameterCount += Number(elements);
    bytesByType.set(type.name, (bytesByType.get(type.name) ?? 0) + bytes);
  }
  return { dataBytes, parameterCount, bytesByType, lengths };
}

/** A name from the file as it may be printed: short, and no control or bidirectional characters. */
function show(name: string): string {
  return `"${name.slice(0, 64).replace(/[^\x20-\x7e]/g, "?")}"`;
}
