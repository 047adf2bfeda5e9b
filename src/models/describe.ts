/**
 * What a model's header says about it: architecture, size, context, quantisation, capabilities; and whether the file
 * can be a model at all (a projector, a vocabulary or one part of a split model cannot).
 */
import { fileCapabilities, POOLING_RANK } from "../api/capabilities.ts";
import type { GgufHeader } from "./gguf.ts";
import { badModel } from "./gguf_reader.ts";
import { kvBytesPerToken } from "./kv_size.ts";
import { FILE_TYPES, VALUE } from "./gguf_types.ts";
import { plural } from "../plural.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { templateAbilities } from "../templates/mod.ts";

export interface ModelDetails {
  /** `general.architecture`: `llama`, `qwen3`, … */
  readonly architecture: string;
  readonly parameterCount: number;
  /** As shown: `1.5M`, `8.0B`. */
  readonly parameterSize: string;
  /** `Q8_0`, `Q4_K_M`, …; `unknown` if neither the file nor its tensors tell. */
  readonly quantization: string;
  /** Tokens the model was trained with. */
  readonly contextLength: number;
  readonly embeddingLength: number;
  /** See {@link kvBytesPerToken}. */
  readonly kvBytesPerToken: number;
  /** The same with a cache of q8_0. */
  readonly kvBytesPerTokenQ8: number;
  readonly chatTemplate?: string;
  /** Numbers that have another type than llama.cpp reads. */
  readonly retyped: readonly RetypedNumber[];
  /** Of `completion`, `embedding`, `tools`, `insert`, `thinking`; never `vision`: no engine for images is here. */
  readonly capabilities: readonly string[];
}

/** A number of the metadata to be given to llama.cpp as it reads it, whatever type the file has for it. */
interface RetypedNumber {
  readonly key: string;
  readonly kind: "int" | "float";
  readonly value: number;
}

const ARCHITECTURE = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/**
 * The details of a checked header.
 * @throws {SecLlamaError} `bad-model` if the file is well-formed but no model that can be run: zero layers or heads
 *   (CVE-2024-8063), a tokenizer whose lists differ in length, a projector, a part of a split model.
 */
export function describeModel(header: GgufHeader): ModelDetails {
  const { metadata } = header;
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string" || !ARCHITECTURE.test(architecture)) {
    throw badModel("it names no architecture");
  }
  const kind = kindOfFile(header);
  if (kind === "projector") throw refused("this file is a projector for images, not a model");
  if (kind === "adapter") throw refused("this file is an adapter, not a model");
  const parts = metadata.get("split.count");
  if (typeof parts === "number" && parts > 1) {
    throw refused(
      `this file is one of ${parts} parts of a model`,
      "join the parts with llama-gguf-split --merge, then import the result",
    );
  }
  if (header.tensorCount === 0) throw refused("this file holds no weights");

  const positive = (key: string, most: number): number => {
    const value = metadata.get(`${architecture}.${key}`);
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > most) {
      throw badModel(`its ${key} is not a whole number from 1 to ${most}`);
    }
    return value;
  };
  positive("block_count", 4096);
  const contextLength = positive("context_length", 2 ** 31 - 1);
  const embeddingLength = positive("embedding_length", 2 ** 24);
  checkHeads(header, architecture, embeddingLength);
  checkTokenizer(header);

  const template = metadata.get("tokenizer.chat_template");
  return {
    architecture,
    parameterCount: header.parameterCount,
    parameterSize: humanCount(header.parameterCount),
    quantization: quantizationOf(header),
    contextLength,
    embeddingLength,
    kvBytesPerToken: kvBytesPerToken(header, architecture),
    kvBytesPerTokenQ8: kvBytesPerToken(header, architecture, "q8_0"),
    ...(typeof template === "string" && template !== "" ? { chatTemplate: template } : {}),
    retyped: retypedNumbers(header, architecture),
    capabilities: capabilitiesOf(header, architecture),
  };
}

