/** Conversations of the shapes that clients send, and any others. */
import type { Conversation, Message, Tool } from "../../src/templates/types.ts";
import type { Asked } from "../../src/templates/variables.ts";
import type { Random } from "../jinja/generate.ts";

export type Shape = Conversation & Pick<Asked, "think"> & {
  readonly addGenerationPrompt?: boolean;
};

const system: Message = { role: "system", content: "Be brief." };
const user: Message = { role: "user", content: "Hello, <world> & 'all'" };
const more: Message = { role: "user", content: 'And "more"\n' };
const assistant: Message = { role: "assistant", content: "Hi there" };
export const TOOLS: readonly Tool[] = [
  {
    name: "get_weather",
    description: "The weather of a city",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string", description: "Its name" },
        days: { type: ["integer", "null"], default: 1 },
        unit: { enum: ["C", "F"] },
        tags: { type: "array", items: { type: "string" } },
      },
      required: ["city"],
    },
  },
  { name: "now", description: "The time" },
];
const call: Message = {
  role: "assistant",
  content: "",
  toolCalls: [{
    id: "call_0123456789abcdef01234567",
    name: "get_weather",
    arguments: { city: 'Oslo <é> "x"', days: 2, tags: ["a", { b: null }], deep: { ok: true } },
  }],
};
const result: Message = {
  role: "tool",
  content: '{"t": 3.5}',
  toolName: "get_weather",
  toolCallId: "call_0123456789abcdef01234567",
};
const nowCall = { id: "call_2", name: "now", arguments: {} };
const nowResult: Message = { role: "tool", content: "noon", toolCallId: "call_2" };

/** Twelve shapes, as in the issue, and those behind the public reports. */
export const SHAPES: Readonly<Record<string, Shape>> = {
  "a question": { messages: [user] },
  "rules and a question": { messages: [system, user] },
  "two turns": { messages: [system, user, assistant, more] },
  "two users in a row": { messages: [user, more, assistant, assistant, user] },
  "rules later, and twice": {
    messages: [system, { ...system, content: "In French." }, user, assistant, {
      role: "developer",
      content: "In Dutch.",
    }, more],
  },
  "tools": { messages: [system, user], tools: TOOLS },
  "tools without rules": { messages: [user], tools: TOOLS },
  "a call and its result": { messages: [system, user, call, result], tools: TOOLS },
  "a call with text and a thought": {
    messages: [user, { ...call, content: "Let me look.", thinking: "I must look." }, result],
    tools: TOOLS,
    think: true,
  },
  "two calls at once, and a user behind": {
    messages: [
      user,
      { ...call, toolCalls: [...call.toolCalls!, nowCall] },
      result,
      nowResult,
      more,
    ],
    tools: TOOLS,
  },
  "a call without ids": {
    messages: [
      user,
      {
        ...call,
        toolCalls: [{ name: "now", arguments: {} }],
      },
      { role: "tool", content: "noon" },
      assistant,
      more,
    ],
    tools: TOOLS,
  },
  "thinking off": { messages: [user, { ...assistant, thinking: "Hm." }, more], think: false },
  "begins with the assistant": { messages: [assistant, user] },
  "rules alone": { messages: [system] },
  "a result without a call": { messages: [result, user], tools: TOOLS },
};

/** Any sequence of messages, with a text of its own in each. */
export function randomShape(random: Random): Shape {
  const messages: Message[] = [];
  const length = 1 + random.below(8);
  const roles = [
    "system",
    "developer",
    "user",
    "user",
    "assistant",
    "assistant",
    "tool",
    "call",
    "call",
  ];
  const open: { id?: string; name: string }[] = [];
  for (let index = 0; index < length; index++) {
    const content = `text${index}`;
    const role = open.length > 0 && random.below(4) > 0
      ? "tool"
      : roles[random.below(roles.length)]!;
    if (role === "call") {
      const toolCalls = Array.from({ length: 1 + random.below(3) }, (_, at) => {
        const name = TOOLS[random.below(2)]!.name;
        const id = random.below(4) === 0 ? {} : { id: `call_${index}_${at}` };
        return {
          ...id,
          name,
          arguments: random.below(3) === 0 ? {} : { city: `value${index}${at}` },
        };
      });
      open.splice(0, Infinity, ...toolCalls);
      messages.push({
        role: "assistant",
        content: random.below(2) === 0 ? "" : content,
        ...(random.below(3) === 0 ? { thinking: `thought${index}` } : {}),
        toolCalls,
      });
    } else if (role === "tool") {
      const answered = open.splice(random.below(open.length || 1), 1)[0];
      messages.push({
        role,
        content,
        ...(answered?.id === undefined ? {} : { toolCallId: answered.id }),
        ...(random.below(2) === 0 && answered !== undefined ? { toolName: answered.name } : {}),
      });
    } else messages.push({ role, content });
  }
  return {
    messages,
    ...(random.below(2) === 0 || messages.some(({ toolCalls }) => toolCalls)
      ? { tools: TOOLS }
      : {}),
    ...(random.below(3) === 0 ? { think: random.below(2) === 0 } : {}),
  };
}
