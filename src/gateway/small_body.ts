/** Reads a request's body where it can only be a short document. */
import { type Bytes, concat, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";

const MAX_BODY_BYTES = 64 * 1024;

/** @throws {SecLlamaError} `too-large` beyond `maxBytes`. */
export async function readSmallBody(
  request: Request,
  maxBytes = MAX_BODY_BYTES,
): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += part.length;
    if (size > maxBytes) {
      throw new SecLlamaError("too-large", `the request's body is over ${maxBytes / 1024} KiB`);
    }
    parts.push(part);
  }
  return concat(...parts);
}

/**
 * A short JSON object.
 * @throws {SecLlamaError} `too-large`; `bad-request` if it is anything else.
 */
export async function readSmallJson(
  request: Request,
  maxBytes = MAX_BODY_BYTES,
): Promise<Record<string, unknown>> {
  const body = await readSmallBody(request, maxBytes);
  try {
    const value = JSON.parse(utf8Decode(body));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch { /* the same answer as for JSON that is no object */ }
  throw new SecLlamaError("bad-request", "the request's body is not a JSON object");
}
