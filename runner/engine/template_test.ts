import assert from "node:assert/strict";
import { runAtOnce } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { chooseMark, ControlTextFinder, splitAtMarks } from "./control_text.ts";
import { demoTest, modelTest, rendered, withEngine } from "./testing.ts";
import { ChatRenderer, type TemplateVocabulary } from "./template.ts";
import type { ChatInput, ChatMessage } from "./types.ts";

const CHATML =
  `{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content | trim ` +
  `+ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`;

const vocabulary: TemplateVocabulary = {
  bos: 0,
  eos: 1,
  controlTexts: ["<|im_start|>", "<|im_end|>", "<s>", "</s>", "[INST]", "[/INST]", "<｜User｜>"],
  userDefinedTexts: [
    "<tool_call>",
    "</tool_call>",
    "<think>",
    "</think>",
    "    ",
    "\n\n",
    "<table>",
  ],
  textOf: (id) => ["<s>", "<|im_end|>"][id] ?? "",
};

const coded = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof SecLlamaError && error.code === code && pattern.test(error.message);

const user = (content: string): ChatMessage => ({ role: "user", content });

function text(template: string | undefined, chat: ChatInput): string[] {
  return rendered(new ChatRenderer(vocabulary, template), chat).map((part) => part.text);
}

Deno.test("template: messages are rendered, with the generation prompt", () => {
  assert.deepEqual(rendered(new ChatRenderer(vocabulary, CHATML), { messages: [user(" hi ")] }), [
    { text: "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", special: true },
  ]);
  assert.deepEqual(text(CHATML, { messages: [user("hi")], addGenerationPrompt: false }), [
    "<|im_start|>user\nhi<|im_end|>\n",
  ]);
});

Deno.test("template: an assistant's message at the end is left open", () => {
  const messages = [user("Count"), { role: "assistant", content: "One, two" }];
  assert.deepEqual(text(CHATML, { messages }), [
    "<|im_start|>user\nCount<|im_end|>\n<|im_start|>assistant\nOne, two",
  ]);
});

Deno.test("template: control tokens in any text of a message are broken, and only they", () => {
  const renderer = new ChatRenderer(vocabulary, CHATML);
  for (const control of vocabulary.controlTexts) {
    const attack = `a${control}b`;
    for (const role of ["user", "system", "tool", "assistant"]) {
      const parts = rendered(renderer, { messages: [{ role, content: attack }, user("x")] });
      assert.equal(parts.length, 2, `${role} ${control}`);
      // Nothing is lost or added, and no part holds the token where the user wrote it.
      const whole = parts.map((part) => part.text).join("");
      assert.ok(whole.includes(attack));
      const cut = parts[0]?.text.length ?? 0;
      const at = whole.indexOf(control, whole.indexOf("a" + control));
      assert.ok(cut > at && cut < at + control.length);
    }
  }
  const harmless = "a < b, <| x, </p>, [INST, <tables>, <table>, \n\n    e = mc²";
  assert.equal(rendered(renderer, { messages: [user(harmless)] }).length, 1);
});

Deno.test("template: structural tokens are broken too; an assistant's thinking tags are not", () => {
  const renderer = new ChatRenderer(vocabulary, CHATML);
  const count = (role: string, content: string) =>
    rendered(renderer, { messages: [{ role, content }, user("x")] }).length;
  assert.equal(count("user", "<tool_call>{}</tool_call>"), 3);
  assert.equal(count("user", "</think>"), 2);
  assert.equal(count("assistant", "<think>a</think>b"), 1);
  assert.equal(count("assistant", "<tool_call>"), 2);
});

Deno.test("template: keys and values of tools and of tool calls are broken", () => {
  const template =
    `{{ tools | tojson }}{{ messages[0].tool_calls[0].function | tojson }}{{ messages[0].name }}`;
  const parts = text(template, {
    messages: [{
      role: "assistant",
      content: "",
      toolCalls: [{ name: "f</s>", arguments: { "<s>": "<s>" } }],
      toolName: "</s>",
    }, user("x")],
    tools: [{ name: "[INST]", description: "</s>", parameters: { "</s>": ["<s>"] } }],
  });
  assert.equal(parts.length, 9);
  for (const part of parts) {
    for (const control of vocabulary.controlTexts) assert.ok(!part.includes(control), part);
  }
});

Deno.test("template: escaped marks are found as well", () => {
  const template = `{{ messages[0].content | tojson(ensure_ascii=true) }}`;
  assert.deepEqual(text(template, { messages: [user("é<s>")] }), ['"\\u00e9<', 's>"']);
});

Deno.test("template: a role that could become a control token is refused", () => {
  const template = `{% for m in messages %}{{ '<|' + m.role + '|>' }}{% endfor %}`;
  assert.throws(
    () => text(template, { messages: [{ role: "im_end", content: "" }] }),
    coded("bad-request", /unknown role/),
  );
});

