/**
 * One file out of a ZIP archive that a stranger made (APPNOTE.TXT 6.3.10, sections 4.3.12 and 4.3.16), with a limit on what comes out.
 * No other file is opened, so an archive in an archive stays closed.
 */

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const MOST_ENTRIES = 10_000;

/**
 * The bytes of the entry `name`; undefined: there is none.
 * @param most Bytes, unpacked. What its head says of its size is not believed.
 * @throws {RangeError} For what is broken, encrypted or too large.
 */
export async function unzipOne(
  zip: Uint8Array<ArrayBuffer>,
  name: string,
  most: number,
): Promise<Uint8Array | undefined> {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  let end = zip.length - 22;
  while (end >= 0 && end > zip.length - 66_000 && view.getUint32(end, true) !== END) end--;
  if (end < 0 || view.getUint32(end, true) !== END) throw new RangeError("it is no whole archive");
  const count = view.getUint16(end + 10, true);
  if (count > MOST_ENTRIES) throw new RangeError("its archive has too many entries");
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    if (view.getUint32(at, true) !== ENTRY) throw new RangeError("its archive is broken");
    const nameLength = view.getUint16(at + 28, true);
    const found = new TextDecoder().decode(zip.subarray(at + 46, at + 46 + nameLength));
    if (found === name) return await inflate(zip, view, at, most);
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return undefined;
}

async function inflate(
  zip: Uint8Array<ArrayBuffer>,
  view: DataView,
  at: number,
  most: number,
): Promise<Uint8Array> {
  const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
  if (flags & 1) throw new RangeError("it is encrypted");
  const packed = view.getUint32(at + 20, true);
  const local = view.getUint32(at + 42, true);
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  const body = zip.subarray(start, start + packed);
  if (method === 0) return body;
  if (method !== 8) throw new RangeError("it is packed in a way that is not known");
  const parts: Uint8Array[] = [];
  let size = 0;
  const stream = new Blob([body]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  for await (const part of stream) {
    size += part.length;
    if (size > most) throw new RangeError(`it unpacks to more than ${most / 1024 / 1024} MiB`);
    parts.push(part);
  }
  const out = new Uint8Array(size);
  let filled = 0;
  for (const part of parts) {
    out.set(part, filled);
    filled += part.length;
  }
  return out;
}
