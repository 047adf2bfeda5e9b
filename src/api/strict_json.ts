/**
 * Reading a JSON object whose every field is known beforehand: what is missing, of another type, too large, or not asked for is
 * refused. For messages between our own processes, of which the one that sends may have been taken over.
 */
import { SecLlamaError } from "../errors.ts";
import { printable } from "./texts.ts";

/** One value, and where it is, for the error. @throws {SecLlamaError} `pipe-broken`. */
export type Read<T> = (value: unknown, where: string) => T;

/** No message shows a value: it may be content. */
function refused(where: string, why: string): SecLlamaError {
  return new SecLlamaError("pipe-broken", `pipe to the runner: ${where} ${why}`);
}

export class StrictObject {
  readonly #fields: ReadonlyMap<string, unknown>;
  readonly #unread: Set<string>;
  readonly #where: string;

  /** @throws {SecLlamaError} `pipe-broken` if `value` is no object. */
  constructor(value: unknown, where: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw refused(where, "is no object");
    }
    this.#fields = new Map(Object.entries(value));
    this.#unread = new Set(this.#fields.keys());
    this.#where = where;
  }

  /** The value of a field by its reader. */
  get<T>(name: string, read: Read<T>): T {
    this.#unread.delete(name);
    return read(this.#fields.get(name), `${this.#where}.${name}`);
  }

  /** `{name: value}`, or `{}` where the field is absent. */
  optional<const K extends string, T>(name: K, read: Read<T>): { readonly [key in K]?: T } {
    return this.#fields.has(name) ? { [name]: this.get(name, read) } as { [key in K]: T } : {};
  }

  /** The last step: @throws {SecLlamaError} `pipe-broken` if a field was not asked for. */
  end(): void {
    if (this.#unread.size > 0) throw refused(this.#where, "has a field that is not known");
  }
}

/** A text of at most `most` UTF-16 units. */
export function text(most: number, pattern = /^/): Read<string> {
  return (value, where) => {
    if (typeof value !== "string") throw refused(where, "is no text");
    if (value.length > most) throw refused(where, `is over ${most} characters`);
    if (!pattern.test(value)) throw refused(where, "is malformed");
    return value;
  };
}

/** A text for people: one line, cut where {@link printable} cuts. */
export function line(most: number): Read<string> {
  const read = text(most);
  return (value, where) => printable(read(value, where)) ?? "";
}

/** Lower-case hexadecimal digits. */
export function hex(bytes: number): Read<string> {
  return text(2 * bytes, new RegExp(`^[0-9a-f]{${2 * bytes}}$`));
}

export function oneOf<const T extends string>(...allowed: readonly T[]): Read<T> {
  return (value, where) => {
    const found = allowed.find((one) => one === value);
    if (found === undefined) throw refused(where, "is not one of what it may be");
    return found;
  };
}

export function number(min: number, max: number): Read<number> {
  return (value, where) => {
    if (typeof value !== "number" || !(value >= min && value <= max)) {
      throw refused(where, `is no number from ${min} to ${max}`);
    }
    return value;
  };
}

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Read<number> {
  const read = number(min, max);
  return (value, where) => {
    if (!Number.isInteger(value)) throw refused(where, "is no whole number");
    return read(value, where);
  };
}

export const flag: Read<boolean> = (value, where) => {
  if (typeof value !== "boolean") throw refused(where, "is neither true nor false");
  return value;
};

export function nullable<T>(read: Read<T>): Read<T | null> {
  return (value, where) => value === null ? null : read(value, where);
}

export function either<A, B>(
  matches: (value: unknown) => boolean,
  a: Read<A>,
  b: Read<B>,
): Read<A | B> {
  return (value, where) => matches(value) ? a(value, where) : b(value, where);
}

/** At most `most` values of one kind, and at least `least`. */
export function list<T>(most: number, read: Read<T>, least = 0): Read<T[]> {
  return (value, where) => {
    if (!Array.isArray(value)) throw refused(where, "is no list");
    if (value.length > most) throw refused(where, `has over ${most} entries`);
    if (value.length < least) throw refused(where, `has under ${least} entries`);
    return value.map((one, index) => read(one, `${where}[${index}]`));
  };
}

/** An object of at most `most` names that follow `names`, with values of one kind. */
export function record<T>(most: number, names: RegExp, read: Read<T>): Read<Record<string, T>> {
  return (value, where) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw refused(where, "is no object");
    }
    const entries = Object.entries(value);
    if (entries.length > most) throw refused(where, `has over ${most} fields`);
    return Object.fromEntries(entries.map(([name, one]) => {
      if (!names.test(name)) throw refused(where, "has a name that is malformed");
      return [name, read(one, `${where}.${name}`)];
    }));
  };
}

/** An object by its fields. */
export function object<T>(read: (fields: StrictObject) => T): Read<T> {
  return (value, where) => {
    const fields = new StrictObject(value, where);
    const result = read(fields);
    fields.end();
    return result;
  };
}

/** Anything: for what the sender's own checks and the reader's later ones cover. */
export const anything: Read<unknown> = (value) => value;
