/**
 * The data of an exchange's first frame: `u16 length | JSON | body bytes`.
 *
 * Request JSON `{m: method, p: path with query, h: headers, t: unix ms}`, reply JSON `{s: status, h: headers}`, with
 * `k: base64url(renewal)` if the client is to take up a new key: renewal.ts. It is authenticated when it is read, but its sender
 * may still be wrong, so each field is checked once, here. Fields that this version does not know are ignored.
 */
import { type Bytes, fromBase64Url, toBase64Url, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { MAX_RENEWAL_BYTES } from "./renewal.ts";
import { lengthPrefixed } from "./suite.ts";

export type Headers1 = { readonly [name: string]: string };

/** What a sealed request asks for; header names are lower case. */
export interface RequestEnvelope {
  readonly method: string;
  /** Path and query: `/api/chat`. */
  readonly path: string;
  readonly headers: Headers1;
  /** Unix ms of sealing, by the runner's clock as the key document told it. */
  readonly time: number;
}

export interface ReplyEnvelope {
  readonly status: number;
  readonly headers: Headers1;
  /** The client's new key after a rotation of the host's, sealed to the client: a runner carries it unread. */
  readonly renewal?: Uint8Array;
}

const MAX_JSON_BYTES = 0xffff;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const METHOD = /^[A-Z]{1,16}$/;
// Not `//host` or `/\host`: resolved against a base URL those would name another host.
const PATH = /^\/(?![/\\])[\x21-\x7e]*$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * `u16 length | JSON` for a request.
 * @throws {SecLlamaError} `too-large` if the JSON is above 65,535 bytes.
 */
export function encodeRequestEnvelope(envelope: RequestEnvelope): Bytes {
  const { method: m, path: p, headers: h, time: t } = envelope;
  return encode({ m, p, h, t }, "request");
}

/**
 * `u16 length | JSON` for a reply.
 * @throws {SecLlamaError} `too-large` if the JSON is above 65,535 bytes.
 */
export function encodeReplyEnvelope(envelope: ReplyEnvelope): Bytes {
  const { status: s, headers: h, renewal } = envelope;
  if (renewal === undefined) return encode({ s, h }, "reply");
  return encode({ s, h, k: toBase64Url(renewal) }, "reply");
}

/**
 * Reads the first frame's data of a request.
 * @throws {SecLlamaError} `malformed` if a field is missing, of another type or not what HTTP allows.
 */
export function parseRequestEnvelope<T extends Uint8Array>(
  data: T,
): { envelope: RequestEnvelope; rest: T } {
  const { json, rest } = decode(data);
  const { m, p, h, t } = json;
  if (typeof m !== "string" || !METHOD.test(m)) throw malformed("m is not an HTTP method");
  if (typeof p !== "string" || !PATH.test(p)) throw malformed("p is not a path");
  if (typeof t !== "number" || !Number.isSafeInteger(t) || t < 0) {
    throw malformed("t is not a time in ms");
  }
  return { envelope: { method: m, path: p, headers: parseHeaders(h), time: t }, rest };
}

/**
 * Reads the first frame's data of a reply.
 * @throws {SecLlamaError} `malformed` if a field is missing, of another type or not what HTTP allows.
 */
export function parseReplyEnvelope<T extends Uint8Array>(
  data: T,
): { envelope: ReplyEnvelope; rest: T } {
  const { json, rest } = decode(data);
  const { s, h, k } = json;
  if (typeof s !== "number" || !Number.isInteger(s) || s < 200 || s > 599) {
    throw malformed("s is not an HTTP status from 200 to 599");
  }
  const renewal = k === undefined ? {} : { renewal: parseRenewal(k) };
  return { envelope: { status: s, headers: parseHeaders(h), ...renewal }, rest };
}

function parseRenewal(value: unknown): Bytes {
  if (typeof value === "string" && value.length <= 2 * MAX_RENEWAL_BYTES) {
    try {
      return fromBase64Url(value);
    } catch { /* not base64url */ }
  }
  throw malformed("k is not a sealed renewal");
}

function encode(value: unknown, what: string): Bytes {
  const json = utf8(JSON.stringify(value));
  if (json.length > MAX_JSON_BYTES) {
    throw new SecLlamaError(
      "too-large",
      `the ${what}'s method, path and headers take ${json.length} bytes, at most ${MAX_JSON_BYTES} fit`,
    );
  }
  return lengthPrefixed(json);
}

function decode<T extends Uint8Array>(data: T): { json: { [key: string]: unknown }; rest: T } {
  if (data.length < 2) throw malformed("the first frame is shorter than its length field");
  const end = 2 + ((data[0]! << 8) | data[1]!);
  if (data.length < end) throw malformed("the first frame is shorter than its JSON");
  let json: unknown;
  try {
    json = JSON.parse(utf8Decode(data.subarray(2, end)));
  } catch {
    throw malformed("the first frame does not hold JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw malformed("the first frame's JSON is not an object");
  }
  return { json: json as { [key: string]: unknown }, rest: data.subarray(end) as T };
}

function parseHeaders(value: unknown): Headers1 {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformed("h is not an object");
  }
  // No prototype: a header named __proto__ is a header like any other.
  const headers: { [name: string]: string } = Object.create(null);
  for (const [name, text] of Object.entries(value)) {
    if (!TOKEN.test(name)) throw malformed("a header's name is not a token");
    if (typeof text !== "string" || !VALUE.test(text)) {
      throw malformed("a header's value is not text");
    }
    const key = name.toLowerCase();
    if (key in headers) throw malformed("a header occurs twice");
    headers[key] = text;
  }
  return headers;
}

function malformed(message: string): SecLlamaError {
  return new SecLlamaError("malformed", message);
}
