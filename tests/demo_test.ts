/** The demo model as a first user meets it: the README's questions at its default settings, over fixed seeds, and a long talk. */
import assert from "node:assert/strict";
import { startServe } from "./support/serve.ts";

const SEEDS = 20;
/** Question → what only the right answer has. */
const ASKED: readonly (readonly [string, RegExp])[] = [
  ["hi", /^Hello! I am the SecLlama demo/],
  ["Where are my keys?", /^Your keys are in the key store of your operating system/],
  ["What is network isolation?", /^Network isolation means that the model runs in a runner/],
];

Deno.test("demo: answers the README's questions right 19 times of 20, and a talk of ten turns stays sane", async (t) => {
  const served = await startServe();
  const ask = async (messages: readonly object[], options: object = {}): Promise<string> => {
    const response = await fetch(`${served.proxyUrl}/api/chat`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "demo", stream: false, messages, options }),
    });
    const { message } = await response.json();
    return message.content;
  };
  try {
    for (const [question, right] of ASKED) {
      await t.step(question, async () => {
        const wrong: string[] = [];
        for (let seed = 1; seed <= SEEDS; seed++) {
          const answer = await ask([{ role: "user", content: question }], { seed });
          if (!right.test(answer)) wrong.push(answer);
        }
        assert.ok(wrong.length <= 1, wrong.join("\n"));
      });
    }
    await t.step(
      "the control: at Ollama's default temperature it says that it does not know",
      async () => {
        const answers = [];
        for (let seed = 1; seed <= SEEDS; seed++) {
          answers.push(await ask([{ role: "user", content: "hi" }], { seed, temperature: 0.8 }));
        }
        assert.ok(answers.filter((answer) => !ASKED[0]![1].test(answer)).length > 1);
      },
    );
    await t.step("ten turns: every answer is whole, and most are right", async () => {
      const messages: { role: string; content: string }[] = [];
      let right = 0;
      for (let turn = 0; turn < 10; turn++) {
        const [question, answer] = ASKED[turn % ASKED.length]!;
        messages.push({ role: "user", content: question });
        const content = await ask(messages, { seed: 1 });
        messages.push({ role: "assistant", content });
        assert.match(content, /^[A-Z].*[.!]$/s, `turn ${turn}: ${content}`);
        if (answer.test(content)) right++;
      }
      assert.ok(right >= 7, `${right} of 10:\n${messages.map((m) => m.content).join("\n")}`);
    });
  } finally {
    await served.stop();
  }
});
