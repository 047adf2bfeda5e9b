/** Reading JSON of an engine: a number where one must be, else it is said so. */
import { HttpError } from "./http.ts";

type Json = { readonly [name: string]: unknown };

/** @throws {HttpError} If it is no object. */
export function record(value: unknown): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new HttpError("an object was expected");
  }
  return value as Json;
}

/** @throws {HttpError} If it is no list. */
export function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new HttpError("a list was expected");
  return value;
}

/** A whole number that is not negative. @throws {HttpError} */
export function count(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new HttpError("a whole number was expected");
  }
  return value as number;
}

/** @throws {HttpError} If it is none, or not finite. */
export function number(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new HttpError("a number was expected");
  }
  return value;
}

/** The lines of these counters, as Prometheus' text format has them; undefined: there are none. */
export function counters(text: string, names: readonly string[]): string | undefined {
  const lines = text.split("\n").filter((line) => names.includes(/^[\w:]+/.exec(line)?.[0] ?? ""));
  return lines.length === 0 ? undefined : lines.join("\n");
}
