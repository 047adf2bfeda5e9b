/** What may have no end: a pipe, a device, or a file that grows. */
import { type Bytes, concat } from "../bytes.ts";

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
