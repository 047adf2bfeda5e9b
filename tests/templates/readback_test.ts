/** Calls as each family's template writes them are read back, and only where they are is it said that tools can be called. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readerFor } from "../../src/replies/formats.ts";
import { replyOf } from "../../src/replies/written_calls.ts";
import type { Call } from "../../src/templates/types.ts";
import { Random } from "../jinja/generate.ts";
import { corpus } from "./corpus.ts";
import { cut, readReply, writer } from "./replies.ts";
import { seeds } from "../support/seeds.ts";
import { ROOT } from "../support/serve.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const MEMBERS = corpus();

/** Their makers gave them no tools, or none in the template. */
const WITHOUT_TOOLS = new Set([
  "chatml",
  "deepseek-r1",
  "deepseek-v2",
  "deepseek-v3",
  "ernie4.5",
  "exaone3.5",
  "gemma2",
  "gemma3",
  "hunyuan",
  "llama2",
  "llama3",
  "llama3.2-vision",
  "mistral-v1",
  "olmo2",
  "parts-only",
  "phi3",
  "phi3-nosystem",
  "phi4",
  "phi4-reasoning",
  "smollm2",
  "smolvlm",
  "vicuna",
  "yi",
  "zephyr",
]);
/** Tools are shown, and calls are not read: they have no sign. As docs/api.md calls each. */
const NOT_READ = new Map([["glm4", "GLM-4"]]);
const THINKING = [
  "apriel",
  "command-r7b",
  "deepseek-r1",
  "deepseek-v3.1",
  "deepseek-v3.2",
  "exaone4",
  "gemma4",
  "glm4.5",
  "glm5",
  "gpt-oss",
  "granite3.3",
  "hunyuan",
  "magistral",
  "minimax-m2",
  "nemotron-nano",
  "nemotron3",
  "phi4-reasoning",
  "qwen3",
  "qwen3-thinking",
  "seed-oss",
  "smollm3",
  "step3",
];

Deno.test("templates: tools and thinking are said of the families that have them", () => {
  for (const { name, template } of MEMBERS) {
    const calls = !WITHOUT_TOOLS.has(name) && !NOT_READ.has(name);
    assert.equal(template.callsTools, calls, name);
  }
  const thinking = MEMBERS.filter(({ template }) => template.thinks).map(({ name }) => name);
  assert.deepEqual(thinking.sort(), [...THINKING].sort());
});

Deno.test("templates: docs/api.md names the families whose calls are not read", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs/api.md"));
  const [, named] = /Those of\s+([^:]+?)\s+cannot be read:/.exec(page) ?? [];
  assert.equal(named, [...NOT_READ.values()].join(", "));
});

const TOOLS = [
  {
    name: "write_file",
    description: "Writes a file",
    parameters: {
      type: "object",
      properties: {
        path: { type: "string", description: "where" },
        content: { type: "string", description: "what" },
        count: { type: "integer", description: "how often" },
        force: { type: "boolean", description: "whether" },
        tags: { type: "array", items: { type: "string" }, description: "which" },
      },
    },
  },
  { name: "now", description: "The time", parameters: { type: "object", properties: {} } },
];
/** What values may hold: what looks like a number, and what looks like the end of a call. */
const TEXTS = [
  "3001",
  "true",
  "Oslo",
  "",
  "two\nlines",
  "a </tool_call> b",
  'it "is" so\\n',
  "</parameter> or </arg_value>",
  "[TOOL_CALLS]",
  "<|tool_call_end|>",
  "}]",
  "é 😀",
  "null",
  '{"a": 1}',
];

function randomCall(random: Random): Call {
  if (random.below(5) === 0) return { name: "now", arguments: {} };
  const text = () => TEXTS[random.below(TEXTS.length)]!;
  const all: Record<string, unknown> = {
    path: text(),
    content: text(),
    count: random.below(100),
    force: random.below(2) === 0,
    tags: [text(), text()].slice(0, random.below(3)),
  };
  const names = Object.keys(all).filter(() => random.below(3) > 0);
  return { name: "write_file", arguments: Object.fromEntries(names.map((key) => [key, all[key]])) };
}

const sorted = (value: unknown) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
    : value;

for (const seed of seeds(FULL ? 3 : 1)) {
  const each = FULL ? 300 : 6;
  Deno.test(`templates: ${each} replies of each family, cut anywhere, are read as written, seed ${seed}`, () => {
    const random = new Random(seed);
    let replies = 0;
    const wrong: unknown[] = [];
    for (const member of MEMBERS) {
      const { name, template } = member;
      if (!template.callsTools || template.needs.calls === "text") continue;
      for (let index = 0; index < each; index++) {
        const most = template.needs.parallel === "apart" ? 1 : 3;
        const calls = Array.from({ length: 1 + random.below(most) }, () => randomCall(random));
        const reply = replyOf(writer(member), calls, TOOLS);
        if (reply === undefined) {
          wrong.push([name, "not written"]);
          continue;
        }
        const { promptTail } = reply;
        const reading = { template: template.source, promptTail, thought: true, tools: TOOLS };
        const opens = readerFor(reading);
        const closed = !opens.opensThought || reply.text.includes(opens.tags!.close);
        const text = closed ? reply.text : `hm${opens.tags!.close}${reply.text}`;
        const whole = readReply(reading, [text]);
        const pieces = readReply(reading, cut(text, random));
        replies++;
        const wanted = calls.map(({ name, arguments: values }) => ({
          name,
          arguments: sorted(values),
        }));
        const got = (one: typeof whole) =>
          one.calls.map(({ name, arguments: values }) => ({ name, arguments: sorted(values) }));
        if (JSON.stringify(got(whole)) !== JSON.stringify(wanted)) {
          wrong.push([name, "whole", text, got(whole), wanted]);
        } else if (JSON.stringify(pieces) !== JSON.stringify(whole)) {
          wrong.push([name, "pieces", text, pieces, whole]);
        }
      }
    }
    assert.deepEqual(wrong.slice(0, 4), [], `${wrong.length} of ${replies} are read otherwise`);
    console.log(`templates: ${replies} replies read back`);
  });
}
