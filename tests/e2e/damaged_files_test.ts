/** Files of a firm's host that are damaged while `serve` runs: refused in a word, nothing weaker, and whole again once put right. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sealedFetch } from "../../src/client/sealed_fetch.ts";
import { Tokens } from "../../src/firm/tokens.ts";
import { enrolHost, initIssuer } from "../../src/fleet/issuer.ts";
import { joinFleet } from "../../src/fleet/join.ts";
import { parseEnrolment } from "../../src/fleet/lines.ts";
import { FleetState } from "../../src/fleet/state.ts";
import { filesOf, LABEL, machine } from "../../src/fleet/testing.ts";
import { ManifestFile, openKeySource } from "../../src/keys/mod.ts";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { until } from "../support/patience.ts";
import { cli, newHome, startServe } from "../support/serve.ts";

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** An issuer in this process, whose host the data folder's machine becomes. @returns What brings the host its records. */
async function inFleet(home: string, dataDir: string, key: string) {
  const issuer = await machine(home, "issuer");
  const pin = await initIssuer(issuer.state, issuer.keys);
  const env = { SECLLAMA_KEY: key };
  using keys = await openKeySource({ dataDir, env, interactive: false, autoInit: true });
  const state = new FleetState(new ManifestFile(dataDir), keys.storage());
  const audit = new Uint8Array(32);
  const line = await joinFleet(state, { pin, label: "gpu-1", hid: keys.hid, audit });
  await enrolHost(issuer.state, await parseEnrolment(line, LABEL));
  const path = join(home, "gpu-1.fleet");
  const publish = async () => {
    const [text] = await filesOf(issuer, Date.now());
    await Deno.writeTextFile(`${path}.new`, text!);
    await Deno.rename(`${path}.new`, path);
  };
  const pair = async (name: string) => {
    const { id } = await issuer.keys.clients().add(name);
    using ring = await issuer.keys.ring();
    return { ...ring.credentials(id)!, issuer: pin.issuer };
  };
  return { path, publish, pair, [Symbol.dispose]: () => issuer.keys[Symbol.dispose]() };
}

/** What may have become of a file; src/fleet/waiting_test.ts has more. */
const FAULTS: Readonly<Record<string, (path: string, good: Uint8Array) => Promise<void>>> = {
  zeros: (path, good) => Deno.writeFile(path, new Uint8Array(good.length)),
  "a folder": async (path) => {
    await Deno.remove(path);
    await Deno.mkdir(path);
  },
  away: (path) => Deno.remove(path),
};

Deno.test("damaged files: counts, tokens, clients and the fleet's part of a running host refuse by their codes, and heal without a restart", async () => {
  const { home, env: base } = await newHome();
  const data = join(home, "data");
  await Deno.mkdir(data, { mode: 0o700 });
  const port = freePort();
  const key = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
  using fleet = await inFleet(home, data, key);
  await fleet.publish();
  const env = {
    ...base,
    SECLLAMA_KEY: key,
    SECLLAMA_FLEET: fleet.path,
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

    const refusals = () => served.stderr().match(/"event":"fleet-file-refused".*/g) ?? [];
    /** Whether a client of the fleet is known here, whose records came with the newest head. */
    const knows = async (credentials: Awaited<ReturnType<typeof fleet.pair>>) => {
      const client = sealedFetch({
        gateway: served.gatewayUrl,
        credentials: () => Promise.resolve(credentials),
      });
      try {
        const answer = await client("/api/generate", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ model: "demo", prompt: "a", options: { num_predict: 1 } }),
        });
        await answer.text();
        return answer.ok;
      } catch (error) {
        assert.match(String(error), /The request does not authenticate/);
        return false;
      } finally {
        client.close();
      }
    };
    for (const path of [at("fleet.json"), fleet.path]) {
      for (const [fault, damage] of Object.entries(FAULTS)) {
        const before = refusals().length;
        const client = await fleet.pair(`${path === fleet.path ? "b" : "a"} ${fault}`);
        const good = await Deno.readFile(path);
        await damage(path, good);
        if (path !== fleet.path) await fleet.publish();
        await until(() => Promise.resolve(refusals().length > before), `${fault} is seen`);
        assert.equal(await ask(tokens[3]!, 1), "200", "as it was");
        assert.equal(await ready(), "ready");
        if (path !== fleet.path) assert.equal(await knows(client), false);
        await Deno.remove(path, { recursive: true }).catch(() => {});
        await Deno.writeFile(path, good);
        if (path === fleet.path) await fleet.publish();
        await until(() => knows(client), `${fault} is put right`);
        const said = refusals().slice(before);
        assert.equal(said.length, 1, said.join("\n"));
        assert.match(said[0]!, /"code":"[a-z-]+","why":"\S*fleet/);
      }
    }
    assert.doesNotMatch(served.stderr(), /proxy-error|internal-error/);
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true });
  }
});

const PASSPHRASE = "a passphrase that nobody else has";

