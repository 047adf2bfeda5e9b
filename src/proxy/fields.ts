/** Fields of what programs ask the history, each by its type and its limit. No error quotes a value: it is content. */
import { collect } from "../api/body.ts";
import { QUERY_CHARACTERS } from "../api/history.ts";
import type { Route } from "../api/routes.ts";
import { SecLlamaError } from "../errors.ts";

/** What is wrong with a field. */
export function bad(field: string, what: string): SecLlamaError {
  return new SecLlamaError("bad-request", `${field} must be ${what}`, { field });
}

/** A text; undefined: it is not there. @throws {SecLlamaError} `bad-request`. */
export function textOf(
  value: unknown,
  field: string,
  most: number = QUERY_CHARACTERS,
): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw bad(field, "a text");
  if (value.length > most) throw bad(field, `at most ${most} characters`);
  return value;
}

/** A count, in digits or as a number. @throws {SecLlamaError} `bad-request`. */
export function countOf(value: unknown, otherwise: number, most: number): number {
  if (value === undefined) return otherwise;
  const count = typeof value === "string" && /^\d{1,6}$/.test(value) ? Number(value) : value;
  if (typeof count === "number" && Number.isInteger(count) && count >= 1 && count <= most) {
    return count;
  }
  throw bad("limit", `a whole number from 1 to ${most}`);
}

/** Whatever was sent is read within the limit and means nothing. */
export async function noBody(request: Request, route: Route): Promise<void> {
  await collect(request.body, route.maxBytes);
}
