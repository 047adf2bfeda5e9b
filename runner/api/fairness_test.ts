/**
 * What one client sends, within the body's limit, keeps no other client of the runner waiting. The real engine, since the
 * fake one's templates and tokens cost nothing; order of events, not time.
 */
import assert from "node:assert/strict";
import { INFERENCE_BYTES } from "../../src/api/routes.ts";
import type { Engine } from "../engine/mod.ts";
import { demoTest, withEngine } from "../engine/testing.ts";
import { makeApi } from "./mod.ts";

/** As much as a client may send; without it, many pieces. */
const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const CONTEXT = 1024;
const options = { num_predict: 1 };

const messages = (count: number, content: string, role = "user") =>
  Array.from({ length: count }, () => ({ role, content }));
const chat = (list: unknown[]) =>
  ["/api/chat", { stream: false, options, messages: list }] as const;
const privateUse = Array.from({ length: 6399 }, (_, at) => String.fromCharCode(0xe000 + at)).join(
  "",
);

/** By name: what a client sends that is allowed, and cost others seconds. */
const FLOODS: Readonly<Record<string, readonly [path: string, body: object]>> = {
  "a thousand messages of one letter": chat(messages(CONTEXT, "a")),
  "system messages, which are never left out": chat([
    ...messages(500, "b".repeat(100), "system"),
    ...messages(500, "a"),
  ]),
  "beginnings of control tokens": chat(messages(1, "<|".repeat(FULL ? 500_000 : 150_000))),
  "every private-use character but one": chat(messages(1, privateUse.repeat(20))),
  "a megabyte to be counted": ["/v1/messages/count_tokens", {
    max_tokens: 1,
    messages: messages(1, "hello world ".repeat(90_000)),
  }],
  "millions of escaped quotes": ["/api/chat", {
    stream: false,
    options,
    x: '"'.repeat(FULL ? 10_000_000 : 2_000_000),
  }],
  "templates that call each other twice": ["/api/generate", {
    stream: false,
    prompt: "x",
    template: Array.from(
      { length: 40 },
      (_, at) => `{{ define "t${at}" }}${`{{ template "t${at + 1}" . }}`.repeat(2)}{{ end }}`,
    ).join("") + `{{ define "t40" }}{{ end }}{{ template "t0" . }}`,
  }],
};

/** The engine, and in which order clients came to it. */
function watched(engine: Engine, order: string[]): Engine {
  return new Proxy(engine, {
    get(target, key) {
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      if (key !== "generate") return value.bind(target);
      return (...args: Parameters<Engine["generate"]>) => {
        order.push(args[0].client);
        return target.generate(...args);
      };
    },
  });
}

type Post = (client: string, path: string, body: object) => Promise<number>;

/** The API over the demo model, and the order of what happens: a client's name when it comes to the engine. */
function withApi(
  name: string,
  test: (post: Post, order: string[]) => Promise<void>,
): void {
  demoTest(
    name,
    (modelPath) =>
      withEngine({ modelPath, contextLength: CONTEXT, slots: 2 }, async (engine) => {
        const order: string[] = [];
        const api = makeApi({
          engine: watched(engine, order),
          model: "demo:latest",
          version: "0.1.0",
          onKeepAlive: () => {},
        });
        await test(async (client, path, body) => {
          const text = JSON.stringify({ model: "demo", ...body });
          assert.ok(text.length < INFERENCE_BYTES);
          const request = new Request(`http://runner${path}`, { method: "POST", body: text });
          const response = await api.fetch(request, { client });
          await response.text();
          order.push(`${client} answered`);
          return response.status;
        }, order);
      }),
  );
}

for (const [name, [path, body]] of Object.entries(FLOODS)) {
  withApi(`fairness: ${name} let another client's small request pass`, async (post, order) => {
    await post("first", ...chat(messages(1, "hi"))); // what is made once is made
    order.length = 0;
    const flood = post("flood", path, body);
    // It is under way: its first turn is over.
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(await post("small", ...chat(messages(1, "hi"))), 200);
    await flood;
    const small = order.indexOf("small");
    assert.ok(small < order.indexOf("flood answered"), order.join(", "));
    assert.ok(!order.includes("flood") || small < order.indexOf("flood"), order.join(", "));
  });
}

withApi("fairness: texts to embed let another client's text pass", async (post, order) => {
  const flood = post("flood", "/api/embed", { input: Array(12).fill("hello ".repeat(400)) });
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(await post("small", "/api/embed", { input: "hi" }), 200);
  assert.equal(await flood, 200);
  assert.deepEqual(order, ["small answered", "flood answered"]);
});
