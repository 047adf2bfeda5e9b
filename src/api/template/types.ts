/**
 * Go's types and values, as far as a template can tell them apart: it asks for fields by name, prints types, compares kinds.
 */
import { compareText, GoString } from "./text.ts";

type Kind =
  | "bool"
  | "int"
  | "int32"
  | "uint8"
  | "float64"
  | "complex128"
  | "string"
  | "interface"
  | "slice"
  | "map"
  | "pointer"
  | "struct";

export interface Field {
  readonly name: string;
  readonly type: GoType;
  /** Its name in JSON; absent: its own. */
  readonly json?: string;
  readonly omitEmpty?: boolean;
}

export interface GoType {
  readonly kind: Kind;
  /** As `%T` prints it. */
  readonly name: string;
  /** Of a slice, map or pointer. Keys of maps are strings. */
  readonly elem?: GoType;
  /** Of a struct. A function, so that types may hold each other. */
  readonly fields?: () => readonly Field[];
  /** Methods without arguments, of the type and of pointers to it. */
  readonly methods?: Readonly<Record<string, (value: Value) => Value>>;
  /** What prints it, where Go's `String()` does. */
  readonly string?: (value: Value) => GoString;
  /** What writes it as JSON, where `MarshalJSON()` does; the result is text of a value. */
  readonly json?: (value: Value) => Value;
}

/** Elements of a slice: `array` may be longer, as Go's capacity is. */
export interface Slice {
  readonly array: readonly unknown[];
  readonly from: number;
  readonly length: number;
}

/**
 * | kind                    | data                                    |
 * | ----------------------- | --------------------------------------- |
 * | bool, float64           | boolean, number                         |
 * | int, int32, uint8       | bigint                                  |
 * | complex128              | [real, imaginary]                       |
 * | string                  | GoString                                |
 * | interface               | Value, undefined is nil                 |
 * | slice, map              | Slice, ReadonlyMap; undefined is nil    |
 * | pointer                 | the data it points to; undefined is nil |
 * | struct                  | the fields' data, in order              |
 */
export interface Value {
  readonly type: GoType;
  readonly data: unknown;
}

/** A value, or Go's invalid one: what an untyped nil is to a template. */
export type Maybe = Value | undefined;

export type MapData = ReadonlyMap<string, { readonly key: GoString; readonly data: unknown }>;

const basic = (kind: Kind, name: string = kind): GoType => ({ kind, name });
export const BOOL = basic("bool");
export const INT = basic("int");
export const UINT8 = basic("uint8");
export const FLOAT = basic("float64");
export const COMPLEX = basic("complex128");
export const STRING = basic("string");
export const ANY = basic("interface", "interface {}");

export const sliceOf = (elem: GoType, name = `[]${elem.name}`): GoType => ({
  kind: "slice",
  name,
  elem,
});
export const mapOf = (elem: GoType, name = `map[string]${elem.name}`): GoType => ({
  kind: "map",
  name,
  elem,
});
export const pointerTo = (elem: GoType): GoType => ({
  kind: "pointer",
  name: `*${elem.name}`,
  elem,
});

export const bool = (data: boolean): Value => ({ type: BOOL, data });
export const int = (data: number | bigint): Value => ({ type: INT, data: BigInt(data) });
export const string = (data: GoString): Value => ({ type: STRING, data });

/** A slice of all of `items`, the elements' data. */
export const slice = (items: readonly unknown[]): Slice => ({
  array: items,
  from: 0,
  length: items.length,
});

/** The data of a map; Go walks it by sorted keys, and so it is kept. */
export function mapData(entries: Iterable<readonly [GoString, unknown]>): MapData {
  const sorted = [...entries].sort(([a], [b]) => compareText(a.text, b.text));
  return new Map(sorted.map(([key, data]) => [key.text, { key, data }]));
}

/** Go's zero value of a type. */
export function zero(type: GoType): Value {
  switch (type.kind) {
    case "bool":
      return { type, data: false };
    case "int":
    case "int32":
    case "uint8":
      return { type, data: 0n };
    case "float64":
      return { type, data: 0 };
    case "complex128":
      return { type, data: [0, 0] };
    case "string":
      return { type, data: GoString.EMPTY };
    case "struct":
      return { type, data: type.fields!().map((field) => zero(field.type).data) };
    default:
      return { type, data: undefined };
  }
}

/** What an interface holds; anything else is itself. */
export function concrete(value: Maybe): Maybe {
  return value?.type.kind === "interface" ? value.data as Maybe : value;
}

/** Behind interfaces and pointers, or the nil that ends the way. */
export function indirect(value: Maybe): { value: Maybe; isNil: boolean } {
  while (value !== undefined) {
    const { type, data } = value;
    if (type.kind !== "interface" && type.kind !== "pointer") break;
    if (data === undefined) return { value, isNil: true };
    value = type.kind === "interface" ? data as Value : { type: type.elem!, data };
  }
  return { value, isNil: false };
}

export function elements(value: Value): Value[] {
  const { array, from, length } = value.data as Slice ?? slice([]);
  const type = value.type.elem!;
  return array.slice(from, from + length).map((data) => ({ type, data }));
}

export function entries(value: Value): { key: Value; value: Value }[] {
  const data = value.data as MapData | undefined;
  const type = value.type.elem!;
  return [...data?.values() ?? []].map((one) => ({
    key: string(one.key),
    value: { type, data: one.data },
  }));
}

/** A field of a struct, by name; undefined: it has none. */
export function fieldOf(value: Value, name: string): Maybe {
  const fields = value.type.fields!();
  const at = fields.findIndex((field) => field.name === name);
  if (at < 0) return undefined;
  return { type: fields[at]!.type, data: (value.data as readonly unknown[])[at] };
}

/** Go's `len`, of what has one. */
export function lengthOf(value: Value): number | undefined {
  switch (value.type.kind) {
    case "string":
      return (value.data as GoString).byteLength;
    case "slice":
      return (value.data as Slice | undefined)?.length ?? 0;
    case "map":
      return (value.data as MapData | undefined)?.size ?? 0;
    default:
      return undefined;
  }
}

export function isInteger(type: GoType): boolean {
  return type.kind === "int" || type.kind === "int32" || type.kind === "uint8";
}

/** Go's truth: not the zero of its kind; structs are always true. */
export function isTrue(given: Maybe): boolean {
  const value = concrete(given);
  if (value === undefined) return false;
  const { type, data } = value;
  switch (type.kind) {
    case "bool":
      return data as boolean;
    case "float64":
      return data !== 0;
    case "complex128":
      return (data as number[]).some((part) => part !== 0);
    case "pointer":
    case "interface":
      return data !== undefined;
    case "struct":
      return true;
    default:
      return isInteger(type) ? data !== 0n : lengthOf(value)! > 0;
  }
}
