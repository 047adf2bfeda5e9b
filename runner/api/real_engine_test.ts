/** The API over the real engine and the repository's own model. */
import assert from "node:assert/strict";
import { demoTest, withEngine } from "../engine/testing.ts";
import type { Engine } from "../engine/types.ts";
import { makeApi } from "./app.ts";
import { readEvents, readLines } from "./testing.ts";
import { until } from "../../tests/support/patience.ts";

const GREEDY = { temperature: 0, num_predict: 24 };
const QUESTION = { role: "user", content: "What is network isolation?" };

type Post = (
  path: string,
  body: Record<string, unknown>,
  signal?: AbortSignal,
) => Promise<Response>;

function apiTest(name: string, use: (post: Post, engine: Engine) => Promise<void>): void {
  demoTest(
    `api over the engine: ${name}`,
    (modelPath) =>
      withEngine({ modelPath, slots: 2 }, async (engine) => {
        const api = makeApi({
          engine,
          model: "demo:latest",
          onKeepAlive: () => {},
          version: "0",
        });
        const post: Post = (path, body, signal) =>
          api.fetch(
            new Request(`http://x${path}`, {
              method: "POST",
              body: JSON.stringify({ model: "demo", ...body }),
              ...(signal === undefined ? {} : { signal }),
            }),
            { client: "test" },
          );
        await use(post, engine);
      }),
  );
}

apiTest("every dialect says the same, streamed and whole", async (post) => {
  const messages = [QUESTION];
  const whole = await (await post("/api/chat", { messages, options: GREEDY, stream: false }))
    .json();
  const text: string = whole.message.content;
  assert.match(text, /network|isolat|socket/i);
  const { lines } = await readLines(await post("/api/chat", { messages, options: GREEDY }));
  const joined = lines.map((line) => (line.message as { content: string }).content).join("");
  assert.equal(joined, text);
  assert.equal(lines.at(-1)!.eval_count, whole.eval_count);
  assert.ok(lines.length >= whole.eval_count);

  const ask = { prompt: QUESTION.content, options: GREEDY, stream: false };
  assert.equal((await (await post("/api/generate", ask)).json()).response, text);

  // The same sampling under the other dialects' names; the penalty they have no name for stays.
  const openai = await post("/v1/chat/completions", { messages, temperature: 0, max_tokens: 24 });
  assert.equal((await openai.json()).choices[0].message.content, text);
  const responses = await post("/v1/responses", {
    input: QUESTION.content,
    temperature: 0,
    max_output_tokens: 24,
  });
  assert.equal((await responses.json()).output[0].content[0].text, text);
  const stream = await post("/v1/messages", {
    messages,
    temperature: 0,
    max_tokens: 24,
    stream: true,
  });
  const events = (await readEvents(stream)).map((event) => JSON.parse(event.data));
  assert.equal(events.map((event) => event.delta?.text ?? "").join(""), text);
});

apiTest("a seed repeats itself, num_predict limits, a stop string ends", async (post) => {
  const run = async (options: Record<string, unknown>) => {
    const body = { messages: [QUESTION], stream: false, options };
    return await (await post("/api/chat", body)).json();
  };
  const seeded = { temperature: 1.5, seed: 7, num_predict: 12 };
  assert.equal((await run(seeded)).message.content, (await run(seeded)).message.content);
  const limited = await run({ num_predict: 3 });
  assert.equal(limited.eval_count, 3);
  assert.equal(limited.done_reason, "length");
  const whole = (await run(GREEDY)).message.content as string;
  const word = whole.split(" ")[3]!;
  const stopped = await run({ ...GREEDY, stop: [word] });
  assert.equal(stopped.message.content, whole.slice(0, whole.indexOf(word)));
  assert.equal(stopped.done_reason, "stop");
});

apiTest("format json and a schema give JSON of that shape", async (post) => {
  const schema = {
    type: "object",
    properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", maximum: 99 } },
    required: ["name", "age"],
  };
  const body = { messages: [QUESTION], stream: false, format: schema };
  const { message } = await (await post("/api/chat", { ...body, options: { seed: 1 } })).json();
  const value = JSON.parse(message.content);
  assert.deepEqual(Object.keys(value), ["name", "age"]);
  assert.ok(Number.isInteger(value.age));
  const json = { ...body, format: "json", options: { seed: 1, num_predict: 300 } };
  const reply = await (await post("/api/chat", json)).json();
  assert.match(reply.message.content, /^\s*\{/);
});

apiTest("the context of a reply goes on, and is not evaluated again", async (post) => {
  const ask = { prompt: QUESTION.content, options: GREEDY, stream: false };
  const first = await (await post("/api/generate", ask)).json();
  const second = await (await post("/api/generate", {
    prompt: "Where are my keys?",
    context: first.context,
    options: GREEDY,
    stream: false,
  })).json();
  assert.deepEqual(second.context.slice(0, first.context.length), first.context);
  assert.ok(second.prompt_eval_count > first.context.length);
});

apiTest(
  "a client that leaves frees its slot, long before the reply would end",
  async (post, engine) => {
    // The grammar allows no end before this many tokens.
    const format = { type: "array", items: { type: "integer" }, minItems: 900 };
    const endless = { messages: [QUESTION], format, options: { num_predict: 800 } };
    const reader = (await post("/api/chat", endless)).body!.getReader();
    await reader.read();
    assert.equal(engine.slotsBusy(), 1);
    const left = performance.now();
    await reader.cancel();
    await until(() => engine.slotsBusy() === 0, "the slot is free");
    const leftMs = performance.now() - left;
    const started = performance.now();
    await (await post("/api/chat", endless)).text();
    const wholeMs = performance.now() - started;
    assert.ok(leftMs < wholeMs / 3, `${leftMs} ms; the whole reply takes ${wholeMs}`);
  },
);

apiTest("embeddings of the same text are the same, and of length 1", async (post) => {
  const { embeddings } = await (await post("/api/embed", { input: ["a key", "a key"] })).json();
  assert.deepEqual(embeddings[0], embeddings[1]);
  assert.ok(Math.abs(Math.hypot(...embeddings[0]) - 1) < 1e-4);
});

apiTest("ten megabytes of prompt: cut, or 400", async (post) => {
  const messages = [{ role: "user", content: "word ".repeat(2_000_000) }];
  const options = { num_predict: 2 };
  const cut = await post("/api/chat", { messages, options, stream: false });
  assert.equal(cut.status, 200);
  const refused = await post("/api/chat", { messages, options, stream: false, truncate: false });
  assert.equal(refused.status, 400);
});

apiTest("control tokens of the real vocabulary stay text in a user's message", async (post) => {
  const count = async (content: string) => {
    const { input_tokens } = await (await post("/v1/messages/count_tokens", {
      messages: [{ role: "user", content }],
    })).json();
    return input_tokens as number;
  };
  const empty = await count("");
  assert.ok(await count("<|im_end|>") > empty + 1);
});

apiTest(
  "a client's own grammar holds the reply",
  async (post) => {
    const ask = async (body: Record<string, unknown>) => {
      const response = await post("/v1/chat/completions", {
        messages: [QUESTION],
        temperature: 0,
        max_tokens: 24,
        ...body,
      });
      const json = await response.json();
      assert.equal(response.status, 200, JSON.stringify(json));
      return json.choices[0].message.content as string;
    };
    assert.match(await ask({ grammar: 'root ::= "yes" | "yep" | "no"' }), /^(yes|yep|no)$/);
    const nested = 'root ::= "(" root ")" | [a-c]{2}';
    assert.match(await ask({ grammar: nested }), /^\(*[a-c]{0,2}\)*$/);
  },
);
