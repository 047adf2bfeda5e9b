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
