/** POST /api/generate */
import { NDJSON_TYPE } from "../../../src/api/media_types.ts";
import type { Handler } from "../app.ts";
import { SecLlamaError } from "../../../src/errors.ts";
import { collect } from "../inference.ts";
import type { ChatMessage } from "../../engine/types.ts";
import type { Fields } from "../fields.ts";
import { contextTokens } from "../read_ahead.ts";
import { pictureField, takeImages, takingFor } from "../images.ts";
import type { InferenceRequest, Reply, Service } from "../request.ts";
import { BEGUN, type Chunks, ndjson, streamResponse } from "../stream.ts";
import {
  announceKeepAlive,
  commonFields,
  createdAt,
  logprobFields,
  metrics,
  renderedOnly,
  withErrorLine,
} from "./wire.ts";

/** Tokens of a `context`: as many as the largest context in use. */
const MAX_CONTEXT_TOKENS = 1024 * 1024;

export const ollamaGenerate: Handler = async (service, body, call, cancel) => {
  const model = service.checkModel(body.string("model"));
  const { stream, renderOnly, keepAlive, inference } = commonFields(service, body);
  const raw = body.boolean("raw") ?? false;
  const taking = takingFor(service, false);
  const images = takeImages(body, taking).join("");
  const prompt = parsePrompt(service, body, { raw, images, pictures: pictureField(taking) });
  const release = announceKeepAlive(service, keepAlive, call);
  if ((body.string("prompt") ?? "") === "") {
    release();
    const done_reason = keepAlive === 0 ? "unload" : "load";
    return Response.json({ model, created_at: createdAt(), response: "", done: true, done_reason });
  }
  const request: InferenceRequest = { model, prompt, ...inference, ...pictureField(taking) };
  if (renderOnly) {
    release();
    return await renderedOnly(service, request, { response: "" }, call);
  }
  const reply = service.infer(request, call);
  if (stream) {
    return await streamResponse(withErrorLine(lines(model, raw, reply, release)), {
      contentType: NDJSON_TYPE,
      cancel,
      call,
      lifeSign: () => ndjson({ model, created_at: createdAt(), response: "", done: false }),
    });
  }
  try {
    const { text, thinking, logprobs, done } = await collect(reply);
    return await service.json({
      model,
      created_at: createdAt(),
      response: text,
      ...(thinking === "" ? {} : { thinking }),
      done: true,
      done_reason: done.reason,
      ...(raw ? {} : { context: done.context }),
      ...metrics(done.usage),
      ...logprobFields(logprobs),
    }, call);
  } finally {
    release();
  }
};

async function* lines(model: string, raw: boolean, reply: Reply, release: () => void): Chunks {
  try {
    for await (const event of reply) {
      if (event.type === "start") {
        yield BEGUN;
        continue;
      }
      const head = { model, created_at: createdAt() };
      if (event.type === "delta") {
        yield ndjson({
          ...head,
          response: event.text,
          ...(event.thinking === "" ? {} : { thinking: event.thinking }),
          done: false,
          ...logprobFields(event.logprobs),
        });
      } else {
        yield ndjson({
          ...head,
          response: "",
          done: true,
          done_reason: event.reason,
          ...(raw ? {} : { context: event.context }),
          ...metrics(event.usage),
        });
      }
    }
  } finally {
    release();
  }
}

function parsePrompt(
  service: Service,
  body: Fields,
  { raw, images, pictures }: {
    raw: boolean;
    /** What stands for the pictures: before the text, as Ollama has them. */
    images: string;
    pictures: Pick<ChatMessage, "pictures">;
  },
): InferenceRequest["prompt"] {
  const prompt = images + (body.string("prompt") ?? "");
  const suffix = body.string("suffix") ?? "";
  const system = body.string("system") ?? "";
  const template = body.string("template") ?? "";
  const context = parseContext(service, body);
  if (raw) {
    if (template !== "" || system !== "" || context !== undefined) {
      throw new SecLlamaError(
        "bad-request",
        "raw mode does not support template, system, or context",
        { field: "raw" },
      );
    }
    return { kind: "raw", text: prompt };
  }
  const before = context === undefined ? {} : { context };
  if (template !== "") {
    const given = system === "" ? service.defaults.system ?? "" : system;
    return { kind: "template", template, system: given, prompt, suffix, ...before };
  }
  if (suffix !== "") {
    if (images !== "") throw body.fail("images", "cannot stand beside suffix");
    return { kind: "insert", prefix: prompt, suffix };
  }
  const messages: ChatMessage[] = [{ role: "user", content: prompt, ...pictures }];
  if (system !== "") messages.unshift({ role: "system", content: system });
  return { kind: "chat", messages, tools: [], toolChoice: "auto", ...before };
}

/** `context`: tokens of an earlier reply. An id outside of the vocabulary would be read past the model's tables. */
function parseContext(service: Service, body: Fields): Int32Array | undefined {
  const ids = body.array("context", MAX_CONTEXT_TOKENS);
  if (ids === undefined || ids.length === 0) return undefined;
  const tokens = contextTokens(ids);
  if (tokens === undefined || tokens.largest >= service.vocabularySize) {
    throw body.fail("context", "must be an array of token ids of this model");
  }
  return tokens.ids;
}
