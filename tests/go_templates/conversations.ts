/** Conversations of every shape that clients send. */
import { TOOLS } from "./generate.ts";
import type { Case } from "./oracle.ts";

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