/** What a GGUF file says that it is; whether it can be that is {@link describeModel}'s to say. */
export function kindOfFile({ metadata }: GgufHeader): "model" | "projector" | "adapter" {
  const type = metadata.get("general.type");
  if (metadata.get("general.architecture") === "clip" || type === "mmproj") return "projector";
  return type === "adapter" || metadata.has("adapter.type") ? "adapter" : "model";
}

/**
 * Checks a LoRA adapter against the model that it is to change.
 * @throws {SecLlamaError} `bad-model` if the file is no adapter, or one for another architecture.
 */
export function describeAdapter(header: GgufHeader, architecture: string): void {
  const { metadata } = header;
  const kind = kindOfFile(header);
  if (kind === "projector") {
    throw refused("this file is a projector, no adapter", "name it by a FROM line of its own");
  }
  if (kind !== "adapter" || metadata.get("adapter.type") !== "lora") {
    throw refused("this file is no LoRA adapter", "give a GGUF file that says adapter.type lora");
  }
  const own = metadata.get("general.architecture");
  if (own !== architecture) {
    throw refused(
      `the adapter is for ${printableName(own)}, the model is ${architecture}`,
      "give an adapter that was made for this model",
    );
  }
  if (header.tensorCount === 0) throw refused("the adapter holds no weights");
}

/**
 * Checks a projector against the model that is to see or hear by it. What it gives has as many numbers as the model's embeddings,
 * so one of its weights must have that length. llama.cpp looks more closely when it loads both.
 * @throws {SecLlamaError} `bad-model` if it was made for a model of another width.
 */
export function checkProjector({ lengths }: GgufHeader, { embeddingLength }: ModelDetails): void {
  if (lengths.has(embeddingLength)) return;
  throw refused(
    `the projector was made for another model: no weight of it has this model's ${embeddingLength} numbers`,
    "give the one that was made for this model, of this size",
  );
}

/** By so many tokens two vocabularies may differ in length: some are padded. */
const VOCABULARY_PADDING = 128;

/**
 * Checks a model that is to guess tokens ahead for another one. What it guesses are numbers of tokens, so both must number them alike.
 * The runner looks at the tokens themselves when it loads both.
 * @throws {SecLlamaError} `bad-model` if it is no model, or has another vocabulary.
 */
export function checkDraft(draft: GgufHeader, model: GgufHeader): void {
  describeModel(draft);
  const kind = ({ metadata }: GgufHeader) => metadata.get("tokenizer.ggml.model");
  const count = ({ arrays }: GgufHeader) => arrays.get("tokenizer.ggml.tokens")?.count ?? 0;
  if (kind(draft) === kind(model) && Math.abs(count(draft) - count(model)) <= VOCABULARY_PADDING) {
    return;
  }
  throw refused(
    `the draft model has another vocabulary: ${plural(count(draft), "token")}, not ${count(model)}`,
    "give a smaller model of the same family",
  );
}

function printableName(value: unknown): string {
  return typeof value === "string" && ARCHITECTURE.test(value) ? value : "another architecture";
}

function printableToken(text: string): string {
  return JSON.stringify(text.slice(0, 40).replace(/[^\x20-\x7e]/g, "?"));
}

function refused(message: string, hint = HINTS.wholeModel): SecLlamaError {
  return new SecLlamaError("bad-model", message, { hint });
}

function checkHeads(header: GgufHeader, architecture: string, embeddingLength: number): void {
  // Recurrent models (Mamba, RWKV) write 0 here and never divide by it.
  const recurrent = [...header.metadata.keys()].some((key) =>
    key.startsWith(`${architecture}.ssm.`) || key.startsWith(`${architecture}.wkv.`)
  );
  if (recurrent) return;
  const key = `${architecture}.attention.head_count`;
  const heads = header.arrays.get(key)?.min ?? header.metadata.get(key);
  if (typeof heads !== "number" || !Number.isInteger(heads) || heads < 1) {
    // An array may hold 0 for layers without attention (hybrid models), never fewer.
    if (header.arrays.get(key)?.min === 0) return;
    throw badModel("its attention.head_count is not a whole number from 1");
  }
  if (heads > embeddingLength) throw badModel("it has more attention heads than dimensions");
  const kv = header.metadata.get(`${architecture}.attention.head_count_kv`);
  if (kv !== undefined && kv !== null && (typeof kv !== "number" || kv < 0 || kv > heads)) {
    throw badModel("its attention.head_count_kv is not from 0 to head_count");
  }
}

