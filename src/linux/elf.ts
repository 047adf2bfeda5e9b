/** What an ELF file (elf(5)) needs of others: the loader and the libraries that it names. Reads files that are not trusted. */

/** The dynamic part of a 64-bit little-endian file. */
interface Needs {
  /** The loader; absent: of a library, or of a program that needs none. */
  readonly interpreter?: string;
  /** Names of libraries. */
  readonly needed: readonly string[];
  /** Folders in which they are looked up first; `$ORIGIN` is the file's own. */
  readonly runPath: readonly string[];
}

const PT = { load: 1, dynamic: 2, interp: 3 } as const;
const DT = { null: 0, needed: 1, strtab: 5, rpath: 15, runpath: 29 } as const;
const MOST_HEADERS = 1024;
const MOST_ENTRIES = 4096;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
/** A name, or a list of folders, with the zero that ends it. */
const MOST_NAME_BYTES = 4096;

/** Up to `length` bytes of a file from a place on. */
type Read = (at: number, length: number) => Uint8Array;

/**
 * Reads some small pieces of a file, however large it is.
 * @returns undefined: it is no ELF file of this kind, or broken.
 * @throws {Deno.errors.NotFound} And what else opening it may throw.
 */
export function elfNeedsOf(path: string): Needs | undefined {
  using file = Deno.openSync(path);
  return elfNeeds((at, length) => {
    const bytes = new Uint8Array(length);
    file.seekSync(at, Deno.SeekMode.Start);
    let have = 0;
    for (let got: number | null = 0; have < length && got !== null; have += got ?? 0) {
      got = file.readSync(bytes.subarray(have));
    }
    return bytes.subarray(0, have);
  });
}

/** @returns undefined: it is no ELF file of this kind, or broken. */
export function elfNeeds(read: Read): Needs | undefined {
  try {
    return parse(read);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function parse(read: Read): Needs | undefined {
  const view = (at: number, length: number) => {
    const bytes = read(at, length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  const head = view(0, HEADER_BYTES);
  if (head.getUint32(0) !== 0x7f454c46 || head.getUint16(4) !== 0x0201) return undefined;
  const [start, size, count] = [word(head, 32), head.getUint16(54, true), head.getUint16(56, true)];
  if (size < PROGRAM_HEADER_BYTES || count > MOST_HEADERS) return undefined;
  const table = view(start, size * count);
  const headers = Array.from({ length: count }, (_, i) => {
    const at = i * size;
    return {
      type: table.getUint32(at, true),
      offset: word(table, at + 8),
      address: word(table, at + 16),
      size: word(table, at + 32),
    };
  });
  const text = (at: number) => {
    const bytes = read(at, MOST_NAME_BYTES);
    const end = bytes.indexOf(0);
    if (end < 0) throw new RangeError("a text without an end");
    return new TextDecoder().decode(bytes.subarray(0, end));
  };
  const place = (address: number) => {
    const segment = headers.find((h) =>
      h.type === PT.load && address >= h.address && address < h.address + h.size
    );
    if (!segment) throw new RangeError("an address outside the file");
    return segment.offset + address - segment.address;
  };
  const entries: [tag: number, value: number][] = [];
  for (const { offset, size } of headers.filter(({ type }) => type === PT.dynamic)) {
    const list = view(offset, Math.min(size, 16 * MOST_ENTRIES));
    for (let at = 0; at + 16 <= list.byteLength; at += 16) {
      if (word(list, at) === DT.null) break;
      entries.push([word(list, at), word(list, at + 8)]);
    }
  }
  const strings = entries.find(([tag]) => tag === DT.strtab);
  const named = (tag: number) =>
    entries.filter(([t]) => t === tag).map(([, value]) => text(place(strings?.[1] ?? -1) + value));
  const interpreter = headers.find(({ type }) => type === PT.interp);
  const runPath = named(DT.runpath);
  return {
    ...(interpreter ? { interpreter: text(interpreter.offset) } : {}),
    needed: named(DT.needed),
    runPath: (runPath.length > 0 ? runPath : named(DT.rpath)).flatMap((p) => p.split(":")),
  };
}

/** @throws {RangeError} If it is no place in a file. */
function word(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError("a number is too large");
  return Number(value);
}
