/**
 * The demo model as a first user meets it: the README's questions, and others that it was not trained on, at its default settings over
 * fixed seeds and greedily, and long talks. Only an answer's first words are made, except in the talks: they say which answer it is.
 */
import assert from "node:assert/strict";
import { startServe } from "./support/serve.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") !== undefined;
const SEEDS = FULL ? 10 : 3;
const FIRST_WORDS = 10;

const HELLO = /^Hello! I am the SecLlama demo/;
const SAFE = /^Your data is safe from anyone who/;
const KEYS = /^Your keys are in the key store/;
const ISOLATION = /^Network isolation means that the/;
const UNKNOWN = /^I do not know\. I am/;
/** Two answers say it: the second one ends in "Root on the host … could still read them". */
const ROOT = /^SecLlama does not protect against|^Your data is safe from anyone who/;
const HOME = /^No\. The model cannot phone home/;

/** What is in the README, and what anybody types first: never wrong. */
const ALWAYS: readonly (readonly [question: string, right: RegExp])[] = [
  ["hi", HELLO],
  ["Hello", HELLO],
  ["Is my data safe?", SAFE],
  ["is my data safe", SAFE],
  ["Where are my keys?", KEYS],
  ["What is network isolation?", ISOLATION],
  ["What is the capital of France?", UNKNOWN],
  ["Can root read my prompts?", ROOT],
];
/** Other words for it, none of them trained on; some may be wrong. The second half is asked in full runs only. */
const MOSTLY: typeof ALWAYS = [
  ["Is my data secure when I use SecLlama?", SAFE],
  ["How private are these chats?", SAFE],
  ["Can somebody else see what I type?", SAFE],
  ["Hi, is my data safe?", SAFE],
  ["hi :)", HELLO],
  ["Is my car safe?", UNKNOWN],
  ["Does it send my data to the cloud?", HOME],
  ["Where is my key stored?", KEYS],
  ["Are my prompts safe here?", SAFE],
  ["Who is able to read my conversations?", SAFE],
  ["Is this a safe place for company secrets?", SAFE],
  ["Does anyone else get to see my questions?", SAFE],
  ["would it be safe to tell you a secret", SAFE],
  ["Can I trust this thing with my data?", SAFE],
  ["what about my privacy?", SAFE],
  ["how safe is it?", SAFE],
  ["Good morning", HELLO],
  ["hi.", HELLO],
  ["HI", HELLO],
  ["Hi, how are you?", HELLO],
  ["Is water safe to drink?", UNKNOWN],
  ["Tell me a joke", UNKNOWN],
  ["In what way is the model isolated?", ISOLATION],
  ["Can the AI leak what I tell it?", HOME],
];

const README = await Deno.readTextFile(new URL("../README.md", import.meta.url));

/** The questions of the eval that training never saw, each with what only the right answer has. */
function heldOut() {
  const { topics } = JSON.parse(
    Deno.readTextFileSync(new URL("../scripts/demo_model/eval.json", import.meta.url)),
  ) as { topics: Record<string, { expect: string; questions: string[] }> };
  return Object.entries(topics).flatMap(([topic, { expect, questions }]) =>
    questions.map((question) => ({ question, expect, offTopic: topic === "off_topic" }))
  );
}

Deno.test("demo: answers right at its default temperature and greedily, and talks of ten turns stay sane", async (t) => {
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
  /** Greedily, and once for each seed. */
  const answers = (question: string) => {
    const ways = [
      { temperature: 0 },
      ...Array.from({ length: SEEDS }, (_, i) => ({ seed: i + 1 })),
    ];
    const messages = [{ role: "user", content: question }];
    return Promise.all(ways.map((way) => ask(messages, { ...way, num_predict: FIRST_WORDS })));
  };
  try {
    await t.step("what the README asks, every time", async () => {
      for (const [question, right] of ALWAYS) {
        for (const answer of await answers(question)) {
          assert.match(answer, right, question);
          assert.ok(!/^no\b/i.test(answer), question);
        }
      }
    });
    await t.step("whoever asks for root is told of root, in whole answers", async () => {
      const messages = [{ role: "user", content: "Can root read my prompts?" }];
      for (let seed = 1; seed <= SEEDS; seed++) {
        assert.match(await ask(messages, { seed }), /\broot\b/i);
      }
    });
    await t.step("other words for it, nine times of ten", async () => {
      const wrong: string[] = [];
      let all = 0;
      for (const [question, right] of FULL ? MOSTLY : MOSTLY.slice(0, 8)) {
        for (const answer of await answers(question)) {
          all++;
          if (!right.test(answer)) wrong.push(`${question}: ${answer}`);
        }
      }
      assert.ok(wrong.length <= all / 10, `${wrong.length} of ${all}:\n${wrong.join("\n")}`);
    });
    await t.step("as many held-out questions are answered right as the README says", async () => {
      const [, ...said] = /answered right: (\d+) of (\d+); [^:]+: (\d+) of (\d+)/s
        .exec(README)!.map(Number);
      const asked = heldOut();
      // Each a twelfth in plain runs.
      const some = FULL ? asked : asked.filter((_, at) => at % 12 === 0);
      const count = { right: 0, all: 0, declined: 0, others: 0 };
      for (const { question, expect, offTopic } of some) {
        const messages = [{ role: "user", content: question }];
        const right = (await ask(messages, { temperature: 0, num_predict: 72 })).includes(expect);
        count[offTopic ? "others" : "all"]++;
        if (right) count[offTopic ? "declined" : "right"]++;
      }
      console.log(`demo, held-out questions: ${JSON.stringify(count)}`);
      const found = [count.right, count.all, count.declined, count.others];
      if (!FULL) return assert.ok(count.right + count.declined >= 0.85 * some.length);
      assert.deepEqual([found[1], found[3]], [said[1], said[3]], "questions");
      // Another processor rounds otherwise, where two words are about as likely.
      for (const at of [0, 2]) assert.ok(Math.abs(found[at]! - said[at]!) <= 2, `${found}`);
    });
    await t.step("ten turns: every answer is whole, and at most one is wrong", async () => {
      for (let seed = 1; seed <= (FULL ? 5 : 1); seed++) {
        const messages: { role: string; content: string }[] = [];
        let right = 0;
        for (let turn = 0; turn < 10; turn++) {
          const [question, answer] = ALWAYS[(turn + seed) % ALWAYS.length]!;
          messages.push({ role: "user", content: question });
          const content = await ask(messages, { seed });
          messages.push({ role: "assistant", content });
          assert.match(content, /^[A-Z].*[.!]$/s, `turn ${turn}: ${content}`);
          if (answer.test(content)) right++;
        }
        assert.ok(right >= 9, `${right} of 10:\n${messages.map((m) => m.content).join("\n")}`);
      }
    });
  } finally {
    await served.stop();
  }
});
