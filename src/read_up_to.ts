/** What a user names may have no end: a pipe, a device, or a file that grows. */
import { type Bytes, concat } from "./bytes.ts";

/** All of it, or one part more than `most` bytes: then the rest is left. */
export async function takeUpTo(stream: AsyncIterable<Uint8Array>, most: number): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    parts.push(part);
    length += part.length;
    if (length > most) break;
  }
  return concat(...parts);
}

/** A file of any kind, so. */
export async function readUpTo(path: string, most: number): Promise<Bytes> {
  const { isFile, size } = await Deno.stat(path);
  if (isFile && size <= most) return await Deno.readFile(path);
  using file = await Deno.open(path);
  return await takeUpTo(file.readable, most);
}

/** A file is longer than what it is to be can be. */
export class FileTooLong extends Error {
  /** @param most Bytes. */
  constructor(most: number) {
    super(`is over ${most / 2 ** 20} MiB`);
  }
}

/** All of a file that a user names. @throws {FileTooLong} If it has more than `most` bytes; what Deno throws. */
export async function readAtMost(path: string, most: number): Promise<Bytes> {
  const bytes = await readUpTo(path, most);
  if (bytes.length > most) throw new FileTooLong(most);
  return bytes;
}
