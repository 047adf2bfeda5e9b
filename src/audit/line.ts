/**
 * A line of the audit log: one JSON object, its number and time first. It says who did what to which model, when, how much and how it
 * ended. Content cannot be in it: a field is a number, a boolean or a {@link Label}.
 */
import { label, type LogFields } from "../log.ts";

/** What a line is about. A closed list: whoever reads the log knows them all. */
export const AUDIT_EVENTS = [
  // of the log itself
  "audit-begun",
  "audit-key",
  "audit-pruned",
  "clock-moved",
  // of the host
  "serve-started",
  "serve-stopped",
  "weakened",
  "isolation-failed",
  "model-loaded",
  "model-refused",
  // of exchanges
  "exchange",
  "client-refused",
  // of administration
  "client-paired",
  "client-revoked",
  "client-renamed",
  "client-changed",
  "clients-reset",
  "role-set",
  "role-removed",
  "token-created",
  "token-revoked",
  "token-changed",
  "key-made",
  "key-rotated",
  "key-destroyed",
  "key-exported",
  "key-imported",
  "backup-made",
  "backup-restored",
  "model-imported",
  "model-pulled",
  "model-created",
  "model-copied",
  "model-removed",
] as const;

/** One of {@link AUDIT_EVENTS}. */
export type AuditEvent = (typeof AUDIT_EVENTS)[number];

/** These stay when older lines are taken away: without them what is left could not be verified. They name nobody. */
const KEPT: readonly string[] = ["audit-begun", "audit-key", "audit-pruned"];

/** What is to become a line. */
export interface AuditEntry {
  /** What it is about. */
  readonly event: AuditEvent;
  /** Who, what, how much. */
  readonly fields?: LogFields;
}

/** A line as it is read. */
export interface AuditLine {
  /** Its number; the first is 0. */
  readonly n: number;
  /** Unix ms. */
  readonly t: number;
  /** One of {@link AUDIT_EVENTS}, or of a later version's. */
  readonly event: string;
  /** The rest, by name. */
  readonly [field: string]: string | number | boolean;
}

/** The text of line `n`; a leaf of the tree is its UTF-8. */
export function lineText(n: number, timeMs: number, { event, fields }: AuditEntry): string {
  return JSON.stringify({ n, t: timeMs, event: label(event), ...fields });
}

/** Reads a line; undefined for what {@link lineText} does not write. */
export function parseLine(text: string): AuditLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  const { n, t, event } = value as Record<string, unknown>;
  const flat = Object.values(value).every((v) =>
    ["string", "number", "boolean"].includes(typeof v)
  );
  return flat && Number.isSafeInteger(n) && Number.isFinite(t) && typeof event === "string"
    ? value as AuditLine
    : undefined;
}

/** Whether retention leaves this line as it is. */
export function isKept(text: string): boolean {
  return KEPT.includes(parseLine(text)?.event ?? "");
}

const BEGIN = ascii('{"n":');
const TIME = ascii(',"t":');
const EVENT = ascii(',"event":"');
/** Events of the log itself begin so. */
const OWN = ["audit-", "clock-"].map(ascii);

/** What a line begins with, read from its bytes without parsing the rest: a log has millions. */
export class LineHead {
  /** The line's number. */
  n = 0;
  /** Unix ms. */
  t = 0;
  /** Whether it may be one of the log itself. */
  isOwn = false;

  /** Whether it begins as {@link lineText} writes it; then the fields are set. @param at Where the text begins. */
  read(bytes: Uint8Array, at: number): boolean {
    let end = numberEnd(bytes, at, BEGIN);
    if (end === 0) return false;
    this.n = digits(bytes, at + BEGIN.length, end);
    at = end;
    end = numberEnd(bytes, at, TIME);
    if (end === 0) return false;
    this.t = digits(bytes, at + TIME.length, end);
    if (!isAt(bytes, end, EVENT)) return false;
    at = end + EVENT.length;
    if (!(this.n <= Number.MAX_SAFE_INTEGER && this.t <= Number.MAX_SAFE_INTEGER)) return false;
    this.isOwn = isAt(bytes, at, OWN[0]!) || isAt(bytes, at, OWN[1]!);
    return true;
  }
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function isAt(bytes: Uint8Array, at: number, what: Uint8Array): boolean {
  for (let i = 0; i < what.length; i++) if (bytes[at + i] !== what[i]) return false;
  return true;
}

/** Where the number behind `what` ends; 0: there is none as JSON.stringify writes a whole one. */
function numberEnd(bytes: Uint8Array, at: number, what: Uint8Array): number {
  if (!isAt(bytes, at, what)) return 0;
  const from = at + what.length;
  let end = from;
  while (bytes[end]! >= 0x30 && bytes[end]! <= 0x39) end++;
  const isWhole = end > from && end - from <= 16 && (bytes[from] !== 0x30 || end === from + 1);
  return isWhole && bytes[end] === 0x2c ? end : 0;
}

function digits(bytes: Uint8Array, from: number, end: number): number {
  let value = 0;
  for (let i = from; i < end; i++) value = 10 * value + (bytes[i]! - 0x30);
  return value;
}
