/** A request's body as a whole, no larger than its route takes. */
import { type Bytes, concat, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { MISSING_BODY_TEXT } from "./texts.ts";

/**
 * All bytes of a stream. Leaving it early, by an error, cancels it.
 * @param most Bytes.
 * @throws {SecLlamaError} `too-large` beyond `most`.
 */
export async function collect(
  stream: AsyncIterable<Uint8Array> | null,
  most: number,
): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream ?? []) {
    size += part.length;
    if (size > most) throw tooLarge(most);
    parts.push(part);
  }
  return concat(...parts);
}

/**
 * The JSON object that a request to a route brings.
 * @throws {SecLlamaError} As {@link collect} and {@link parseJsonObject}.
 */
export async function readJson(
  request: Request,
  route: { readonly maxBytes: number },
): Promise<Record<string, unknown>> {
  return parseJsonObject(await collect(request.body, route.maxBytes));
}

/** @param most Bytes. */
export function tooLarge(most: number): SecLlamaError {
  return new SecLlamaError("too-large", `the request's body is over ${size(most)}`, {
    hint: "send less at a time",
  });
}

function size(bytes: number): string {
  if (bytes === 0) return "nothing, which is what this path takes";
  const mib = bytes / (1024 * 1024);
  return mib >= 1 ? `${Math.floor(mib)} MiB` : `${bytes / 1024} KiB`;
}

/**
 * A JSON object.
 * @throws {SecLlamaError} `bad-request` if the bytes are anything else.
 */
export function parseJsonObject(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length === 0) throw new SecLlamaError("bad-request", MISSING_BODY_TEXT);
  let value: unknown;
  try {
    value = JSON.parse(utf8Decode(bytes));
  } catch {
    // The parser's own message quotes the text around the error, which may be content.
    throw new SecLlamaError("bad-request", "the request body must be JSON in UTF-8");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new SecLlamaError("bad-request", "the request body must be a JSON object");
}
