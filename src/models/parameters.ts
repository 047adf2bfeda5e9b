/**
 * The parameters that a Modelfile may set, one row each: type and range. The runner checks a request's options by a table
 * of its own; a test holds the two together.
 */
import { SecLlamaError } from "../errors.ts";

export type ParameterValue = number | boolean | string | readonly string[];

interface Row {
  readonly type: "integer" | "number" | "boolean" | "texts";
  readonly min?: number;
  readonly max?: number;
}

const INT32_MAX = 2 ** 31 - 1;
const probability: Row = { type: "number", min: 0, max: 1 };
const penalty: Row = { type: "number", min: -100, max: 100 };
const integer = (min: number, max = INT32_MAX): Row => ({ type: "integer", min, max });

export const PARAMETERS: { readonly [name: string]: Row } = {
  temperature: { type: "number", min: 0, max: 100 },
  top_p: probability,
  min_p: probability,
  typical_p: probability,
  repeat_penalty: { type: "number", min: Number.MIN_VALUE, max: 100 },
  presence_penalty: penalty,
  frequency_penalty: penalty,
  top_k: integer(-1),
  repeat_last_n: integer(-1),
  seed: integer(-1, Number.MAX_SAFE_INTEGER),
  num_predict: integer(-2),
  num_ctx: integer(1),
  num_keep: integer(-1),
  num_batch: integer(1),
  num_gpu: integer(-1),
  main_gpu: integer(0),
  num_thread: integer(0),
  draft_num_predict: integer(0),
  use_mmap: { type: "boolean" },
  stop: { type: "texts" },
};

/** Parameters that Ollama once had: named in a warning and left out. */
export const RETIRED_PARAMETERS: ReadonlySet<string> = new Set([
  "penalize_newline",
  "low_vram",
  "f16_kv",
  "logits_all",
  "vocab_only",
  "use_mlock",
  "mirostat",
  "mirostat_tau",
  "mirostat_eta",
  "numa",
  "tfs_z",
  "num_gqa",
  "rope_frequency_base",
  "rope_frequency_scale",
]);

/** Most stop texts and most characters of one, as the runner takes them. */
export const MAX_STOPS = 64;
const MAX_STOP_CHARS = 4096;

/** Whether a JSON value can be a parameter's. */
export function isParameterValue(value: unknown): value is ParameterValue {
  return (typeof value === "number" && Number.isFinite(value)) || typeof value === "boolean" ||
    typeof value === "string" ||
    (Array.isArray(value) && value.every((one) => typeof one === "string"));
}

/**
 * Checks a parameter's value.
 * @param where Where it stands, for the message: `line 3`, or `parameters`.
 * @returns The value to store; a single stop text becomes a list.
 * @throws {SecLlamaError} `bad-modelfile` for an unknown name, a wrong type or a value out of range.
 */
export function checkParameter(name: string, value: unknown, where: string): ParameterValue {
  const row = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
  if (!row) {
    throw bad(`${where}: unknown parameter ${JSON.stringify(name.slice(0, 64))}`, {
      field: name.slice(0, 64),
      hint: `known parameters: ${Object.keys(PARAMETERS).join(", ")}`,
    });
  }
  const wrong = (wanted: string) =>
    bad(`${where}: ${name} must be ${wanted}`, {
      field: name,
      hint: "correct it, or leave it out: then the model's own counts",
    });
  switch (row.type) {
    case "boolean":
      if (typeof value === "boolean") return value;
      throw wrong("true or false");
    case "texts": {
      const list = typeof value === "string" ? [value] : value;
      const fits = Array.isArray(list) && list.length <= MAX_STOPS &&
        list.every((one) => typeof one === "string" && one.length <= MAX_STOP_CHARS);
      if (fits) return list;
      throw wrong(`at most ${MAX_STOPS} texts of at most ${MAX_STOP_CHARS} characters`);
    }
    case "integer":
    case "number": {
      const whole = row.type === "integer";
      const fits = typeof value === "number" && Number.isFinite(value) &&
        (!whole || Number.isSafeInteger(value)) && value >= row.min! && value <= row.max!;
      if (fits) return value;
      const from = row.min === Number.MIN_VALUE ? "above 0, at most" : `from ${row.min} to`;
      throw wrong(`a ${whole ? "whole " : ""}number ${from} ${row.max}`);
    }
  }
}

/**
 * A parameter's text, as a Modelfile writes it, as a value.
 * @throws {SecLlamaError} as {@link checkParameter}.
 */
export function parseParameter(name: string, text: string, where: string): ParameterValue {
  const row = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
  let value: unknown = text;
  if (row?.type === "boolean") value = text === "true" ? true : text === "false" ? false : text;
  else if (row && row.type !== "texts") {
    value = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : NaN;
  }
  return checkParameter(name, value, where);
}

function bad(message: string, options: { field: string; hint?: string }): SecLlamaError {
  return new SecLlamaError("bad-modelfile", message, options);
}
