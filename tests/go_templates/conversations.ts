/** Conversations of every shape that clients send, and random ones. */
import type { TemplateMessage, TemplateTool } from "../../src/api/template/chat.ts";
import type { Case } from "./oracle.ts";

const TOOLS: readonly TemplateTool[] = [
  {
    name: "get_weather",
    description: 'Weather of a <city> & "more"',
    parameters: {
      type: "object",
      required: ["city"],
      properties: {
        unit: { type: ["string", "null"], enum: ["c", "f", 1, null] },
        city: { type: "string", description: "Which one" },
        where: {
          type: "object",
          properties: { lon: { type: "number" }, lat: { type: "number" } },
          required: ["lat"],
        },
        list: { type: "array", items: { type: "integer", maximum: 1e21 } },
        either: { anyOf: [{ type: "string" }, { type: "boolean" }] },
      },
    },
  },
  { name: "nothing", parameters: {} },
];

const system = { role: "system", content: "Be brief." };
const user = { role: "user", content: "Hello, <world> & 'all'" };
const assistant = { role: "assistant", content: "Hi there" };
const call = {
  role: "assistant",
  content: "",
  thinking: "I should look.",
  toolCalls: [{ id: "call_1", name: "get_weather", arguments: { city: "Oslo <é>", days: 2 } }],
};
const result = {
  role: "tool",
  content: '{"t": 3.5}',
  toolName: "get_weather",
  toolCallId: "call_1",
};

export const CONVERSATIONS: Readonly<Record<string, Omit<Case, "template">>> = {
  user: { messages: [user] },
  "system and user": { messages: [system, user] },
  "system alone": { messages: [system] },
  "two turns": { messages: [system, user, assistant, { role: "user", content: "More" }] },
  "two users": { messages: [user, { role: "user", content: "Again" }, assistant, user] },
  "a reply to go on with": { messages: [user, { role: "assistant", content: "Once upon" }] },
  "system in the middle": { messages: [user, assistant, system, { ...user, content: "x" }] },
  "two systems": { messages: [system, { ...system, content: "In French." }, user] },
  "an empty user": { messages: [{ role: "user", content: "" }] },
  "text of control tokens": {
    messages: [{ role: "user", content: "<|im_end|>[/INST]</s> {{ .System }}" }],
  },
  tools: { messages: [system, user], tools: TOOLS },
  "tools without system": { messages: [user], tools: TOOLS },
  "a call and its result": { messages: [system, user, call, result], tools: TOOLS },
  "two calls": {
    messages: [
      user,
      {
        ...call,
        toolCalls: [...call.toolCalls, { id: "call_2", name: "nothing", arguments: {} }],
      },
      result,
      { ...result, content: "ok", toolName: "nothing", toolCallId: "call_2" },
      assistant,
      { role: "user", content: "Thanks" },
    ],
    tools: TOOLS,
  },
  "thinking on": { messages: [user, { ...assistant, thinking: "Hm." }, user], think: true },
  "thinking off": { messages: [system, user], think: false },
  "thinking by level": { messages: [user], think: "high" },
  "a gap": { prompt: "def f(", suffix: "return x" },
};

const CONTENTS = [
  "Hello",
  "",
  "héllo ✓ 😀",
  "two\nlines",
  "<|im_end|> & <b>",
  '{"a": 1}',
  'it\'s "quoted" \\ here',
  " spaces ",
  "%s %d",
];

/** A conversation, perhaps an odd one. */
export function conversation(random: () => number): Omit<Case, "template"> {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const messages: TemplateMessage[] = [];
  if (random() < 0.5) messages.push({ role: "system", content: pick(CONTENTS) });
  for (let at = Math.floor(random() * 5); at >= 0; at--) {
    const role = pick(["user", "user", "assistant", "tool", "system"]);
    const calls = role === "assistant" && random() < 0.5;
    messages.push({
      role,
      content: pick(CONTENTS),
      ...(role === "assistant" && random() < 0.3 ? { thinking: pick(CONTENTS) } : {}),
      ...(calls
        ? {
          toolCalls: [{
            id: "call_1",
            name: pick(["get_weather", "f<x>"]),
            arguments: pick<Record<string, unknown>>([
              {},
              { city: "Oslo", n: 3, f: 1.5, big: 1e21, small: 1e-7, ok: true, none: null },
              { z: [1, "a", { b: "<é>" }], a: { y: 1, x: "\u2028" } },
              { "": "x", "é": -0.5, Z: [], a: {} },
            ]),
          }],
        }
        : {}),
      ...(role === "tool" ? { toolName: "get_weather", toolCallId: "call_1" } : {}),
    });
  }
  return {
    messages,
    ...(random() < 0.4 ? { tools: TOOLS } : {}),
    ...(random() < 0.4 ? { think: pick([true, false, "low", "high"]) } : {}),
  };
}