/** llama.cpp reads scores and types by token number: lists shorter than the vocabulary are read past their end. */
function checkTokenizer(header: GgufHeader): void {
  const kind = header.metadata.get("tokenizer.ggml.model");
  if (typeof kind !== "string" || kind === "no_vocab" || kind === "none") {
    throw refused("this file holds no tokenizer");
  }
  const tokens = header.arrays.get("tokenizer.ggml.tokens");
  if (tokens?.type !== VALUE.string || tokens.count < 1) {
    throw badModel("its tokenizer has no tokens");
  }
  // llama.cpp ends the whole process over them.
  if (tokens.repeated !== undefined) {
    throw refused(
      `the token ${printableToken(tokens.repeated)} is twice in its vocabulary`,
      "get the model from its maker, or convert it again with a newer llama.cpp",
    );
  }
  for (
    const [key, type] of [
      ["tokenizer.ggml.scores", VALUE.f32],
      ["tokenizer.ggml.token_type", VALUE.i32],
    ] as const
  ) {
    if (!header.metadata.has(key)) continue;
    const list = header.arrays.get(key);
    if (list?.type !== type || list.count !== tokens.count) {
      throw badModel(`${key} does not match the tokens`);
    }
  }
  const merges = "tokenizer.ggml.merges";
  if (header.metadata.has(merges) && header.arrays.get(merges)?.type !== VALUE.string) {
    throw badModel(`${merges} is not a list of strings`);
  }
}

/**
 * llama.cpp refuses a whole number that is not written as u32, and a fraction that is not f32. Converters have written other
 * types, and the number is what counts.
 */
function retypedNumbers(header: GgufHeader, architecture: string): RetypedNumber[] {
  const found: RetypedNumber[] = [];
  for (const [key, value] of header.metadata) {
    const isRead = key.startsWith(`${architecture}.`) || key === "general.file_type" ||
      /^tokenizer\.ggml\.\w+_id$/.test(key);
    // As llama.cpp keeps a key beside its number: 127 bytes.
    if (!isRead || typeof value !== "number" || key.length > 127 || /[^\x21-\x7e]/.test(key)) {
      continue;
    }
    const type = header.types.get(key)!;
    if (type === VALUE.f64 && value >= 0 && value <= Number.MAX_SAFE_INTEGER) {
      found.push({ key, kind: "float", value });
    } else if (type !== VALUE.u32 && type !== VALUE.f32 && value >= 0 && value < 2 ** 32) {
      found.push({ key, kind: "int", value });
    }
  }
  return found.slice(0, 1024);
}

function quantizationOf(header: GgufHeader): string {
  const fileType = header.metadata.get("general.file_type");
  const named = typeof fileType === "number" ? FILE_TYPES.get(fileType) : undefined;
  if (named) return named;
  const [largest] = [...header.bytesByType].sort((a, b) => b[1] - a[1]);
  return largest?.[0] ?? "unknown";
}

function capabilitiesOf(header: GgufHeader, architecture: string): string[] {
  const { metadata } = header;
  const template = metadata.get("tokenizer.chat_template");
  const fim = ["fim_pre", "fim_suf", "fim_mid", "prefix", "suffix", "middle"];
  return fileCapabilities({
    embeds: metadata.has(`${architecture}.pooling_type`),
    ranks: metadata.get(`${architecture}.pooling_type`) === POOLING_RANK,
    // What a header does not tell; a file that cannot is found out when it is loaded.
    generates: true,
    fillsGaps: fim.some((name) => metadata.has(`tokenizer.ggml.${name}_token_id`)),
    byTemplate: templateAbilities(typeof template === "string" ? template : ""),
  });
}

/** `134515008` → `134.5M`, as Ollama shows it. */
function humanCount(count: number): string {
  if (count >= 1e12) return `${(count / 1e12).toFixed(1)}T`;
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)}B`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(2)}M`;
  if (count >= 1e3) return `${(count / 1e3).toFixed(2)}K`;
  return String(count);
}
