/** What reading a value may come to beside the value. */

/** Values inside each other. */
export const MAX_DEPTH = 100;

/** The value did not end before the reply did. */
export class Cut {}

/** What is read is no value. */
export const WRONG = Symbol("no value");

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
