/**
 * Reading a JSON object field by field. A wrong field is a `bad-request` that names the field's path and what it must
 * be; the value is shown for numbers only, because text may be message content. `null` counts as absent, and unknown
 * fields are left alone, both as Ollama does.
 */
import { NOT_OBJECT_TEXT } from "../../src/api/texts.ts";
import { type FieldFault, SecLlamaError } from "../../src/errors.ts";

export interface Range {
  readonly min: number;
  readonly max: number;
  /** `min` itself is refused. */
  readonly above?: boolean;
}

/** An own-property view of one JSON object; `path` is how the client would write where it is. */
export class Fields {
  readonly #value: Readonly<Record<string, unknown>>;

  private constructor(value: Readonly<Record<string, unknown>>, readonly path: string) {
    this.#value = value;
  }

  /** @throws {SecLlamaError} `bad-request` if `value` is not a JSON object. */
  static of(value: unknown, path = ""): Fields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new SecLlamaError(
        "bad-request",
        path === "" ? NOT_OBJECT_TEXT : `${path} must be an object`,
        { field: path, fault: "type" },
      );
    }
    return new Fields(value as Record<string, unknown>, path);
  }

  /** The path of a field of this object: `messages[2].content`. */
  at(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  /** An error about one field: `fail("n", "must be 1")`. */
  fail(name: string, wanted: string, fault: FieldFault = "value"): SecLlamaError {
    const field = this.at(name);
    return new SecLlamaError("bad-request", `${field} ${wanted}`, { field, fault });
  }

  /** The error of a field that must be there. */
  missing(name: string): SecLlamaError {
    return this.fail(name, "is required", "missing");
  }

  /** The names that hold something other than `null`. */
  names(): string[] {
    return Object.keys(this.#value).filter((name) => this.#value[name] !== null);
  }

  /** The value as parsed, a number as a double; `undefined` if it is absent or `null`. */
  raw(name: string): unknown {
    const value = Object.hasOwn(this.#value, name) ? this.#value[name] ?? undefined : undefined;
    return typeof value === "bigint" ? Number(value) : value;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  /** The whole object as parsed: whole numbers beyond 2^53 are a `bigint`. */
  value(): Readonly<Record<string, unknown>> {
    return this.#value;
  }

  /** Half a surrogate pair in the text becomes U+FFFD, as any encoder would make of it. */
  string(name: string): string | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== "string") throw this.fail(name, "must be a string", "type");
    return value.toWellFormed();
  }

  requiredString(name: string): string {
    const value = this.string(name);
    if (value === undefined) throw this.missing(name);
    return value;
  }

  oneOf<const T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const value = this.string(name);
    if (value === undefined) return undefined;
    if (!(allowed as readonly string[]).includes(value)) {
      throw this.fail(name, `must be one of ${allowed.map((one) => `"${one}"`).join(", ")}`);
    }
    return value as T;
  }

  boolean(name: string): boolean | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== "boolean") throw this.fail(name, "must be true or false", "type");
    return value;
  }

  number(name: string, range: Range): number | undefined {
    return this.#numeric(name, range, "a number");
  }

  integer(name: string, range: Range): number | undefined {
    return this.#numeric(name, range, "an integer");
  }

  object(name: string): Fields | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : Fields.of(value, this.at(name));
  }

  array(name: string, maxLength: number): readonly unknown[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.fail(name, "must be an array", "type");
    if (value.length > maxLength) {
      const wanted = `has ${value.length} elements, it must have at most ${maxLength}`;
      throw this.fail(name, wanted, "array-too-long");
    }
    return value;
  }

  objects(name: string, maxLength: number): Fields[] | undefined {
    return this.array(name, maxLength)
      ?.map((value, index) => Fields.of(value, `${this.at(name)}[${index}]`));
  }

  strings(name: string, limits: { maxLength: number; maxChars: number }): string[] | undefined {
    return this.array(name, limits.maxLength)?.map((value, index) => {
      if (typeof value !== "string") {
        throw this.fail(name, `must be an array of strings, element ${index} is none`, "type");
      }
      if (value.length > limits.maxChars) {
        throw this.fail(
          name,
          `has an element of ${value.length} characters, at most ${limits.maxChars} are allowed`,
          "string-too-long",
        );
      }
      return value.toWellFormed();
    });
  }

  #numeric(name: string, range: Range, kind: "a number" | "an integer"): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const low = range.above ? `more than ${range.min} and at most` : `from ${range.min} to`;
    const wanted = `${kind} ${low} ${range.max}`;
    if (typeof value !== "number" || (kind === "an integer" && !Number.isInteger(value))) {
      throw this.fail(name, `must be ${wanted}`, "type");
    }
    if (value < range.min || value > range.max || (range.above && value === range.min)) {
      const size = value > range.max ? "too-large" : "too-small";
      const fault = `${kind === "a number" ? "decimal" : "integer"}-${size}` as const;
      throw this.fail(name, `is ${value}, it must be ${wanted}`, fault);
    }
    return value;
  }
}
