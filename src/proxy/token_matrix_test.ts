/** Every path × every place of a token × every state that it can be in, told in the words of the path's dialect. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { dialectOf, type Route, ROUTES, routes } from "../api/routes.ts";
import { Guesses } from "../firm/guesses.ts";
import { TokenCheck, Tokens } from "../firm/tokens.ts";
import { silentLogger } from "../log.ts";
import { type GateEnv, tokenGate } from "./token_gate.ts";

type Place = (text: string) => [string, string][];
const basic = (user: string, password: string) => `Basic ${btoa(`${user}:${password}`)}`;
const PLACES: Record<string, Place> = {
  "Bearer": (text) => [["authorization", `Bearer ${text}`]],
  "bearer": (text) => [["Authorization", `bearer   ${text}`]],
  "x-api-key": (text) => [["x-api-key", text]],
  "api-key": (text) => [["API-Key", text]],
  "basic, as the password": (text) => [["authorization", basic("user", text)]],
  "basic, as the user": (text) => [["authorization", basic(text, "")]],
  "beside another": (text) => [["authorization", "Bearer ollama"], ["x-api-key", text]],
};
const SHAPES = {
  ollama: (said: Record<string, unknown>) => typeof said["error"] === "string",
  openai: (said: { error: Record<string, unknown> }) =>
    said.error["code"] === "invalid_api_key" && typeof said.error["message"] === "string",
  anthropic: (said: { type: string; error: Record<string, unknown> }) =>
    said.type === "error" && said.error["type"] === "authentication_error",
};

function pathOfRow({ path }: Route): string {
  return path.replace(/\{\w+\}/, "0".repeat(32));
}

Deno.test("tokens: every path, every place, every state", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    let now = Date.parse("2026-11-29T12:00Z");
    const tokens = new Tokens(folder, () => new Date(now));
    const make = async (name: string, lifeMs?: number) => (await tokens.create(name, lifeMs)).text;
    const right = await make("right", 3_600_000);
    const expired = await make("expired", 1_000);
    const revoked = await make("revoked");
    await tokens.revoke("revoked");
    now += 1_000;
    const states: Record<string, string> = {
      right,
      expired,
      revoked,
      "another's secret": right.slice(0, 17) + expired.slice(17),
      "one character less": right.slice(0, -1),
      "one more": `${right}A`,
      "one changed": right.slice(0, -1) + (right.endsWith("A") ? "B" : "A"),
      "upper case": right.toUpperCase(),
      "its id": right.slice(4, 16),
      "no token": "ollama",
      "twice with a comma": `${right},${right}`,
      "NUL": "%00",
      "very long": "x".repeat(7_000),
    };
    const app = new Hono<GateEnv>();
    const check = new TokenCheck(folder, () => now);
    app.use(
      "*",
      tokenGate({
        tokens: check,
        guesses: new Guesses(() => 0),
        own: "nobody's",
        logger: silentLogger,
        sleep: () => Promise.resolve(),
      }),
    );
    app.all("*", (c) => c.text(`in as ${c.get("app")}`));
    let party = 0;
    const ask = (row: Route, headers: [string, string][]) =>
      app.request(pathOfRow(row), { method: row.methods.at(-1)!, headers }, {
        party: `address ${party++}`,
      });
    let asked = 0;
    const refused = async (row: Route, headers: [string, string][], what: string) => {
      const answer = await ask(row, headers);
      assert.equal(answer.status, 401, what);
      assert.match(answer.headers.get("www-authenticate")!, /^Bearer .*Basic /, what);
      const text = await answer.text();
      if (row.methods.at(-1) !== "HEAD") {
        const said = JSON.parse(text);
        const dialect = dialectOf(pathOfRow(row));
        if (dialect !== "sealed") assert.ok(SHAPES[dialect](said as never), `${what}: ${text}`);
      }
      assert.equal(text.includes(right.slice(17)), false);
      asked++;
    };
    for (const row of routes().filter(({ path }) => path !== ROUTES.identity.path)) {
      for (const [place, headersOf] of Object.entries(PLACES)) {
        for (const [state, text] of Object.entries(states)) {
          const what = `${row.path}, ${place}, ${state}`;
          if (state !== "right") {
            await refused(row, headersOf(text), what);
            continue;
          }
          const answer = await ask(row, headersOf(text));
          const ofTheOwner = ["history", "page", "management", "owner"].includes(row.kind);
          assert.equal(answer.status, ofTheOwner ? 403 : 200, what);
          await answer.body?.cancel();
        }
        // A header that comes twice, even with the right token, is nobody's.
        const twice = place === "beside another" ? [] : headersOf(right);
        if (twice.length > 0) {
          await refused(row, [...twice, ...twice], `${row.path}, ${place} twice`);
        }
      }
      await refused(row, [], `${row.path}, none`);
      await refused(row, [["authorization", "Bearer"]], `${row.path}, empty`);
      await refused(row, [["authorization", `Token ${right}`]], `${row.path}, another scheme`);
      await refused(row, [["cookie", `token=${right}`]], `${row.path}, a cookie`);
    }
    assert.ok(asked > 3_000, String(asked));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
