/** Takes the texts of old lines away and keeps their hashes, so that what is left still verifies. */
import type { AuditDatabase } from "./database.ts";
import { isKept, parseLine } from "./line.ts";

/**
 * The number of the first line that is not older than `beforeMs`: those before it may go. Where the clock had been moved it is the
 * first in their order, so that nothing younger goes.
 */
export function olderThan(db: AuditDatabase, beforeMs: number): number {
  let n = 0;
  for (const line of db.lines()) {
    if (line.text !== null && parseLine(line.text)!.t >= beforeMs) break;
    n = line.n + 1;
  }
  return n;
}

/** Takes away the texts before line `n`, but of the lines that tell of keys and of retention. Returns how many. */
export function forgetBefore(db: AuditDatabase, n: number): number {
  const count = db.transaction(() => db.forget(n, isKept), { durable: true });
  db.compact();
  return count;
}
