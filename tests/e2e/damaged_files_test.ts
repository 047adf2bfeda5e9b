/** Files of a firm's host that are damaged while `serve` runs: refused in a word, nothing weaker, and whole again once put right. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Tokens } from "../../src/firm/tokens.ts";
import { until } from "../support/patience.ts";
import { cli, newHome, startServe } from "../support/serve.ts";

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("damaged files: counts, tokens and clients of a running host refuse by their codes, and heal without a restart", async () => {
  const { home, env: base } = await newHome();
  const data = join(home, "data");
  await Deno.mkdir(data, { mode: 0o700 });
  const port = freePort();
  const env = {
    ...base,
    SECLLAMA_KEY: `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`,
    SECLLAMA_DATA_DIR: data,
    XDG_STATE_HOME: join(home, "state"),
    SECLLAMA_METRICS_PORT: String(port),
    SECLLAMA_REQUIRE_TOKEN: "true",
  };
  const set = await cli(["role", "set", "default", "--requests-day", "20"], { env });
  assert.equal(set.code, 0, set.stderr);
  const tokens: string[] = [];
  for (let i = 0; i < 4; i++) tokens.push((await new Tokens(data).create(`app-${i}`)).text);
  const served = await startServe({ args: [], env });
  const asks: readonly (readonly [path: string, more: object])[] = [
    ["/api/chat", {}],
    ["/v1/chat/completions", {}],
    ["/v1/messages", { max_tokens: 4 }],
  ];
  /** In each dialect: the status, and the code of a refusal. */
  const ask = async (token: string, times = 3) => {
    const said: string[] = [];
    for (const [path, more] of asks.slice(0, times)) {
      const answer = await fetch(served.proxyUrl + path, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": token },
        body: JSON.stringify({
          model: "demo",
          stream: false,
          messages: [{ role: "user", content: "Hello" }],
          ...more,
        }),
      });
      const text = await answer.text();
      assert.doesNotMatch(text, /usage\.db|tokens\.json|clients\.json/);
      said.push(`${answer.status} ${answer.ok ? "" : JSON.parse(text).code}`.trim());
    }
    return [...new Set(said)].join(", ");
  };
  const ready = async () => (await (await fetch(`http://127.0.0.1:${port}/readyz`)).text()).trim();
  const at = (name: string) => join(data, name);
  try {
    assert.equal(await ask(tokens[0]!), "200");
    await until(async () => await ready() === "ready", "it is ready");

    await Deno.writeTextFile(at("other"), "no database at all, ".repeat(500));
    await Deno.rename(at("other"), at("usage.db"));
    assert.equal(await ask(tokens[1]!), "503 limits-failed");
    assert.equal(await ready(), "limits: limits-failed");
    assert.match(served.stderr(), /"event":"limits-failed","why":"\S*usage\.db/);
    // As the hint says.
    await Deno.rename(at("usage.db"), at("aside"));
    assert.equal(await ask(tokens[1]!, 1), "200");
    assert.equal(await ready(), "ready");

    for (const name of ["tokens.json", "clients.json"]) {
      const good = await Deno.readFile(at(name));
      await Deno.writeFile(at(name), good.subarray(0, good.length / 2));
      await until(async () => await ready() === "clients: key-corrupt", "it is seen");
      if (name === "tokens.json") {
        // More than would lock out who guesses.
        for (let i = 0; i < 8; i++) assert.equal(await ask(tokens[2]!), "503 key-corrupt");
      } else {
        assert.equal(await ask(tokens[2]!, 1), "200", "by the roles as they were");
      }
      await Deno.writeFile(at(name), good);
      await until(async () => await ready() === "ready", "it is put right");
      assert.equal(await ask(tokens[2]!, 1), "200");
    }
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});
