/** Whole replies of the families that mark more than calls: channels, recipients, thoughts. */
import assert from "node:assert/strict";
import { readerFor, replyFormat } from "./formats.ts";
import type { ParsedCall, Tool } from "./tools.ts";

const TOOLS: readonly Tool[] = [
  { name: "weather", parameters: { properties: { city: { type: "string" } } } },
  { name: "python", parameters: { properties: { code: { type: "string" } } } },
];
const CALL: ParsedCall = { name: "weather", arguments: { city: 'O"slo >>> <|end|' } };
const ARGS = JSON.stringify(CALL.arguments);

interface Case {
  readonly name: string;
  readonly template: string;
  readonly tail?: string;
  readonly reply: string;
  readonly thinking?: string;
  readonly text?: string;
  readonly calls?: readonly ParsedCall[];
  readonly tools?: readonly Tool[];
}

const HARMONY = "<|start|>{{ role }}<|channel|>{{ channel }}<|message|>";
const FUNCTIONARY = "{{ '>>>all\\n' }}";

const CASES: readonly Case[] = [
  {
    name: "gpt-oss: thought, then text",
    template: HARMONY,
    reply:
      "<|channel|>analysis<|message|>Hm < x.<|end|><|start|>assistant<|channel|>final<|message|>Yes <|no.<|return|>",
    thinking: "Hm < x.",
    text: "Yes <|no.",
  },
  {
    name: "gpt-oss: thought, words, call",
    template: HARMONY,
    reply:
      "<|channel|>analysis<|message|>I must look.<|end|><|start|>assistant<|channel|>commentary<|message|>One moment." +
      `<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>${ARGS}<|call|>`,
    thinking: "I must look.",
    text: "One moment.",
    calls: [CALL],
  },
  {
    name: "gpt-oss: the recipient in front of the channel, no end",
    template: HARMONY,
    reply: `<|start|>assistant to=functions.weather<|channel|>commentary json<|message|>${ARGS}`,
    calls: [CALL],
  },
  {
    name: "gpt-oss: two calls, one without arguments",
    template: HARMONY,
    reply:
      `<|channel|>commentary to=functions.weather<|message|>${ARGS}<|call|><|start|>assistant<|channel|>commentary to=weather<|message|><|call|>`,
    calls: [CALL, { name: "weather", arguments: {} }],
  },
  {
    name: "gpt-oss: a reply without headers",
    template: HARMONY,
    reply: "Yes <|no",
    text: "Yes <|no",
  },
  {
    name: "gpt-oss: a call that a grammar made",
    template: HARMONY,
    reply: `{"name": "weather", "arguments": ${ARGS}}`,
    calls: [CALL],
  },
  {
    name: "gpt-oss: whom it is for is not there",
    template: HARMONY,
    reply: "<|channel|>commentary to=browser.open<|message|>{}<|call|>",
  },
  {
    name: "functionary: text, call, code",
    template: FUNCTIONARY,
    tail: "\n\n>>>",
    reply: `all\nLook:\n>>> x = 1\n>>>weather\n${ARGS}>>>python\nprint(1)\n`,
    text: "Look:\n>>> x = 1\n",
    calls: [CALL, { name: "python", arguments: { code: "print(1)\n" } }],
  },
  {
    name: "functionary: only text",
    template: FUNCTIONARY,
    tail: ">>>",
    reply: "all\nHello",
    text: "Hello",
  },
  {
    name: "functionary: no header",
    template: FUNCTIONARY,
    tail: ">>>",
    reply: "Hello\nyou",
    text: "Hello\nyou",
  },
  {
    name: "Command R7B: thought, call",
    template:
      "<|START_THINKING|><|END_THINKING|><|START_ACTION|><|START_RESPONSE|><|END_RESPONSE|>",
    reply:
      `<|START_THINKING|>I look.<|END_THINKING|><|START_ACTION|>[{"tool_call_id": "0", "tool_name": "weather", "parameters": ${ARGS}}]<|END_ACTION|>`,
    thinking: "I look.",
    calls: [CALL],
  },
  {
    name: "Command R7B: thought, response",
    template:
      "<|START_THINKING|><|END_THINKING|><|START_ACTION|><|START_RESPONSE|><|END_RESPONSE|>",
    reply: "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>",
    thinking: "Hm.",
    text: "Yes.",
  },
  {
    name: "Gemma 4: thought, call",
    template: "<|channel>thought\n<channel|> <|tool_call>",
    reply:
      '<|channel>thought\nHm.<channel|><|tool_call>call:weather{city:<|"|>Oslo<|"|>}<tool_call|>',
    thinking: "Hm.",
    calls: [{ name: "weather", arguments: { city: "Oslo" } }],
  },
  {
    name: "Magistral: thought, call",
    template: "[THINK][/THINK][TOOL_CALLS]",
    reply: `[THINK]Hm.[/THINK][TOOL_CALLS]weather[ARGS]${ARGS}`,
    thinking: "Hm.",
    calls: [CALL],
  },
  {
    name: "Seed-OSS: thought, text",
    template: "<seed:think>",
    reply: "<seed:think>Hm.</seed:think>Yes.",
    thinking: "Hm.",
    text: "Yes.",
  },
  {
    name: "Granite 3.2: thought, text",
    template: "Here is my thought process: Here is my response:",
    reply: "Here is my thought process: Hm.\n\nHere is my response: Yes.",
    thinking: "Hm.",
    text: "Yes.",
  },
  {
    name: "DeepSeek R1: the prompt opens the thought",
    template: "{{ '<think>\\n' }}",
    tail: "<｜Assistant｜><think>\n",
    reply: "Hm.\n</think>\n\nYes.",
    thinking: "Hm.",
    text: "Yes.",
  },
];

