/**
 * Ollama's `options`, one row each. A negative or absurd number is refused with the option's name, never passed on
 * (CVE-2026-21869: a negative number reached the engine's arithmetic).
 */
import { TOP_LOGPROBS_TEXT } from "../../src/api/texts.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../engine/types.ts";
import type { Fields, Range } from "./fields.ts";
import type { GenerationOptions } from "./request.ts";

const INT32_MAX = 2 ** 31 - 1;
const MAX_STOP_STRINGS = 64;
export const MAX_STOP_CHARS = 4096;

const PROBABILITY: Range = { min: 0, max: 1 };
const PENALTY: Range = { min: -100, max: 100 };

const SAMPLING_NUMBERS = {
  temperature: ["temperature", { min: 0, max: 100 }],
  top_p: ["topP", PROBABILITY],
  min_p: ["minP", PROBABILITY],
  typical_p: ["typicalP", PROBABILITY],
  repeat_penalty: ["repeatPenalty", { min: 0, max: 100, above: true }],
  presence_penalty: ["presencePenalty", PENALTY],
  frequency_penalty: ["frequencyPenalty", PENALTY],
} as const satisfies Record<string, readonly [keyof Sampling, Range]>;

const SAMPLING_INTEGERS = {
  // -1 is how some clients write "all of them", which is 0 here.
  top_k: ["topK", { min: -1, max: INT32_MAX }],
  repeat_last_n: ["repeatLastN", { min: -1, max: INT32_MAX }],
} as const satisfies Record<string, readonly [keyof Sampling, Range]>;

/** Fixed when the model is loaded: their types are checked, their values have no effect here. */
const LOAD_INTEGERS = {
  num_batch: { min: 0, max: INT32_MAX },
  num_gpu: { min: -1, max: INT32_MAX },
  main_gpu: { min: 0, max: INT32_MAX },
  num_thread: { min: 0, max: INT32_MAX },
  draft_num_predict: { min: 0, max: INT32_MAX },
} as const satisfies Record<string, Range>;
const LOAD_BOOLEANS = [
  "use_mmap",
  "use_mlock",
  "numa",
  "low_vram",
  "vocab_only",
  "penalize_newline",
];

/** Ollama's defaults. */
export const DEFAULT_OPTIONS: GenerationOptions = {
  sampling: DEFAULT_SAMPLING,
  maxTokens: -1,
  stop: [],
  keepTokens: 4,
};

/**
 * `base` with what `fields` says. Unknown names are ignored and the fraction of a whole number is dropped, as Ollama does.
 *
 * @throws {SecLlamaError} `bad-request` naming the option that has the wrong type or is out of range.
 */
export function parseOptions(
  fields: Fields | undefined,
  base: GenerationOptions,
): GenerationOptions {
  if (fields === undefined) return base;
  const sampling: { -readonly [K in keyof Sampling]: Sampling[K] } = { ...base.sampling };
  for (const [name, [key, range]] of Object.entries(SAMPLING_NUMBERS)) {
    sampling[key] = fields.number(name, range) ?? sampling[key]!;
  }
  for (const [name, [key, range]] of Object.entries(SAMPLING_INTEGERS)) {
    sampling[key] = whole(fields, name, range) ?? sampling[key];
  }
  sampling.topK = Math.max(sampling.topK, 0);
  applySeed(sampling, fields, "seed");
  for (const [name, range] of Object.entries(LOAD_INTEGERS)) whole(fields, name, range);
  for (const name of LOAD_BOOLEANS) fields.boolean(name);

  const predict = whole(fields, "num_predict", { min: -2, max: INT32_MAX });
  const contextLength = whole(fields, "num_ctx", { min: 1, max: INT32_MAX }) ?? base.contextLength;
  return {
    sampling: dropUndefined(sampling),
    // -2 was "fill the context" in older Ollamas; newer ones take it for -1.
    maxTokens: predict === undefined ? base.maxTokens : Math.max(predict, -1),
    stop: parseStop(fields) ?? base.stop,
    keepTokens: whole(fields, "num_keep", { min: -1, max: INT32_MAX }) ?? base.keepTokens,
    ...(contextLength === undefined ? {} : { contextLength }),
  };
}

/**
 * Ollama's options that requests to OpenAI's paths may bring beside OpenAI's own, as llama-server and vLLM take them: what is
 * said of them. `repetition_penalty` is vLLM's name of `repeat_penalty`.
 * @throws {SecLlamaError} `bad-request` naming the field that has the wrong type or is out of range.
 */
export function localSampling(fields: Fields): Partial<Sampling> {
  const repeat = SAMPLING_NUMBERS.repeat_penalty[1];
  const topK = fields.integer("top_k", SAMPLING_INTEGERS.top_k[1]);
  return dropUndefined({
    topK: topK === undefined ? undefined : Math.max(topK, 0),
    minP: fields.number("min_p", PROBABILITY),
    typicalP: fields.number("typical_p", PROBABILITY),
    repeatPenalty: fields.number("repeat_penalty", repeat) ??
      fields.number("repetition_penalty", repeat),
    repeatLastN: fields.integer("repeat_last_n", SAMPLING_INTEGERS.repeat_last_n[1]),
  });
}

function whole(fields: Fields, name: string, range: Range): number | undefined {
  const value = fields.number(name, range);
  return value === undefined ? undefined : Math.trunc(value);
}

/** The stop strings of the field `name`: an array of strings; an empty one would end every reply and is left out. */
export function parseStop(fields: Fields, name = "stop"): string[] | undefined {
  return fields.strings(name, { maxLength: MAX_STOP_STRINGS, maxChars: MAX_STOP_CHARS })
    ?.filter((one) => one !== "");
}

/**
 * `top_logprobs`; absent: undefined.
 * @throws {SecLlamaError} `bad-request`, in Ollama's words for a number out of range.
 */
export function topLogprobs(fields: Fields): number | undefined {
  const value = fields.integer("top_logprobs", { min: -INT32_MAX, max: INT32_MAX });
  if (value === undefined || (value >= 0 && value <= 20)) return value;
  throw new SecLlamaError("bad-request", TOP_LOGPROBS_TEXT, {
    field: fields.at("top_logprobs"),
    fault: value < 0 ? "integer-too-small" : "integer-too-large",
  });
}

/** Of 64 bits, with or without a sign. */
const SEEDS = { min: -(2 ** 63), max: 2 ** 64 };

/** A negative seed is "random". Larger ones than the engine's 32 bits are folded into them, the one that means random spared. */
export function applySeed(
  sampling: { seed?: number },
  fields: Fields,
  name: string,
): void {
  const rough = whole(fields, name, SEEDS);
  if (rough === undefined) return;
  const given = fields.value()[name];
  if (rough < 0) delete sampling.seed;
  else sampling.seed = Number((typeof given === "bigint" ? given : BigInt(rough)) % 0xffff_ffffn);
}

function dropUndefined<T extends object>(
  sampling: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(sampling).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]: Exclude<T[K], undefined> };
}
