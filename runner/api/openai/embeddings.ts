/** POST /v1/embeddings */
import type { Handler } from "../app.ts";
import { MAX_EMBED_INPUTS } from "../embed.ts";
import type { Fields } from "../fields.ts";
import type { Service } from "../request.ts";
import { MAX_LIST } from "./common.ts";

export const openaiEmbeddings: Handler = async (service, body, call) => {
  const model = service.checkModel(body.string("model"));
  const inputs = parseInput(service, body);
  const dimensions = body.integer("dimensions", { min: 1, max: 1_000_000 });
  const base64 = encodingField(body) === "base64";
  const request = {
    model,
    inputs,
    truncate: true,
    ...(dimensions === undefined ? {} : { dimensions }),
  };
  const { vectors, promptTokens } = await service.embed(request, call);
  return await service.json({
    object: "list",
    data: vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: base64 ? toBase64(vector) : vector,
    })),
    model,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  }, call);
};

/** In any case of letters, and "" for none, as Ollama takes it. */
function encodingField(body: Fields): string | undefined {
  const asked = body.string("encoding_format")?.toLowerCase() || undefined;
  if (asked === undefined || asked === "float" || asked === "base64") return asked;
  throw body.fail("encoding_format", 'must be "float" or "base64"');
}

/** A string, strings, tokens, or arrays of tokens. */
function parseInput(service: Service, body: Fields): (string | Int32Array)[] {
  const value = body.raw("input");
  if (typeof value === "string" && value !== "") return [value.toWellFormed()];
  const list = Array.isArray(value) ? body.array("input", MAX_LIST)! : [];
  if (list.length === 0) {
    const fault = value === undefined
      ? "missing"
      : value === ""
      ? "empty-string"
      : Array.isArray(value)
      ? "empty-array"
      : "type";
    throw body.fail("input", "must be a string, or an array that is not empty", fault);
  }
  if (typeof list[0] === "number") return [tokenIds(service, body, "input", list)];
  if (list.length > MAX_EMBED_INPUTS) {
    const wanted = `must have at most ${MAX_EMBED_INPUTS} elements`;
    throw body.fail("input", wanted, "array-too-long");
  }
  return list.map((one) => {
    if (typeof one === "string" && one !== "") return one.toWellFormed();
    if (Array.isArray(one) && one.length > 0) return tokenIds(service, body, "input", one);
    throw body.fail("input", "must hold strings or arrays of token ids, none of them empty");
  });
}

/** An id outside of the vocabulary would be read past the model's tables. */
export function tokenIds(
  service: Service,
  body: Fields,
  name: string,
  ids: readonly unknown[],
): Int32Array {
  return Int32Array.from(ids, (id) => {
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= service.vocabularySize) {
      throw body.fail(name, "must hold token ids of this model");
    }
    return id as number;
  });
}

/** Little-endian 32-bit floats, as every processor that this runs on has them. */
function toBase64({ buffer, byteOffset, byteLength }: Float32Array): string {
  return new Uint8Array(buffer, byteOffset, byteLength).toBase64();
}