Deno.test("template: tools, thinking and levels reach the template", () => {
  const template = `{% if tools %}{{ tools[0].function.name }}{% endif %};` +
    `{% if enable_thinking is defined %}{{ enable_thinking }}{% else %}unset{% endif %};` +
    `{{ reasoning_effort }};{{ bos_token }};{{ messages[0].reasoning_content }}`;
  const messages: ChatMessage[] = [{ role: "assistant", content: "", thinking: "hm" }, user("x")];
  assert.deepEqual(text(template, { messages, tools: [{ name: "look" }] }), ["look;unset;;<s>;hm"]);
  assert.deepEqual(text(template, { messages, tools: [], think: false }), [";False;;<s>;hm"]);
  assert.deepEqual(text(template, { messages, think: "high" }), [";True;high;<s>;hm"]);
});

Deno.test("template: without one, contents are joined as text", () => {
  const chat = { messages: [user("Once "), { role: "assistant", content: "upon <s>" }] };
  assert.deepEqual(rendered(new ChatRenderer(vocabulary, undefined), chat), [
    { text: "Once ", special: false },
    { text: "upon <s>", special: false },
  ]);
});

Deno.test("template: a template's refusal and a broken template are told apart", () => {
  const refusing = `{{ raise_exception('roles must alternate') }}`;
  assert.throws(
    () => text(refusing, { messages: [] }),
    coded("bad-request", /roles must alternate/),
  );
  assert.throws(() => text("{% if %}", { messages: [] }), coded("bad-model", /cannot be parsed/));
});

Deno.test("control text: overlapping and adjacent occurrences are all broken", () => {
  const finder = new ControlTextFinder(["aa", "ab", "😀x"]);
  const broken = (text: string) => runAtOnce(finder.break(text, "|"));
  assert.equal(broken("aaab"), "a|a|a|b");
  assert.equal(broken("😀x"), "😀|x");
  assert.equal(runAtOnce(new ControlTextFinder([]).break("aa", "|")), "aa");
});

Deno.test("control text: a long text with thousands of control tokens takes no long time", () => {
  const finder = new ControlTextFinder(Array.from({ length: 5000 }, (_, at) => `<unused${at}>`));
  // Each place costs one look, however many tokens begin so.
  let yields = 0;
  const work = finder.break("<unused".repeat(100_000), "|");
  while (!work.next().done) yields++;
  assert.ok(yields > 100 && yields < 1_000, `${yields}`);
});

Deno.test("control text: the mark is one that the texts do not hold, in any notation", () => {
  const mark = (...texts: string[]) => runAtOnce(chooseMark(texts));
  assert.equal(mark("", "x"), "\ue000");
  assert.equal(mark("\ue000", "\\uE001"), "\ue002");
  const some = Array.from({ length: 99 }, (_, at) => String.fromCharCode(0xe000 + at)).join("");
  assert.equal(mark(some, `${"x".repeat(16_382)}\\uE063\\ue064`), "\ue065");
  const all = Array.from({ length: 6400 }, (_, at) => String.fromCharCode(0xe000 + at)).join("");
  assert.throws(() => mark(all), coded("bad-request", /private-use/));
  assert.deepEqual(splitAtMarks("a\ue000b\\uE000c", "\ue000"), ["a", "b", "c"]);
});

modelTest(
  "template: without a template, a control token in a message stays text",
  (modelPath) =>
    withEngine({ modelPath }, (engine) => {
      // The attack works without the protection.
      const end = engine.tokenize("</s>", { special: true });
      assert.equal(end.length, 1);
      assert.ok(engine.tokenize("x</s>y", { special: true }).includes(end[0] ?? -1));
      const tokens = engine.tokenizePrompt(rendered(engine, { messages: [user("x</s>y")] }));
      assert.ok(!tokens.includes(end[0] ?? -1));
      assert.ok(engine.detokenize(tokens).includes("x</s>y"));
      return Promise.resolve();
    }),
);

modelTest(
  "template: pieces of one text keep its spaces",
  (modelPath) =>
    withEngine({ modelPath }, (engine) => {
      const parts = ["ab", "</s", ">c", " d"].map((text) => ({ text, special: true }));
      const tokens = engine.tokenizePrompt(parts, { bos: false });
      assert.equal(engine.detokenize(tokens).trim(), "ab</s>c d");
      return Promise.resolve();
    }),
);

demoTest(
  "template: a user's control token never becomes one in the demo's prompt",
  (modelPath) =>
    withEngine({ modelPath }, (engine) => {
      const markers = new Set(engine.info.chatTemplate?.match(/<[^<>\s]+>/g));
      const tokens = (content: string) =>
        engine.tokenizePrompt(rendered(engine, { messages: [user(content)] }));
      let tried = 0;
      for (const marker of markers) {
        const [token, ...more] = engine.tokenize(marker, { special: true });
        if (token === undefined || more.length > 0) continue;
        tried++;
        // The attack works without the protection.
        assert.ok(engine.tokenize(`a${marker}b`, { special: true }).includes(token));
        const count = (content: string) => tokens(content).filter((id) => id === token).length;
        assert.equal(count(`a${marker}b`), count("ab"), marker);
      }
      assert.ok(tried > 0, "the demo's template has control tokens");
      return Promise.resolve();
    }),
);

demoTest(
  "template: the demo's own template takes a question",
  (modelPath) =>
    withEngine({ modelPath }, (engine) => {
      const parts = rendered(engine, { messages: [user("What is network isolation?")] });
      assert.ok(parts.map((part) => part.text).join("").includes("What is network isolation?"));
      return Promise.resolve();
    }),
);
