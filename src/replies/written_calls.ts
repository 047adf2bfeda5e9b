/**
 * How a template writes a tool call, found by letting it write some. A reply of the model's is written alike, and so
 * it is known whether calls can be read back.
 */
import { exactText } from "../exact_json.ts";
import { readerFor } from "./formats.ts";
import type { Tool } from "./tools.ts";

/** As this server's replies name calls. */
export const OWN_ID = "call_0123456789abcdef01234567";
export const OTHER_ID = "call_76543210fedcba9876543210";

/** A call of a tool. */
interface WrittenCall {
  readonly id?: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** A message of a conversation that a template is given. */
interface WrittenMessage {
  readonly role: string;
  readonly content: string;
  readonly toolCalls?: readonly WrittenCall[];
}

/** What comes out for these messages, and where the assistant's reply would begin; `undefined`: they are refused. */
export type Write = (
  messages: readonly WrittenMessage[],
  tools: typeof TOOLS,
  addGenerationPrompt: boolean,
) => string | undefined;

const NAMES = ["zqcalled", "zqcalltwo"] as const;
const KEYS = ["zqargument", "zqsecarg"] as const;
const VALUES = ["zqvalue", "zqvaluetwo"] as const;
const USER = "zquser";
const REPLY = "zqassistant";
const IDS = [OWN_ID, OTHER_ID] as const;
const TOOLS: readonly (Tool & { readonly description: string })[] = NAMES.map((name) => ({
  name,
  description: "a tool",
  parameters: {
    type: "object",
    properties: Object.fromEntries(KEYS.map((key) => [key, { type: "string", description: "x" }])),
  },
}));

const user: WrittenMessage = { role: "user", content: USER };
const callOf = (index: 0 | 1, values: WrittenCall["arguments"]): WrittenCall => ({
  id: IDS[index],
  name: NAMES[index],
  arguments: values,
});
const BOTH = { [KEYS[0]]: VALUES[0], [KEYS[1]]: VALUES[1] };
const calling = (...toolCalls: WrittenCall[]): WrittenMessage => ({
  role: "assistant",
  content: "",
  toolCalls,
});

/** Units of a prompt's end in which what begins a reply can be told from other text. */
const HEADER = 20;

/** The reply that a template shows for these calls, without what ends the turn. */
export function replyOf(write: Write, calls: readonly WrittenCall[], tools = TOOLS) {
  const prompt = write([user], tools, true);
  const whole = write([user, calling(...calls)], tools, false);
  const plain = write([user, { role: "assistant", content: REPLY }], tools, false);
  if (prompt === undefined || whole === undefined) return undefined;
  let at = 0;
  while (at < prompt.length && prompt[at] === whole[at]) at++;
  // Two tags that begin alike are two tags, and a thought that the prompt opens may be missing in a history.
  const open = /[<\[{][^<>\[\]{}\s]*$/.exec(prompt.slice(0, at));
  if (open !== null && at < prompt.length) at = open.index;
  // Where the prompt of a longer conversation is another one, the reply begins behind the last header.
  const header = prompt.slice(-HEADER);
  const last = whole.lastIndexOf(header, whole.lastIndexOf(calls[0]!.name));
  if (last > at) at = last + header.length;
  const end = plain?.slice(plain.lastIndexOf(REPLY) + REPLY.length);
  return { text: withoutEnd(whole.slice(at), end ?? ""), promptTail: prompt.slice(-64) };
}

function withoutEnd(text: string, end: string): string {
  if (end.trim() !== "" && text.endsWith(end)) return text.slice(0, text.length - end.length);
  // A turn with a call may end otherwise: "<|eom_id|>", "<|call|>".
  return text.replace(
    /(<\/s>|<[|｜](?!END_ACTION|\/?tool|python_end|action_end|DSML)[^<>|｜]*[|｜]>)\s*$/,
    "",
  );
}

/** Two calls, or one if the template refuses two, as it shows them; `undefined`: it shows none. */
export function writtenCalls(write: Write): string | undefined {
  for (const calls of [[callOf(0, BOTH), callOf(1, BOTH)], [callOf(0, BOTH)]]) {
    const text = replyOf(write, calls)?.text;
    if (text !== undefined && calls.every(({ name }) => text.includes(name))) return text;
  }
  return undefined;
}

/** Whether a reply as the template shows it is read as the calls that it shows. */
export function readsBack(write: Write, source: string): boolean {
  const reply = replyOf(write, [callOf(0, BOTH)]);
  if (reply === undefined) return false;
  const { reader, tags, opensThought } = readerFor({
    template: source,
    promptTail: reply.promptTail,
    thought: true,
    tools: TOOLS,
  });
  // A thought that the prompt opens is left out of histories.
  const isClosed = !opensThought || reply.text.includes(tags!.close);
  const text = isClosed ? reply.text : tags!.close + reply.text;
  const said = [reader.push(text), reader.end(false)];
  const [call, ...more] = said.flatMap((one) => one.calls);
  return more.length === 0 && call?.name === NAMES[0] &&
    exactText(Object.entries(call.arguments).sort()) ===
      JSON.stringify(Object.entries(BOTH).sort());
}
