import assert from "node:assert/strict";
import { ThoughtSplitter, thoughtTags } from "./thought.ts";

const TAGS = { open: "<think>", close: "</think>" };

function run(pieces: readonly string[], open = false) {
  const splitter = new ThoughtSplitter(TAGS, open);
  let thinking = "", text = "";
  for (const split of [...pieces.map((piece) => splitter.push(piece)), splitter.end()]) {
    thinking += split.thinking;
    text += split.text;
  }
  return { thinking, text };
}

const CASES: [name: string, reply: string, open: boolean, thinking: string, text: string][] = [
  ["a thought, then text", "<think>\nI see.\n</think>\n\nYes.", false, "I see.", "Yes."],
  ["the prompt opened the thought", "I see.</think>Yes.", true, "I see.", "Yes."],
  ["no thought", "Yes < no.", false, "", "Yes < no."],
  ["an empty thought", "<think></think>Yes", false, "", "Yes"],
  ["a thought that never ends", "<think>I see </thi", false, "I see </thi", ""],
  ["tags later are text", "Write <think>x</think>", false, "", "Write <think>x</think>"],
  ["a second closing tag is text", "<think>a</think>b</think>", false, "a", "b</think>"],
  ["leading white space of plain text stays", "  Yes", false, "", "  Yes"],
  ["nothing", "", false, "", ""],
];

for (const [name, reply, open, thinking, text] of CASES) {
  Deno.test(`thoughts: ${name}, however it is cut into tokens`, () => {
    assert.deepEqual(run([...reply], open), { thinking, text });
    for (let at = 0; at <= reply.length; at++) {
      assert.deepEqual(run([reply.slice(0, at), reply.slice(at)], open), { thinking, text });
    }
  });
}

Deno.test("thoughts: thought is passed on before it ends", () => {
  const splitter = new ThoughtSplitter(TAGS, false);
  splitter.push("<think>");
  assert.equal(splitter.push("first").thinking, "first");
  assert.equal(splitter.inText, false);
});

Deno.test("thoughts: tags come from the template", () => {
  assert.deepEqual(thoughtTags("…[THINK]…[/THINK]…"), { open: "[THINK]", close: "[/THINK]" });
  assert.deepEqual(thoughtTags(undefined), TAGS);
});
