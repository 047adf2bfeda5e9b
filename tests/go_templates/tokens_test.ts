/** A prompt is one text: rendered whole and tokenized once is what the engine is fed, token by token. */
import assert from "node:assert/strict";
import { parseGoTemplate, renderGoChat, renderGoInsert } from "../../runner/api/go_template.ts";
import { DEMO_MODEL, withEngine } from "../../runner/engine/testing.ts";
import { Budget, runAtOnce } from "../../src/budget.ts";
import { CONVERSATIONS } from "./conversations.ts";

const CORPUS = new URL("./corpus/", import.meta.url);

Deno.test("go templates: the tokens of every prompt are those of its whole text", () =>
  withEngine({ modelPath: DEMO_MODEL }, async (engine) => {
    let compared = 0;
    for await (const { name } of Deno.readDir(CORPUS)) {
      const template = parseGoTemplate(await Deno.readTextFile(new URL(name, CORPUS)));
      for (const [shape, chat] of Object.entries(CONVERSATIONS)) {
        const { messages = [], tools = [], think, prompt = "", suffix = "" } = chat;
        const budget = new Budget({ what: "the template" });
        let parts;
        try {
          parts = runAtOnce(
            suffix === ""
              ? renderGoChat(template, { messages, tools, think }, budget)
              : renderGoInsert(template, prompt, suffix, budget),
          );
        } catch {
          // A template that fails over this shape does so with Go, too: go_templates_test.ts.
          continue;
        }
        const whole = parts.map((part) => part.text).join("");
        assert.equal(whole, whole.toWellFormed());
        const tokens = engine.tokenizePrompt(parts, { bos: false });
        // What a user wrote of control tokens is text, and the only difference.
        const expected = engine.tokenize(whole, { special: true });
        if (shape !== "text of control tokens") {
          assert.deepEqual(tokens, expected, `${name}, ${shape}`);
          compared++;
        }
      }
    }
    assert.ok(compared > 500, `${compared} prompts`);
  }));
