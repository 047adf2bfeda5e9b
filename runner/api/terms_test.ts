/** What a client's role says of its calls, at every path: which kinds there may be, and how long a reply. */
import assert from "node:assert/strict";
import { CALL_KINDS, type CallKind, type CallTerms } from "../../src/api/call_terms.ts";
import { routes } from "../../src/api/routes.ts";
import { testApi } from "./testing.ts";

const MESSAGES = [{ role: "user", content: "Hi" }];
/** By path: a body that is answered, and what it calls the most tokens of its reply; undefined: it makes none. */
const CALLS: Record<string, { kind: CallKind; body: object; most?: (n: number) => object }> = {
  "/api/chat": {
    kind: "chat",
    body: { messages: MESSAGES, stream: false },
    most: (num_predict) => ({ options: { num_predict } }),
  },
  "/api/generate": {
    kind: "completions",
    body: { prompt: "Hi", stream: false },
    most: (num_predict) => ({ options: { num_predict } }),
  },
  "/api/embed": { kind: "embeddings", body: { input: "Hi" } },
  "/api/embeddings": { kind: "embeddings", body: { prompt: "Hi" } },
  "/v1/chat/completions": {
    kind: "chat",
    body: { messages: MESSAGES },
    most: (max_completion_tokens) => ({ max_completion_tokens }),
  },
  "/v1/chat/completions/input_tokens": { kind: "chat", body: { messages: MESSAGES } },
  "/v1/completions": {
    kind: "completions",
    body: { prompt: "Hi" },
    most: (max_tokens) => ({ max_tokens }),
  },
  "/v1/embeddings": { kind: "embeddings", body: { input: "Hi" } },
  "/v1/rerank": { kind: "rerank", body: { query: "Hi", documents: ["a"] } },
  "/v1/responses": {
    kind: "chat",
    body: { input: "Hi" },
    most: (max_output_tokens) => ({ max_output_tokens }),
  },
  "/v1/responses/input_tokens": { kind: "chat", body: { input: "Hi" } },
  "/tokenize": { kind: "tokens", body: { content: "Hi" } },
  "/detokenize": { kind: "tokens", body: { tokens: [72] } },
  "/apply-template": { kind: "tokens", body: { messages: MESSAGES } },
  "/v1/messages": {
    kind: "chat",
    body: { messages: MESSAGES, max_tokens: 4_000 },
    most: (max_tokens) => ({ max_tokens }),
  },
  "/v1/messages/count_tokens": { kind: "chat", body: { messages: MESSAGES } },
};

function asker(terms?: CallTerms) {
  const { api, engine } = testApi({ pieces: ["a"] });
  const refused: string[] = [];
  const ask = async (path: string, more: object = {}) => {
    const body = JSON.stringify({ model: "demo", ...CALLS[path]!.body, ...more });
    const request = new Request(`http://runner${path}`, { method: "POST", body });
    const answer = await api.fetch(request, {
      client: "test",
      refused: (code) => refused.push(code),
      ...(terms === undefined ? {} : { terms }),
    });
    return { status: answer.status, said: JSON.parse(await answer.text()) };
  };
  return { ask, refused, engine };
}

Deno.test("terms: each path that asks a model is of one kind, and is here", () => {
  assert.deepEqual(
    Object.fromEntries(routes("inference").map(({ path, call }) => [path, call])),
    Object.fromEntries(Object.entries(CALLS).map(([path, { kind }]) => [path, kind])),
  );
});

Deno.test("terms: a kind of call that the role does not have is 403 in each dialect, and costs nothing", async () => {
  for (const [path, { kind }] of Object.entries(CALLS)) {
    // The control: without terms, and with terms that have its kind, it is something else than that.
    for (const terms of [undefined, { role: "r", kinds: [kind] }, { role: "r", replyTokens: 4 }]) {
      const { ask, refused } = asker(terms);
      const { said } = await ask(path);
      assert.doesNotMatch(JSON.stringify(said), /the role r/, path);
      assert.deepEqual(refused, []);
    }
    const kinds = CALL_KINDS.filter((one) => one !== kind);
    const { ask, refused, engine } = asker({ role: "r", kinds });
    const { status, said } = await ask(path);
    assert.equal(status, 403, path);
    const text = JSON.stringify(said);
    assert.match(text, new RegExp(`the role r does not let its clients ask for ${kind}`), path);
    assert.match(text, /role-refused/, path);
    if (path.startsWith("/v1/messages")) assert.equal(said.error.type, "permission_error");
    assert.deepEqual(refused, ["role-refused"]);
    assert.equal(engine.requests.length, 0);
  }
});

Deno.test("terms: no reply is longer than the role lets it be, whatever was asked for", async () => {
  for (const [path, { most }] of Object.entries(CALLS)) {
    if (most === undefined) continue;
    for (const asked of [undefined, 1, 8, 9, 100_000]) {
      const more = asked === undefined ? {} : most(asked);
      for (const role of [undefined, 8]) {
        const terms = role === undefined ? undefined : { role: "r", replyTokens: role };
        const { ask, engine } = asker(terms);
        const { status, said } = await ask(path, more);
        assert.equal(status, 200, `${path} ${JSON.stringify(said)}`);
        const given = engine.requests.at(-1)!.maxTokens;
        const free = asker();
        await free.ask(path, more);
        const wanted = free.engine.requests.at(-1)!.maxTokens;
        const expected = role === undefined ? wanted : wanted < 0 ? role : Math.min(role, wanted);
        assert.equal(given, expected, `${path}, asked ${asked}, role ${role}`);
      }
    }
  }
});
