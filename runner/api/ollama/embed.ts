/** POST /api/embed, and /api/embeddings, its older form for one text. */
import type { Handler } from "../app.ts";
import { parseKeepAlive } from "../duration.ts";
import { MAX_EMBED_INPUTS } from "../embed.ts";
import type { Fields } from "../fields.ts";
import { parseOptions } from "../options.ts";
import type { Call, Service } from "../request.ts";
import { announceKeepAlive } from "./wire.ts";

export const ollamaEmbed: Handler = async (service, body, call) => {
  const model = service.checkModel(body.string("model"));
  const inputs = parseInput(body);
  const truncate = body.boolean("truncate") ?? true;
  // 0 is "all", which is what the field says when a Go client leaves it alone.
  const dimensions = body.integer("dimensions", { min: 0, max: 1_000_000 }) || undefined;
  const { release, room } = prepare(service, body, call);
  try {
    const request = {
      model,
      inputs,
      truncate,
      ...room,
      ...(dimensions === undefined ? {} : { dimensions }),
    };
    const { vectors, promptTokens, totalNs, loadNs } = await service.embed(request, call);
    return await service.json({
      model,
      embeddings: vectors,
      ...(vectors.length === 0 ? {} : {
        total_duration: totalNs,
        load_duration: loadNs,
        prompt_eval_count: promptTokens,
      }),
    }, call);
  } finally {
    release();
  }
};

export const ollamaEmbeddings: Handler = async (service, body, call) => {
  const model = service.checkModel(body.string("model"));
  const prompt = body.string("prompt") ?? "";
  const { release, room } = prepare(service, body, call);
  try {
    const inputs = prompt === "" ? [] : [prompt];
    const { vectors } = await service.embed({ model, inputs, truncate: true, ...room }, call);
    return await service.json({ embedding: vectors[0] ?? [] }, call);
  } finally {
    release();
  }
};

function prepare(service: Service, body: Fields, call: Call) {
  const { contextLength } = parseOptions(body.object("options"), service.baseOptions);
  const keepAlive = body.has("keep_alive") ? parseKeepAlive(body.raw("keep_alive")) : undefined;
  const room = contextLength === undefined ? {} : { contextLength };
  return { release: announceKeepAlive(service, keepAlive, call), room };
}

/** A string or strings; nothing, or an empty string, only loads the model. */
function parseInput(body: Fields): string[] {
  const value = body.raw("input");
  if (value === undefined || value === "") return [];
  if (typeof value === "string") return [value.toWellFormed()];
  if (!Array.isArray(value)) throw body.fail("input", "must be a string or an array of strings");
  return body.strings("input", { maxLength: MAX_EMBED_INPUTS, maxChars: Infinity })!;
}
