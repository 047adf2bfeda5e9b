/** The proxy's gate: whom it lets in, by which headers, and how each dialect is told. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { Guesses } from "../firm/guesses.ts";
import { tokenClaim } from "../firm/tokens.ts";
import { SecLlamaError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { makeProxyApp } from "./app.ts";
import { type GateEnv, shownTokens, tokenGate } from "./token_gate.ts";

const TOKEN = "slt_0123456789ab_" + "x".repeat(43);
const OTHER = "slt_ba9876543210_" + "y".repeat(43);
const OWN = "own-token-of-this-process";

function gated() {
  const slept: number[] = [];
  const app = new Hono<GateEnv>();
  app.use(
    "*",
    tokenGate({
      tokens: {
        find: (text) => text === TOKEN || text === OTHER ? { name: "app" } as never : undefined,
        wasRevoked: () => false,
        idIn: (text) => [TOKEN, OTHER].find((one) => one.slice(0, 16) === text.slice(0, 16)),
      },
      guesses: new Guesses(() => 0),
      own: OWN,
      logger: silentLogger,
      sleep: (ms) => Promise.resolve(void slept.push(ms)),
    }),
  );
  app.all("*", (c) => c.text("in"));
  const ask = (headers: Record<string, string>, path = "/api/chat", party = "uid 1") =>
    app.request(path, { method: "POST", headers, body: "{}" }, { party });
  return { ask, slept };
}

Deno.test("token gate: an app's token opens no conversations, no page and no models' management; the owner's does", async () => {
  const { ask } = gated();
  const id = "0".repeat(32);
  const paths = [
    "/secllama/history",
    "/secllama/history/",
    "/secllama/history/search",
    `/secllama/history/${id}/messages`,
    "/secllama/docs",
    "/secllama/prompts",
    "/secllama/page/replies",
    "/api/pull",
    "/api/delete",
  ];
  for (const path of paths) {
    const refused = await ask({ authorization: `Bearer ${TOKEN}` }, path);
    assert.equal(refused.status, 403, path);
    assert.match(await refused.text(), /for asking models/);
    assert.equal((await ask({ authorization: `Bearer ${OWN}` }, path)).status, 200, path);
  }
  for (const path of ["/api/chat", "/v1/models", "/api/tags", "/"]) {
    assert.equal((await ask({ "x-api-key": TOKEN }, path)).status, 200, path);
  }
});

const basic = (user: string, password: string) => `Basic ${btoa(`${user}:${password}`)}`;

Deno.test("token gate: without it anybody is let in; with it who shows a token, in each client's header", async () => {
  const open = new Hono().all("*", (c) => c.text("in"));
  assert.equal((await open.request("/api/chat", { method: "POST" })).status, 200);
  const { ask } = gated();
  assert.equal((await ask({})).status, 401);
  const places: Record<string, string>[] = [
    { authorization: `Bearer ${TOKEN}` },
    { authorization: `bearer  ${TOKEN}` },
    { authorization: basic("anyone", TOKEN) },
    { authorization: basic("", TOKEN) },
    { authorization: basic(TOKEN, "") },
    { authorization: basic(TOKEN, "x") },
    { "x-api-key": TOKEN },
    { "api-key": TOKEN },
    { authorization: "Bearer ollama", "x-api-key": TOKEN },
    { authorization: `Bearer ${OWN}` },
  ];
  for (const headers of places) {
    assert.equal((await ask(headers)).status, 200, JSON.stringify(headers));
  }
  const wrong: Record<string, string>[] = [
    { authorization: TOKEN },
    { authorization: `Token ${TOKEN}` },
    { authorization: `Bearer ${TOKEN}x` },
    { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
    { authorization: "Basic !!!" },
    { authorization: `Basic ${btoa(TOKEN)}` },
    { authorization: basic("x", `${TOKEN}:`) },
    { "x-api-key": "ollama" },
    { cookie: `token=${TOKEN}` },
    { token: TOKEN },
  ];
  for (const headers of wrong) {
    assert.equal((await gated().ask(headers)).status, 401, JSON.stringify(headers));
  }
  assert.equal(
    (await ask({}, `/api/chat?api_key=${TOKEN}`)).status,
    401,
    "a URL is logged by many",
  );
});

Deno.test("token gate: each dialect is told in its own words, and how to go on; the token is in none", async () => {
  const { ask } = gated();
  const headers = { authorization: `Bearer ${TOKEN}x` };
  const ollama = await ask(headers, "/api/chat");
  assert.match(ollama.headers.get("www-authenticate")!, /^Bearer/);
  assert.deepEqual(Object.keys(await ollama.json()), ["error", "code", "hint"]);
  const openai = await (await ask(headers, "/v1/chat/completions")).json();
  assert.equal(openai.error.code, "invalid_api_key");
  const anthropic = await (await ask(headers, "/v1/messages")).json();
  assert.equal(anthropic.error.type, "authentication_error");
  for (const body of [openai, anthropic]) assert.equal(JSON.stringify(body).includes(TOKEN), false);
  assert.equal(openai.code, "token-refused");
});

Deno.test("token gate: guesses wait, then nothing of theirs is looked at, not even a right one", async () => {
  const { ask, slept } = gated();
  for (let i = 0; i < 5; i++) await ask({});
  assert.deepEqual(slept, [], "who shows none has not guessed");
  for (let i = 0; i < 20; i++) assert.equal((await ask({ "x-api-key": `guess${i}` })).status, 401);
  assert.deepEqual(slept.slice(0, 3), [100, 200, 400]);
  const locked = await ask({ "x-api-key": TOKEN });
  assert.equal(locked.status, 429);
  assert.equal(locked.headers.get("retry-after"), "900");
  assert.equal((await ask({ "x-api-key": TOKEN }, "/api/chat", "uid 2")).status, 200);
  assert.equal((await ask({ "x-api-key": OWN })).status, 200, "the owner's commands go on");
});

Deno.test("token gate: who has a token and guesses in between is locked out as soon", async () => {
  const { ask, slept } = gated();
  const statuses: number[] = [];
  for (let i = 0; i < 40; i++) {
    statuses.push((await ask({ "x-api-key": `guess${i}` })).status);
    await ask({ "x-api-key": TOKEN });
  }
  assert.equal(statuses.indexOf(429), 21, "one was forgiven");
  assert.ok(slept.length > 10);
});

Deno.test("token gate: on a socket that many share, a guesser locks out guesses, and nobody who has a token", async () => {
  const { ask } = gated();
  const shared = (token: string) => ask({ "x-api-key": token }, "/api/chat", "unix");
  for (let i = 0; i < 20; i++) assert.equal((await shared(`guess${i}`)).status, 401);
  assert.equal((await shared("guess")).status, 429);
  assert.equal((await shared(TOKEN)).status, 200);
  for (let i = 0; i < 20; i++) {
    assert.equal((await shared(`${TOKEN.slice(0, -2)}${i}`)).status, 401);
  }
  assert.equal((await shared(TOKEN)).status, 429, "not even the right one: it was guessed at");
  assert.equal((await shared(OTHER)).status, 200);
  // Nor of one that they show beside a name or a key that is none of ours, or beside a token that is locked out.
  const unix = async (headers: Record<string, string>) =>
    (await ask(headers, "/api/chat", "unix")).status;
  assert.equal(await unix({ authorization: basic("me", OTHER) }), 200);
  assert.equal(await unix({ "x-api-key": "none of ours", authorization: `Bearer ${OTHER}` }), 200);
  assert.equal(await unix({ "x-api-key": OTHER, "api-key": TOKEN }), 200);
  // None of that forgives a guess.
  assert.equal((await shared("guess")).status, 429);
  assert.equal((await shared(TOKEN)).status, 429);
});

Deno.test("token gate: what is shown is read once", () => {
  const headers = new Headers({ authorization: "Bearer a", "x-api-key": "a", "api-key": "b" });
  assert.deepEqual(shownTokens(headers).toSorted(), ["a", "b"]);
  assert.deepEqual(shownTokens(new Headers({ authorization: "Bearer " })), []);
});

Deno.test("token gate: where there is none, a token that is shown all the same is told to the gateway, and no other key is", async () => {
  const told: (string | null)[] = [];
  const app = makeProxyApp({
    gateway: "http://127.0.0.1:1",
    fetch: (_, init) => {
      told.push(new Headers(init.headers).get("secllama-app"));
      return Promise.resolve(Response.json({}));
    },
    metadata: () => Promise.reject(new Error("nothing is asked")),
    outer: () => new Headers(),
    logger: silentLogger,
    claim: tokenClaim,
  });
  const ask = (headers: Record<string, string>) =>
    app.request("http://127.0.0.1/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "demo", messages: [] }),
    });
  const claim = tokenClaim(TOKEN)!;
  const cases: [Record<string, string>, string | null][] = [
    [{}, null],
    [{ authorization: "Bearer ollama" }, null],
    [{ "secllama-app": "0123456789ab" }, null],
    [{ authorization: `Bearer ${TOKEN}` }, claim],
    [{ authorization: basic("", TOKEN) }, claim],
    [{ authorization: "Bearer ollama", "api-key": TOKEN, "secllama-app": "x" }, claim],
    [{ "x-api-key": `${TOKEN}x` }, "-"],
  ];
  for (const [headers] of cases) assert.equal((await ask(headers)).status, 200);
  assert.deepEqual(told, cases.map(([, expected]) => expected));
  assert.equal(told.some((text) => text?.includes("x".repeat(43))), false);
});

Deno.test("token gate: who shows a token in the wrong way is told what is wrong, without a word of it", async () => {
  const { ask } = gated();
  const said = async (headers: Record<string, string>) => {
    const answer = await ask(headers);
    assert.equal(answer.status, 401);
    const text = await answer.text();
    assert.doesNotMatch(text, /slt_|xxxx/);
    return (JSON.parse(text) as { error: string }).error;
  };
  for (const twice of [`Bearer Bearer ${TOKEN}`, `bearer  bearer ${TOKEN}`, "Bearer Bearer"]) {
    assert.match(
      await said({ authorization: twice }),
      twice === "Bearer Bearer" ? /not valid/ : /Bearer twice/,
    );
  }
  for (const bad of [TOKEN, `Token ${TOKEN}`, "Bearer", `Bearer ${TOKEN} x`, `"Bearer" ${TOKEN}`]) {
    assert.match(await said({ authorization: bad }), /must be the word Bearer/, bad);
  }
  for (const name of ["x-api-key", "api-key"]) {
    assert.match(await said({ [name]: `Bearer ${TOKEN}` }), /take the token alone/);
  }
  assert.equal(await said({}), "an API token is needed");
  assert.equal(
    await said({ authorization: `Bearer ${TOKEN}x` }),
    "the API token is not valid here",
  );
});

Deno.test("token gate: while the tokens are not known nobody is let in, in each dialect, and nobody has guessed", async () => {
  let known = false;
  const unknown = () => new SecLlamaError("key-corrupt", "the list of tokens cannot be read");
  const app = new Hono<GateEnv>();
  const answered: string[] = [];
  app.use(
    "*",
    tokenGate({
      tokens: {
        find() {
          if (known) return { id: "0123456789ab" };
          throw unknown();
        },
        wasRevoked: () => false,
        idIn: () => undefined,
      },
      guesses: new Guesses(() => 0),
      own: OWN,
      logger: silentLogger,
      sleep: () => Promise.reject(new Error("nobody waits")),
      onRefused: () => assert.fail("it is no guess"),
      onAnswered: (code) => answered.push(code),
    }),
  );
  app.all("*", (c) => c.text("in"));
  const ask = (path: string, key = TOKEN) =>
    app.request(path, { method: "POST", headers: { "x-api-key": key }, body: "{}" }, {
      party: "uid 1",
    });
  const paths = ["/api/chat", "/v1/chat/completions", "/v1/messages"];
  for (let i = 0; i < 30; i++) {
    const answer = await ask(paths[i % 3]!);
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /"code":"key-corrupt"/);
  }
  assert.deepEqual(new Set(answered), new Set(["key-corrupt"]));
  assert.equal((await ask("/api/chat", OWN)).status, 200, "this user's own commands go on");
  known = true;
  assert.equal((await ask("/api/chat")).status, 200);
});
