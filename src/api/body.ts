/** A request's body as a whole, no larger than its route takes. */
import { type Bytes, concat, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import {
  MISSING_BODY_TEXT,
  MODEL_REQUIRED_TEXT,
  NOT_JSON_TEXT,
  NOT_OBJECT_TEXT,
  NOT_UTF8_TEXT,
} from "./texts.ts";

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
  // A copy of ten megabytes takes a tenth of a second.
  return parts.length === 1 ? parts[0] as Bytes : concat(...parts);
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

/** A body over the limit of its path. @param most Bytes; 0: the path takes none. */
export function tooLarge(most: number): SecLlamaError {
  if (most === 0) {
    return new SecLlamaError("too-large", "this path takes no body", {
      hint: "send the request without one",
    });
  }
  return new SecLlamaError("too-large", `the request's body is over ${size(most)}`, {
    hint: "send less at a time",
  });
}

function size(bytes: number): string {
  const mib = bytes / (1024 * 1024);
  return mib >= 1 ? `${Math.floor(mib)} MiB` : `${bytes / 1024} KiB`;
}

/**
 * A JSON object.
 * @param body Its bytes, or its text.
 * @throws {SecLlamaError} `bad-request` if it is anything else. No message quotes the body: it may be content.
 */
export function parseJsonObject(body: Uint8Array | string): Record<string, unknown> {
  const bad = (text: string) => new SecLlamaError("bad-request", text);
  if (body.length === 0) throw bad(MISSING_BODY_TEXT);
  let text: string;
  let value: unknown;
  try {
    text = typeof body === "string" ? body : utf8Decode(body);
  } catch {
    throw bad(NOT_UTF8_TEXT);
  }
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch {
    throw bad(NOT_JSON_TEXT);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw bad(NOT_OBJECT_TEXT);
}

/**
 * The name of the model in a request's body.
 * @throws {SecLlamaError} `bad-request` without one.
 */
export function requiredModel({ model, name }: Record<string, unknown>): string {
  // `name` is how Ollama's older endpoints have it.
  for (const asked of [model, name]) if (typeof asked === "string" && asked !== "") return asked;
  throw modelRequired();
}

/** A request that names no model. */
export function modelRequired(): SecLlamaError {
  return new SecLlamaError("bad-request", MODEL_REQUIRED_TEXT, {
    field: "model",
    fault: "missing",
    hint: 'add "model" to the JSON body',
  });
}
