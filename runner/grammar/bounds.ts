/** The bounds that schemas set to numbers, of which those beyond 2^53 keep their digits. */
import { roundedTo } from "../../src/exact_json.ts";
import type { Bound } from "./number_text.ts";
import type { Keywords } from "./schema_document.ts";

/** Of numbers: one of those that have all their digits is. */
export const isWhole = (value: unknown) => typeof value === "bigint" || Number.isInteger(value);

/** Whether a number is on the inside of both bounds. */
export function isWithin(
  value: number | bigint,
  least: Bound | undefined,
  most: Bound | undefined,
): boolean {
  const low = least?.exact ?? least?.value ?? -Infinity;
  const high = most?.exact ?? most?.value ?? Infinity;
  return (least?.exclusive ? value > low : value >= low) &&
    (most?.exclusive ? value < high : value <= high);
}

/** The bounds of numbers; in draft 4 the exclusive ones are flags. */
export function boundsOf(schema: Keywords) {
  const side = (inner: unknown, flagOrOuter: unknown, inside: 1 | -1): Bound | undefined => {
    const isInner = typeof inner === "number" || typeof inner === "bigint";
    const isOuter = typeof flagOrOuter === "number" || typeof flagOrOuter === "bigint";
    // Both are compared as they are written.
    if (isOuter && !(isInner && (inside === 1 ? inner > flagOrOuter : inner < flagOrOuter))) {
      return boundOf(flagOrOuter, true, inside);
    }
    return isInner ? boundOf(inner, flagOrOuter === true, inside) : undefined;
  };
  return {
    least: side(schema.minimum, schema.exclusiveMinimum, 1),
    most: side(schema.maximum, schema.exclusiveMaximum, -1),
  };
}

/** @param inside 1: numbers above it are on its inside, -1: those below. */
export function boundOf(value: number | bigint, exclusive: boolean, inside: 1 | -1): Bound {
  if (typeof value === "number") return { value, exclusive };
  return { value: roundedTo(inside, value), exclusive, exact: value };
}
