/** Fields of /v1/chat/completions that vLLM and llama-server have and OpenAI has not: what a prompt's template is told. */
import { runAtOnce } from "../../../src/budget.ts";
import { exactText } from "../../../src/exact_json.ts";
import type { ChatMessage } from "../../engine/types.ts";
import type { Fields } from "../fields.ts";
import { jsonSize } from "../../json_work.ts";
import type { ChatPrompt, Service, Think } from "../request.ts";

/**
 * `add_generation_prompt` and `continue_final_message`, as vLLM and llama-server have them: whether a reply is begun, or the last
 * one is continued.
 * @throws {SecLlamaError} `bad-request`: both; or there is no reply to continue.
 */
export function generationPromptFields(
  body: Fields,
  messages: readonly ChatMessage[],
): Pick<ChatPrompt, "addGenerationPrompt"> {
  const begins = body.boolean("add_generation_prompt");
  const continues = body.boolean("continue_final_message") ?? false;
  if (continues && begins === true) {
    throw body.fail("continue_final_message", "cannot stand beside add_generation_prompt");
  }
  const isReply = messages.at(-1)?.role === "assistant";
  if (continues && !isReply) {
    throw body.fail("continue_final_message", "must come with a last message of the assistant's");
  }
  // Without both, a last message of the assistant's is continued.
  if (begins === undefined || continues || (isReply && !begins)) return {};
  return { addGenerationPrompt: begins };
}

/** Names under which templates know whether to think. */
const THINK_KWARGS = ["enable_thinking", "thinking"];
/** What a template is told of by the request itself. */
const OWN_KWARGS = [
  "messages",
  "tools",
  "functions",
  "add_generation_prompt",
  "bos_token",
  "eos_token",
];
const MAX_KWARGS = 32;
/** UTF-16 units of them all as JSON. */
const MAX_KWARGS_UNITS = 16 * 1024;

/** Whether to think, as `chat_template_kwargs` says it. */
export function thinkOfTemplate(service: Service, body: Fields): Think | undefined {
  const kwargs = body.object("chat_template_kwargs");
  const [think] = THINK_KWARGS.map((name) => kwargs?.boolean(name))
    .filter((one) => one !== undefined);
  // A template that does not know the name does not look at it.
  return service.supportsThinking ? think : undefined;
}

/**
 * `chat_template_kwargs`, as vLLM and llama-server have it: names and values for the model's own template.
 * @throws {SecLlamaError} `bad-request` naming one that cannot be passed on, or too much of it.
 */
export function templateValuesField(body: Fields): Readonly<Record<string, unknown>> | undefined {
  const kwargs = body.object("chat_template_kwargs");
  if (kwargs === undefined) return undefined;
  const names = kwargs.names();
  if (names.length > MAX_KWARGS) {
    throw body.fail("chat_template_kwargs", `must have at most ${MAX_KWARGS} names`);
  }
  for (const name of names) {
    if (OWN_KWARGS.includes(name)) throw kwargs.fail(name, "is made by the server", "unsupported");
    if (!/^[A-Za-z_]\w{0,63}$/.test(name)) {
      throw body.fail("chat_template_kwargs", "must have names of letters, digits and _");
    }
  }
  const values = kwargs.value();
  // What is far more is not written out: it would take half a second.
  const about = runAtOnce(jsonSize(values, MAX_KWARGS_UNITS));
  if (about > MAX_KWARGS_UNITS || exactText(values).length > MAX_KWARGS_UNITS) {
    throw body.fail("chat_template_kwargs", `must have at most ${MAX_KWARGS_UNITS} characters`);
  }
  return values;
}
