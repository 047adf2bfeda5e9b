/**
 * The request head as raw bytes, checked before anything routes by it. One parser decides for host, path, limits and logs;
 * what it does not understand is refused, never repaired.
 *
 * RFC 9112 (HTTP/1.1 messages), RFC 9110 section 7.2 (Host), RFC 6454 (Origin).
 */
import type { SecLlamaError } from "../errors.ts";
import { Refusal } from "./refusal.ts";
import type { RefusalHints } from "./rules.ts";

const MAX_TARGET_BYTES = 8 * 1024;
const MAX_FIELDS = 100;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
/** Fields that say how this connection carries the message; they end here and no handler sees them. */
const CONNECTION_FIELDS = new Set([
  "connection",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export interface Head {
  readonly method: string;
  /** Origin form: path and query, free of dot segments. */
  readonly target: string;
  /** `host[:port]` in lower case. */
  readonly host: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Bytes of the body; undefined: chunked. */
  readonly contentLength: number | undefined;
  /** The client waits for `100 Continue` before it sends the body. */
  readonly expectsContinue: boolean;
  /** The client would send another request on this connection. */
  readonly keepAlive: boolean;
  /** HTTP/1.0 clients do not understand chunked answers. */
  readonly minor: 0 | 1;
}

export interface HeadPolicy {
  /** Host names in lower case without port, IPv6 in brackets. */
  readonly allowedHosts: ReadonlySet<string>;
  /** Origins that may speak to us besides our own: `https://app.example`. */
  readonly allowedOrigins: ReadonlySet<string>;
  /** Schemes of origins that are no web page's, such as `app`: programs of the user's that show their window as a page. */
  readonly allowedSchemes?: ReadonlySet<string>;
  /** What those who are refused are told to do. */
  readonly hints?: Partial<RefusalHints>;
  /** Most bytes of a request's body. */
  readonly maxBodyBytes: (method: string, path: string) => number;
  /** The refusal of a body of more than `most` bytes. */
  readonly tooLarge: (most: number) => SecLlamaError;
}

/** Index just after the blank line that ends the head, or -1. `from`: where to begin, at least 3 before new bytes. */
export function headEnd(bytes: Uint8Array, from = 0): number {
  for (let i = bytes.indexOf(10, from + 3); i >= 0; i = bytes.indexOf(10, i + 1)) {
    if (bytes[i - 1] === 13 && bytes[i - 2] === 10 && bytes[i - 3] === 13) return i + 1;
  }
  return -1;
}

/**
 * Reads and checks a whole head, blank line included.
 * @throws {Refusal} If anything about it is not plain HTTP/1.1 to an allowed host and from an allowed origin.
 */
export function parseHead(raw: Uint8Array, policy: HeadPolicy): Head {
  const lines = textOf(raw).slice(0, -4).split("\r\n");
  const [method, rawTarget, minor] = requestLine(lines[0]!);
  if (lines.length - 1 > MAX_FIELDS) throw bad(431, "too many header fields");
  const fields = lines.slice(1).map(fieldOf);
  const all = (name: string) => fields.filter(([n]) => n === name).map(([, v]) => v);

  const hosts = all("host");
  // RFC 9112 section 3.2: only HTTP/1.1 needs one. No browser leaves it out, so that no page's request is without.
  if (minor === 0 && hosts.length === 0) hosts.push("localhost");
  if (hosts.length !== 1 || hosts[0] === "") throw bad(400, "exactly one Host is needed");
  const host = hosts[0]!.toLowerCase();
  const target = originForm(rawTarget, host);
  const name = hostName(host);
  if (name === undefined) throw bad(400, "Host is malformed");
  if (!policy.allowedHosts.has(name)) {
    throw new Refusal(403, "host-refused", "this Host is not served here", {
      hint: policy.hints?.host ?? "use the address that secllama printed, such as 127.0.0.1",
    });
  }
  checkOrigin(all("origin"), all("sec-fetch-site"), host, policy);

  const contentLength = bodyLength(method, all("content-length"), all("transfer-encoding"), minor);
  const most = policy.maxBodyBytes(method, pathOf(target));
  if (contentLength !== undefined && contentLength > most) throw Refusal.of(policy.tooLarge(most));
  const expectations = all("expect");
  if (expectations.length > 0 && expectations.join().toLowerCase() !== "100-continue") {
    throw bad(400, "the expectation is not known");
  }
  const connection = all("connection").join(",").toLowerCase().split(",").map((s) => s.trim());
  return {
    method,
    target,
    host,
    fields: fields.filter(([name]) => !CONNECTION_FIELDS.has(name)),
    contentLength,
    expectsContinue: expectations.length > 0,
    keepAlive: minor === 1 && !connection.includes("close"),
    minor,
  };
}

/** The path of a target in origin form. */
export function pathOf(target: string): string {
  return target.split("?", 1)[0]!;
}

/** The path that a head asks for, if that can be told, however malformed or cut short the rest of it is; else "/". */
export function pathOfHead(raw: Uint8Array): string {
  const line = decoder.decode(raw.subarray(0, MAX_TARGET_BYTES)).split("\r\n", 1)[0]!;
  const asked = /^[A-Z]{1,16} (?:https?:\/\/[^/?# ]*)?(\/[\x21-\x7e]*)/i.exec(line)?.[1] ?? "/";
  return asked.split(/[?#]/, 1)[0]!.replace(/\/{2,}/g, "/");
}

/** Whether a head asks for no body of the answer, however malformed the rest of it is. */
export function asksForHead(raw: Uint8Array): boolean {
  return decoder.decode(raw.subarray(0, 5)) === "HEAD ";
}

/** The origin of a page that a head says it is from, however malformed the rest of it is, if pages of it may speak to us. */
export function originOfHead(raw: Uint8Array, policy: HeadPolicy): string | undefined {
  const end = headEnd(raw);
  const head = decoder.decode(raw.subarray(0, end < 0 ? raw.length : end));
  const origins = [...head.matchAll(/\r\norigin:[ \t]*([\x21-\x7e]+)[ \t]*(?=\r\n)/gi)];
  const [origin] = origins.map(([, value]) => value!);
  return origins.length === 1 && isAllowed(origin!.toLowerCase(), policy) ? origin : undefined;
}

function isAllowed(origin: string, { allowedOrigins, allowedSchemes }: HeadPolicy): boolean {
  const scheme = /^([a-z][a-z0-9+-]*):\/\/[a-z0-9.-]+$/.exec(origin)?.[1] ?? "";
  return allowedOrigins.has(origin) || allowedSchemes?.has(scheme) === true;
}

function bad(status: 400 | 405 | 414 | 431 | 501 | 505, message: string): Refusal {
  return new Refusal(status, status === 405 ? "method-not-allowed" : "bad-request", message);
}

function textOf(raw: Uint8Array): string {
  for (let i = 0; i < raw.length; i++) {
    const byte = raw[i]!;
    if (byte >= 32 && byte < 127) continue;
    // CR and LF only together; tab within a value; no other control and no byte over 126.
    const ok = byte === 13 ? raw[i + 1] === 10 : byte === 10 ? raw[i - 1] === 13 : byte === 9;
    if (!ok) throw bad(400, "a byte of the head is not allowed");
  }
  return decoder.decode(raw);
}
const decoder = new TextDecoder();

function requestLine(line: string): [method: string, target: string, minor: 0 | 1] {
  const match = /^([A-Z]{1,16}) ([\x21-\x7e]+) HTTP\/(\d\.\d)$/.exec(line);
  if (!match) throw bad(400, "the request line is malformed");
  const [, method, target, version] = match;
  if (version !== "1.1" && version !== "1.0") throw bad(505, "only HTTP/1.1 is spoken");
  if (!METHODS.has(method!)) {
    const isKnown = method === "CONNECT" || method === "TRACE";
    throw isKnown ? bad(405, "method not allowed") : bad(501, "the method is not known");
  }
  if (target!.length > MAX_TARGET_BYTES) throw bad(414, "the target is too long");
  return [method!, target!, version === "1.1" ? 1 : 0];
}

function fieldOf(line: string): [name: string, value: string] {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(0, colon));
  // A space before the colon, or a folded line, is how two parsers come to differ.
  if (!TOKEN.test(name)) throw bad(400, "a header field is malformed");
  return [name.toLowerCase(), trimmed(line.slice(colon + 1))];
}

/** Without spaces and tabs around it. An expression for those at the end would begin at each of thousands anew. */
function trimmed(value: string): string {
  const isSpace = (at: number) => value[at] === " " || value[at] === "\t";
  let [from, to] = [0, value.length];
  while (from < to && isSpace(from)) from++;
  while (from < to && isSpace(to - 1)) to--;
  return value.slice(from, to);
}

/** The path and query, from origin or absolute form; the latter must name the same host. */
function originForm(target: string, host: string): string {
  let path = target;
  if (!target.startsWith("/")) {
    const match = /^http:\/\/([^/?#@]+)(\/[^#]*)?$/i.exec(target);
    if (!match || match[1]!.toLowerCase() !== host) throw bad(400, "the target and Host differ");
    path = match[2] ?? "/";
  }
  if (/[#\\<>"{}|^`]/.test(path)) throw bad(400, "the target is malformed");
  const pathname = path.split("?", 1)[0]!;
  if (/%(?![0-9A-Fa-f]{2})|%(00|2f|5c)/i.test(pathname)) throw bad(400, "the target is malformed");
  const segments = pathname.replace(/%2e/gi, ".").split("/").slice(1);
  // Routers differ on what these mean, and a rule for /api/* must hold for all that ends up there.
  if (segments.some((s) => s === "." || s === "..")) {
    throw bad(400, "the target has dot segments");
  }
  // Two slashes come of a base that ends with one. From here on the path has one spelling.
  return pathname.replace(/\/{2,}/g, "/") + path.slice(pathname.length);
}

/** The name of a `host[:port]` in lower case, without the dot of the root; undefined if it is not of that form. */
function hostName(host: string): string | undefined {
  const [, name, address] =
    /^(?:([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)\.?|(\[[0-9a-f:.]{2,45}\]))(?::\d{1,5})?$/
      .exec(host) ?? [];
  return name ?? address;
}

/** A page of another site, one in a sandbox ("null"), and one of another port here are all foreign. */
function checkOrigin(
  origins: readonly string[],
  sites: readonly string[],
  host: string,
  policy: HeadPolicy,
): void {
  const refused = (message: string, hint = "web pages of other origins may not use this server") =>
    new Refusal(403, "origin-refused", message, { hint });
  if (origins.length > 1) throw bad(400, "more than one Origin");
  if (origins.length === 1) {
    const origin = origins[0]!.toLowerCase();
    const own = origin === `http://${host}` || origin === `https://${host}`;
    if (!own && !isAllowed(origin, policy)) {
      throw refused("this Origin is not served here", policy.hints?.origin);
    }
  } else if (sites.some((site) => site !== "same-origin" && site !== "none")) {
    // Images, scripts and links of another site name no origin, but a browser still says where they come from.
    throw refused("requests of other sites are not served here");
  }
}

/** Bytes of the body, or undefined for chunked. Ambiguity here is request smuggling, so none is tolerated. */
function bodyLength(
  method: string,
  lengths: readonly string[],
  encodings: readonly string[],
  minor: 0 | 1,
): number | undefined {
  const bodiless = method === "GET" || method === "HEAD";
  if (encodings.length > 0) {
    if (lengths.length > 0) throw bad(400, "both Content-Length and Transfer-Encoding");
    if (encodings.length > 1 || encodings[0]!.toLowerCase() !== "chunked") {
      throw bad(501, "only the transfer coding chunked is taken");
    }
    if (minor === 0) throw bad(400, "chunked needs HTTP/1.1");
    if (bodiless) throw bad(400, "a body came with a method that has none");
    return undefined;
  }
  if (lengths.length > 1) throw bad(400, "more than one Content-Length");
  if (lengths.length === 0) return 0;
  if (!/^\d{1,15}$/.test(lengths[0]!)) throw bad(400, "Content-Length is not a number");
  const length = Number(lengths[0]);
  if (length > 0 && bodiless) throw bad(400, "a body came with a method that has none");
  return length;
}
