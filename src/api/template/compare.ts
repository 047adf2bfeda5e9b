/** Go's `eq`, `lt` and the rest: only of kinds that compare. */
import { compareText, type GoString } from "./text.ts";
import { concrete, isInteger, type Maybe, type Value } from "./types.ts";

/** Thrown by functions; the evaluator adds the line. */
export class CallError extends Error {}

type Basic = "bool" | "complex" | "int" | "float" | "string" | "uint" | undefined;

function basicKind(value: Maybe): Basic {
  if (value === undefined) return undefined;
  if (value.type.kind === "uint8") return "uint";
  if (isInteger(value.type)) return "int";
  switch (value.type.kind) {
    case "bool":
    case "string":
      return value.type.kind;
    case "float64":
      return "float";
    case "complex128":
      return "complex";
    default:
      return undefined;
  }
}

const isWhole = (kind: Basic) => kind === "int" || kind === "uint";

/** Whether the first equals any of the rest. */
export function equalsAny(given: Maybe, rest: readonly Maybe[]): boolean {
  if (rest.length === 0) throw new CallError("has nothing to compare with");
  const first = concrete(given);
  return rest.some((one) => equals(first, concrete(one)));
}

function equals(a: Maybe, b: Maybe): boolean {
  const [kind, other] = [basicKind(a), basicKind(b)];
  if (kind !== other) {
    if (isWhole(kind) && isWhole(other)) return a!.data === b!.data;
    if (a !== undefined && b !== undefined) throw new CallError("compares two different types");
    return false;
  }
  switch (kind) {
    case "string":
      return (a!.data as GoString).text === (b!.data as GoString).text;
    case "complex": {
      const [x, y] = [a!.data as number[], b!.data as number[]];
      return x[0] === y[0] && x[1] === y[1];
    }
    case undefined:
      return equalsOther(a, b);
    default:
      return a!.data === b!.data;
  }
}

function equalsOther(a: Maybe, b: Maybe): boolean {
  if (a !== undefined && b !== undefined && a.type.kind !== b.type.kind) {
    throw new CallError("compares two different types");
  }
  if (isNil(a) || isNil(b)) return isNil(a) && isNil(b);
  if (b!.type.kind !== "pointer") throw new CallError("compares what cannot be compared");
  return a!.data === b!.data && a!.type === b!.type;
}

function isNil(value: Maybe): boolean {
  return value === undefined || value.data === undefined && value.type.kind !== "struct";
}

export function isLess(given: Maybe, other: Maybe): boolean {
  const [a, b] = [concrete(given), concrete(other)];
  const [kind, otherKind] = [basicKind(a), basicKind(b)];
  if (kind === undefined || otherKind === undefined) {
    throw new CallError("compares what has no order");
  }
  if (kind !== otherKind && !(isWhole(kind) && isWhole(otherKind))) {
    throw new CallError("compares two different types");
  }
  if (kind === "bool" || kind === "complex") throw new CallError("compares what has no order");
  if (kind === "string") return compareText(textOf(a!), textOf(b!)) < 0;
  return (a!.data as number | bigint) < (b!.data as number | bigint);
}

function textOf(value: Value): string {
  return (value.data as GoString).text;
}

/** Less or equal. */
export function isAtMost(a: Maybe, b: Maybe): boolean {
  return isLess(a, b) || equalsAny(a, [b]);
}
