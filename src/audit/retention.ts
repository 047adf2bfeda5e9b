/** Takes the texts of old lines away and keeps their hashes, so that what is left still verifies. */
import type { AuditDatabase } from "./database.ts";
import { isKept, parseLine } from "./line.ts";

/** Lines of one transaction: whoever else writes waits for no more than these. */
const STEP = 1_000;
/** For so long others can write between two of them, ms. */
const PAUSE_MS = 30;

/**
 * The number of the first line that is not older than `beforeMs`: those before it may go. Where the clock had been moved it is the
 * first in their order, so that nothing younger goes; nor does what is no line of ours.
 */
export function olderThan(db: AuditDatabase, beforeMs: number): number {
  let n = 0;
  for (const line of db.lines()) {
    if (line.text !== null && (parseLine(line.text)?.t ?? Infinity) >= beforeMs) break;
    n = line.n + 1;
  }
  return n;
}

/**
 * Takes away the texts before line `n`, but of the lines that tell of keys and of retention, and of those that no head is signed over
 * yet. Returns how many.
 */
export async function forgetBefore(db: AuditDatabase, n: number): Promise<number> {
  const end = Math.min(n, db.lastHead()?.size ?? 0);
  let count = 0;
  for (let from = 0; from < end; from += STEP) {
    if (from > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const to = Math.min(end, from + STEP);
    count += await db.transaction(() => db.forget(from, to, isKept), { durable: true });
  }
  db.compact();
  return count;
}
