/**
 * What a template needs, by trying: conversations with needles in them are rendered, and where the needles come out tells what
 * the template takes. For each question the first answer with which most of the needles come out is taken. After llama.cpp's
 * and minja's `caps`, which ask fewer questions.
 */
import { OTHER_ID, OWN_ID } from "../replies/written_calls.ts";
import { adapt } from "./adapt.ts";
import { type Needs, NO_NEEDS } from "./needs.ts";
import type { Conversation, Message, Tool } from "./types.ts";

/** What the template makes of a conversation in this form; `undefined`: it refuses. */
export type Render = (
  messages: readonly Message[],
  needs: Needs,
  o: { readonly tools: readonly Tool[]; readonly addGenerationPrompt: boolean },
) => string | undefined;

interface Question {
  readonly asks: readonly Conversation[];
  /** Texts that must come out, in whichever order. */
  readonly needles: readonly string[];
  readonly answers: readonly Partial<Needs>[];
  /** Of those that suppose that the template shows calls. */
  readonly ofCalls?: true;
  /** Not asked where it means nothing. */
  readonly unless?: (needs: Needs) => boolean;
}

/** Texts that no template writes of itself. */
const N = {
  user: "zquser",
  second: "zqsecond",
  third: "zqthird",
  system: "zqsystem",
  system2: "zqsysttwo",
  system3: "zqsystthree",
  developer: "zqdeveloper",
  assistant: "zqassistant",
  assistant2: "zqassisttwo",
  text: "zqtext",
  thought: "zqthought",
  tool: "zq_tool",
  called: "zqcalled",
  called2: "zqcalltwo",
  argument: "zqargument",
  key: "zqkey",
  value: "zqvalue",
  value2: "zqvaluetwo",
  result: "zqresult",
  result2: "zqresulttwo",
  description: "zqdescription",
} as const;

const message = (role: string, content: string): Message => ({ role, content });
/** Parameters as schemas have them and few templates expect. */
const ODD_TOOL: Tool = {
  name: N.tool,
  description: N.description,
  parameters: {
    type: "object",
    properties: {
      [N.key]: { type: ["integer", "null"] },
      second: { enum: ["a", "b"] },
      third: { anyOf: [{ type: "string" }, { type: "null" }] },
      fourth: { type: "array", items: {} },
      fifth: { type: "object" },
    },
  },
};
const system = message("system", N.system);
const user = message("user", N.user);
const developer = message("developer", N.developer);
const second = message("user", N.second);
const assistant = message("assistant", N.assistant);
const PROBE_TOOL: Tool = {
  name: N.tool,
  description: N.description,
  parameters: {
    type: "object",
    properties: { [N.key]: { type: "string", description: "a word" } },
    required: [N.key],
  },
};
// Names and keys that come out of the call, and of nothing else.
const call = { id: OWN_ID, name: N.called, arguments: { [N.argument]: N.value } };
const otherCall = { id: OTHER_ID, name: N.called2, arguments: { [N.argument]: N.value2 } };
const calling: Message = { role: "assistant", content: "", toolCalls: [call] };
const result: Message = {
  role: "tool",
  content: N.result,
  toolName: "answer",
  toolCallId: OWN_ID,
};
const otherResult: Message = {
  role: "tool",
  content: N.result2,
  toolName: "answer",
  toolCallId: OTHER_ID,
};
const tools = [PROBE_TOOL];

/** Forms of a call, the likeliest first; without any, it is told as text. */
function callForms(): Partial<Needs>[] {
  const forms: Partial<Needs>[] = [];
  for (const results of ["tool", "user", "ipython", "function"] as const) {
    for (const ids of ["own", "nine", "numbered"] as const) {
      for (const empty of ["", "null", "absent"] as const) {
        for (const given of ["object", "text"] as const) {
          forms.push({ results, ids, empty, arguments: given });
        }
      }
    }
  }
  return [...forms, { calls: "text" }, { calls: "text", results: "user" }];
}

