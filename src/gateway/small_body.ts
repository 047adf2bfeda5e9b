/** Reads a request's body where it can only be a short document. */
import { type Bytes, concat } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";

const MAX_BODY_BYTES = 64 * 1024;

/** @throws {SecLlamaError} `too-large` beyond 64 KiB. */
export async function readSmallBody(request: Request): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += part.length;
    if (size > MAX_BODY_BYTES) {
      throw new SecLlamaError("too-large", "the request's body is over 64 KiB");
    }
    parts.push(part);
  }
  return concat(...parts);
}
