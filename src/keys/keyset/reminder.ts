/** When to ask for a rotation: by age, and by how often a key was used. */
import { plural } from "../../plural.ts";

const DEFAULT_MAX_AGE_DAYS = 90;
/** NIST SP 800-38D section 8.3 ends a key with random nonces at 2^32 uses; ask long before. */
const MAX_WRAPS = 2 ** 31;

const DAY_MS = 86_400_000;

/** Whole days since `created` (ISO 8601). */
export function ageDays(created: string, now: Date): number {
  return Math.max(0, Math.floor((now.getTime() - Date.parse(created)) / DAY_MS));
}

/** One line that asks for a rotation, or undefined. `maxAgeDays` 0 turns the reminder by age off. */
export function rotationReminder(
  options: { created: string; wraps: number; now: Date; maxAgeDays?: number },
): string | undefined {
  const maxAgeDays = options.maxAgeDays ?? DEFAULT_MAX_AGE_DAYS;
  const age = ageDays(options.created, options.now);
  if (maxAgeDays > 0 && age > maxAgeDays) {
    return `the active key is ${
      plural(age, "day")
    } old, over ${maxAgeDays}: to make a new one, run: secllama key rotate`;
  }
  if (options.wraps > MAX_WRAPS) {
    return `the active key has wrapped ${options.wraps} secrets: to make a new one, run: secllama key rotate`;
  }
  return undefined;
}