const QUESTIONS: readonly Question[] = [
  {
    asks: [{ messages: [user] }],
    needles: [N.user],
    answers: [
      {},
      { content: "parts" },
      { noTools: "empty" },
      { noTools: "empty", content: "parts" },
      // One that writes the text of the tools where there are none, too.
      { tools: "functions" },
    ],
  },
  {
    asks: [{ messages: [system, user] }, { messages: [system, user, assistant, second] }],
    needles: [N.system, N.user],
    answers: [{}, { system: "user" }],
  },
  {
    asks: [
      { messages: [system, message("system", N.system2), user] },
      { messages: [system, message("system", N.system2), user, assistant, second] },
      {
        messages: [system, message("system", N.system2), user, assistant]
          .concat(message("system", N.system3), second),
      },
    ],
    needles: [N.system, N.system2, N.system3],
    answers: [{}, { systems: "leading" }, { systems: "one" }],
    unless: ({ system }) => system === "user",
  },
  {
    asks: [
      { messages: [developer, user] },
      { messages: [developer, user], tools },
      { messages: [user, assistant, developer, second] },
      { messages: [user, assistant, developer, second], tools },
    ],
    needles: [N.developer, N.user],
    answers: [{}, { developer: "system" }],
  },
  {
    asks: [{
      messages: [user, second, assistant, message("assistant", N.assistant2)]
        .concat(message("user", N.third)),
    }],
    needles: [N.user, N.second, N.assistant, N.assistant2, N.third],
    answers: [{}, { turns: "joined" }],
  },
  {
    asks: [{ messages: [assistant, user] }, { messages: [system, assistant, user] }],
    needles: [N.assistant, N.user],
    answers: [{}, { begins: "user" }],
  },
  {
    asks: [{ messages: [system, user], tools }, { messages: [user], tools }],
    needles: [N.tool, N.description, N.key, N.system, N.user],
    answers: [
      {},
      { toolsBeside: "system" },
      { tools: "functions" },
      { tools: "bare" },
      { tools: "message" },
      { tools: "system" },
    ],
  },
  {
    asks: [{ messages: [system] }, { messages: [system], tools }],
    needles: [N.system, N.tool],
    answers: [{}, { users: "one" }],
  },
  {
    asks: [{ messages: [user], tools: [{ name: N.tool }] }],
    needles: [N.tool, N.user],
    answers: [{}, { toolParts: "filled" }],
  },
  {
    asks: [{ messages: [user], tools: [ODD_TOOL] }],
    needles: [N.tool, N.key, N.user],
    answers: [{}, { toolTypes: "single" }, { toolTypes: "filled" }],
  },
  {
    asks: [
      { messages: [user, calling, result], tools },
      { messages: [user, calling, result, assistant, second], tools },
      { messages: [user, calling, result, calling, result, assistant, second], tools },
    ],
    needles: [N.called, N.argument, N.value, N.result, N.user],
    answers: callForms(),
    ofCalls: true,
  },
  {
    asks: [{ messages: [user, { ...calling, content: N.text }, result, assistant, second], tools }],
    needles: [N.text, N.value, N.result],
    answers: [{}, { mixed: "split" }, { mixed: "thought" }],
    unless: ({ calls }) => calls === "text",
  },
  {
    asks: [{
      messages: [user, { ...calling, toolCalls: [call, otherCall] }, result, otherResult],
      tools,
    }],
    needles: [N.called, N.called2, N.value, N.value2, N.result, N.result2],
    answers: [{}, { parallel: "apart" }],
    unless: ({ calls }) => calls === "text",
  },
  {
    asks: [{ messages: [user, calling, result, second], tools }],
    needles: [N.value, N.result, N.second],
    answers: [{}, { behindResult: "" }, { behindResult: "OK" }, { results: "user" }],
    unless: ({ results }) => results === "user",
  },
  {
    asks: [{ messages: [user, result, second], tools }, { messages: [result, user], tools }],
    needles: [N.result, N.second],
    answers: [{}, { orphans: "user" }, { orphans: "user", begins: "user" }],
    unless: ({ results }) => results === "user",
  },
  {
    asks: [{
      messages: [user, { ...calling, content: N.text, thinking: N.thought }, result],
      tools,
    }],
    needles: [N.text, N.value, N.result],
    answers: [{}, { thoughts: "joined" }, { thoughts: "dropped" }],
    unless: ({ calls }) => calls === "text",
  },
];

/** @param source The template: whose text does not hold the name of calls cannot show them. */
export function probeNeeds(render: Render, source: string): Needs {
  let needs = NO_NEEDS;
  const mayCall = /tool_calls|items|tojson/.test(source);
  for (const question of QUESTIONS) {
    if (question.unless?.(needs)) continue;
    let best: Needs | undefined;
    let bestScore = -1;
    const most = perfect(question);
    for (const answer of question.answers) {
      if (question.ofCalls && !mayCall && answer.calls !== "text") continue;
      const tried = { ...needs, ...answer };
      const score = scoreOf(question, tried, render);
      if (score > bestScore) [best, bestScore] = [tried, score];
      if (score >= most) break;
    }
    needs = best ?? needs;
  }
  return needs;
}

/** What comes out of a call's arguments: as JSON or in a way of the template's own; as Python's; as a text within a text. */
const QUALITY = { clean: 2, python: 1, escaped: 0 };

function scoreOf(question: Question, needs: Needs, render: Render): number {
  let score = 0;
  for (const ask of question.asks) {
    const text = render(adapt(ask, needs), needs, {
      tools: ask.tools ?? [],
      addGenerationPrompt: true,
    });
    // Refused, which is worse than anything that is left out.
    if (text === undefined) continue;
    score += question.needles.length + 1;
    for (const needle of question.needles) {
      if (isIn(ask, needle)) score += text.includes(needle) ? 100 : 0;
    }
    // What is neither in the question nor wanted by it costs a little: calls as text, where there is a form for them.
    if (question.needles.includes(N.value)) score += qualityOf(text);
  }
  return score;
}

/** Of a question whose every needle comes out. */
function perfect(question: Question): number {
  let score = 0;
  for (const ask of question.asks) {
    score += question.needles.length + 1 +
      100 * question.needles.filter((needle) => isIn(ask, needle)).length;
    if (question.needles.includes(N.value)) score += QUALITY.clean;
  }
  return score;
}

function isIn(ask: Conversation, needle: string): boolean {
  return JSON.stringify([ask.messages, ask.tools]).includes(needle);
}

function qualityOf(text: string): number {
  if (text.includes(`\\"${N.argument}\\"`)) return QUALITY.escaped;
  return text.includes(`'${N.argument}': '${N.value}'`) ? QUALITY.python : QUALITY.clean;
}
