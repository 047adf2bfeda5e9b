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
const MOST_ENTRIES = 4096;

/** @returns undefined: it is no ELF file of this kind, or broken. */
export function elfNeeds(bytes: Uint8Array): Needs | undefined {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function read(bytes: Uint8Array): Needs | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) return undefined;
  const word = (at: number) => Number(view.getBigUint64(at, true));
  const [start, size, count] = [word(32), view.getUint16(54, true), view.getUint16(56, true)];
  const headers = Array.from({ length: count }, (_, i) => {
    const at = start + i * size;
    return {
      type: view.getUint32(at, true),
      offset: word(at + 8),
      address: word(at + 16),
      size: word(at + 32),
    };
  });
  const text = (at: number) => {
    const end = bytes.indexOf(0, at);
    if (end < 0 || at > bytes.length) throw new RangeError("a text without an end");
    return new TextDecoder().decode(bytes.subarray(at, end));
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
    for (let at = offset; at < offset + size && entries.length < MOST_ENTRIES; at += 16) {
      if (word(at) === DT.null) break;
      entries.push([word(at), word(at + 8)]);
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