function run(one: Case, pieces: readonly string[], cut = false) {
  const { reader } = readerFor({
    template: one.template,
    promptTail: one.tail ?? "assistant\n",
    thought: true,
    tools: one.tools ?? TOOLS,
  });
  const whole = { thinking: "", text: "", calls: [] as ParsedCall[] };
  for (const said of [...pieces.map((piece) => reader.push(piece)), reader.end(cut)]) {
    whole.thinking += said.thinking;
    whole.text += said.text;
    whole.calls.push(...said.calls);
  }
  return whole;
}

for (const one of CASES) {
  const wanted = { thinking: one.thinking ?? "", text: one.text ?? "", calls: one.calls ?? [] };
  Deno.test(`replies: ${one.name}, however it is cut into pieces`, () => {
    const { reply } = one;
    assert.deepEqual(run(one, [reply]), wanted);
    assert.deepEqual(run(one, reply.split("")), wanted);
    for (let at = 0; at <= reply.length; at++) {
      assert.deepEqual(run(one, [reply.slice(0, at), reply.slice(at)]), wanted);
    }
  });

  Deno.test(`replies: ${one.name}, cut short, says no more than the whole`, () => {
    for (let length = 0; length < one.reply.length; length++) {
      const part = one.reply.slice(0, length);
      const { thinking, text, calls } = run(one, [part], true);
      const begins = (whole: string, some: string) =>
        whole.startsWith(some.trim().slice(0, 1)) || some.trim() === "";
      assert.ok(
        begins(wanted.thinking, thinking) || /^[<◁\[H]/.test(thinking),
        `${part}: ${thinking}`,
      );
      calls.forEach((call, index) => {
        assert.equal(call.name, wanted.calls[index]?.name, part);
        if (!call.partial?.startsWith("{")) return;
        assert.ok(
          JSON.stringify(wanted.calls[index]!.arguments).startsWith(call.partial.slice(0, 9)),
          call.partial,
        );
      });
      if (calls.length > 0) assert.ok(!text.includes("city"), `${part}: ${text}`);
    }
  });
}

Deno.test("replies: a format is known by its template", () => {
  assert.equal(replyFormat(HARMONY), "harmony");
  assert.equal(replyFormat(FUNCTIONARY), "functionary");
  assert.equal(replyFormat(undefined), "tagged");
});
