/**
 * llama-server's /tokenize, /detokenize and /apply-template: what a text, or a conversation, is to the model; and the tokens of
 * a conversation, counted.
 */
import type { Handler } from "../app.ts";
import { SmallItems } from "../../json_work.ts";
import type { Service } from "../request.ts";
import { parseChat } from "./chat.ts";
import { MAX_LIST } from "./common.ts";
import { tokenIds } from "./embeddings.ts";

/** POST /tokenize: with `parse_special: false`, text of control tokens stays text. */
export const tokenize: Handler = async (service, body, call) => {
  service.checkModel(body.string("model"));
  const text = body.string("content");
  if (text === undefined) throw body.missing("content");
  const bos = body.boolean("add_special") ?? false;
  const special = body.boolean("parse_special") ?? true;
  const withPieces = body.boolean("with_pieces") ?? false;
  const tokens = await service.tokenize({ text: text.toWellFormed(), special, bos }, call);
  return await service.json({
    tokens: withPieces ? new SmallItems(withText(service, tokens)) : tokens,
  }, call);
};

function* withText(service: Service, tokens: Int32Array) {
  for (const id of tokens) yield { id, piece: pieceOf(service.bytesOf(id)) };
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** As text; its bytes, where they are a part of a character. */
function pieceOf(bytes: Uint8Array): string | number[] {
  try {
    return decoder.decode(bytes);
  } catch {
    return [...bytes];
  }
}

/** POST /detokenize */
// deno-lint-ignore require-await -- a handler's failure is a rejection
export const detokenize: Handler = async (service, body) => {
  service.checkModel(body.string("model"));
  const ids = body.array("tokens", MAX_LIST);
  if (ids === undefined) throw body.missing("tokens");
  return Response.json({ content: service.detokenize(tokenIds(service, body, "tokens", ids)) });
};

/** POST /apply-template */
export const applyTemplate: Handler = async (service, body, call) => {
  return Response.json({ prompt: await service.promptText(parseChat(service, body), call) });
};

/** POST /v1/chat/completions/input_tokens */
export const chatInputTokens: Handler = async (service, body, call) => {
  const input_tokens = await service.countTokens(parseChat(service, body), call);
  return Response.json({ object: "response.input_tokens", input_tokens });
};
