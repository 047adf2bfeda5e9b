/** POST /api/chat */
import { NDJSON_TYPE } from "../../../src/api/media_types.ts";
import type { Handler } from "../app.ts";
import { collect } from "../inference.ts";
import type { InferenceRequest, NamedToolCall, Reply, ReplyEvent } from "../request.ts";
import { BEGUN, type Chunks, ndjson, streamResponse } from "../stream.ts";
import {
  announceKeepAlive,
  commonFields,
  createdAt,
  logprobFields,
  metrics,
  parseMessages,
  parseTools,
  renderedOnly,
  withErrorLine,
} from "./wire.ts";

export const ollamaChat: Handler = async (service, body, call, cancel) => {
  const model = service.checkModel(body.string("model"));
  const messages = parseMessages(service, body);
  const tools = parseTools(body);
  const { stream, renderOnly, keepAlive, inference } = commonFields(service, body);
  const release = announceKeepAlive(service, keepAlive, call);
  if (messages.length === 0) {
    release();
    const done_reason = keepAlive === 0 ? "unload" : "load";
    const message = { role: "assistant", content: "" };
    return Response.json({ model, created_at: createdAt(), message, done: true, done_reason });
  }
  const request: InferenceRequest = {
    model,
    prompt: { kind: "chat", messages, tools, toolChoice: "auto" },
    ...inference,
  };
  if (renderOnly) {
    release();
    return await renderedOnly(service, request, { message: { role: "", content: "" } }, call);
  }
  const reply = service.infer(request, call);
  if (stream) {
    return await streamResponse(withErrorLine(lines(model, reply, release)), {
      contentType: NDJSON_TYPE,
      cancel,
      call,
      lifeSign: () =>
        ndjson({ model, created_at: createdAt(), message: message("", "", []), done: false }),
    });
  }
  try {
    const { text, thinking, toolCalls, logprobs, done } = await collect(reply);
    return await service.json({
      model,
      created_at: createdAt(),
      message: message(text, thinking, toolCalls),
      done: true,
      done_reason: done.reason,
      ...logprobFields(logprobs),
      ...metrics(done.usage),
    }, call);
  } finally {
    release();
  }
};

async function* lines(model: string, reply: Reply, release: () => void): Chunks {
  try {
    for await (const event of reply) {
      const fields = line(event);
      yield fields === undefined ? BEGUN : ndjson({ model, created_at: createdAt(), ...fields });
    }
  } finally {
    release();
  }
}

function line(event: ReplyEvent): Record<string, unknown> | undefined {
  switch (event.type) {
    case "start":
      return undefined;
    case "delta":
      return {
        message: message(event.text, event.thinking, event.toolCalls),
        done: false,
        ...logprobFields(event.logprobs),
      };
    case "done":
      return {
        message: message("", "", []),
        done: true,
        done_reason: event.reason,
        ...metrics(event.usage),
      };
  }
}

function message(content: string, thinking: string, calls: readonly NamedToolCall[]) {
  return {
    role: "assistant",
    content,
    ...(thinking === "" ? {} : { thinking }),
    ...(calls.length === 0 ? {} : {
      tool_calls: calls.map((call, index) => ({
        id: call.id,
        function: { index, name: call.name, arguments: call.arguments },
      })),
    }),
  };
}