Deno.test("damaged files: keys, record, models' policy and history of a running host refuse by their codes, and heal without a restart", async () => {
  const { home, env: base } = await newHome();
  const data = join(home, "data");
  await Deno.mkdir(data, { mode: 0o700 });
  const port = freePort();
  const policy = join(home, "models-of-the-firm.json");
  const env = {
    ...base,
    SECLLAMA_DATA_DIR: data,
    XDG_STATE_HOME: join(home, "state"),
    SECLLAMA_METRICS_PORT: String(port),
    SECLLAMA_AUDIT: "on",
    SECLLAMA_MODEL_POLICY: policy,
  };
  const keyFile = join(home, "keys.json");
  await Deno.writeTextFile(join(home, "passphrase"), PASSPHRASE, { mode: 0o600 });
  await makeCheapKeyFile(keyFile, PASSPHRASE);
  const run = async (...args: string[]) => {
    const keys = ["--key-file", keyFile, "--passphrase-fd", "0"];
    const ran = await cli([...args, ...keys], { env, stdin: `${PASSPHRASE}\n` });
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout;
  };
  await run("key", "init");
  const listed = await cli(["list", "--json"], { env: { ...env, SECLLAMA_MODEL_POLICY: "" } });
  // As it is written there.
  const digests = [JSON.parse(listed.stdout).models[0].manifestDigest];
  const allow = [{ names: ["demo"], digests }];
  await Deno.writeTextFile(policy, JSON.stringify({ version: 1, allow }));
  const { text: token } = await new Tokens(data).create("app");
  const served = await startServe({
    args: ["--key-file", keyFile, "--passphrase-fd", "3"],
    env,
    under: ["/bin/bash", "-c", `exec "$@" 3< ${join(home, "passphrase")}`, "bash"],
  });
  /** Who has a token is looked up each time; this user's own programs go on with the keys that their runner has. */
  const ask = async (path: string, body?: object) => {
    const answer = await fetch(served.proxyUrl + path, {
      method: body === undefined ? "GET" : "POST",
      ...(body && {
        headers: {
          "content-type": "application/json",
          ...("model" in body && { "x-api-key": token }),
        },
        body: JSON.stringify(body),
      }),
    });
    const text = await answer.text();
    assert.ok(!text.includes(home), text);
    return `${answer.status} ${answer.ok ? "" : JSON.parse(text).code}`.trim();
  };
  const messages = [{ role: "user", content: "Hello" }];
  const chats = async () => {
    const said = [
      await ask("/api/chat", { model: "demo", stream: false, messages }),
      await ask("/v1/chat/completions", { model: "demo", messages }),
      await ask("/v1/messages", { model: "demo", messages, max_tokens: 4 }),
    ];
    return [...new Set(said)].join(", ");
  };
  const histories = async () => {
    const said = [await ask("/secllama/history"), await ask("/secllama/history", { title: "t" })];
    return [...new Set(said)].join(", ");
  };
  const ready = async () => (await (await fetch(`http://127.0.0.1:${port}/readyz`)).text()).trim();
  const files: readonly (readonly [path: string, of: string, cut: string, away: string])[] = [
    [join(data, "keyset.json"), "keys", "key-corrupt", "key-corrupt"],
    [policy, "models", "misconfigured", "misconfigured"],
    [join(data, "audit.db"), "audit", "audit-broken", "audit-failed"],
    [join(data, "history", "history.db"), "history", "", "history-io"],
    // Read at the start only, and kept.
    [join(data, "host.json"), "", "", ""],
  ];
  try {
    assert.equal(await chats(), "200");
    assert.equal(await histories(), "200");
    await until(async () => await ready() === "ready", "it is ready");
    for (const [path, of, whenCut, whenAway] of files) {
      const good = await Deno.readFile(path);
      const faults: Record<string, string> = { cut: whenCut, away: whenAway, "a folder": whenAway };
      for (const [fault, expected] of Object.entries(faults)) {
        const what = `${of}, ${fault}`;
        const aside = join(home, "aside");
        if (fault === "cut") await Deno.truncate(path, good.length / 2);
        else await Deno.rename(path, aside);
        if (fault === "a folder") await Deno.mkdir(path);
        const isIo = fault === "a folder" && of === "keys";
        const code = isIo ? "key-io" : expected;
        const isOfHistory = of === "history" || of === "";
        if (!isOfHistory) {
          const reason = `${of}: ${code === "misconfigured" ? "bad-config" : code}`;
          await until(async () => await ready() === reason, `${what} is seen`);
          assert.equal(await chats(), `503 ${code}`, what);
          assert.match(served.stderr(), new RegExp(`"event":"${code}",.*"why"`), what);
        } else {
          assert.equal(await chats(), "200", what);
          if (code !== "") assert.equal(await histories(), `503 ${code}`, what);
        }
        if (fault === "a folder") await Deno.remove(path);
        if (fault === "cut") await Deno.writeFile(path, good);
        else await Deno.rename(aside, path);
        await until(async () => await ready() === "ready", `${what} is put right`);
        assert.equal(await chats(), "200", what);
        assert.equal(await histories(), "200", what);
      }
    }
    assert.doesNotMatch(served.stderr(), /proxy-error|internal-error/);
  } finally {
    await served.stop();
  }
  assert.match(await run("audit", "verify"), /^whole/);
  await Deno.remove(home, { recursive: true });
});
