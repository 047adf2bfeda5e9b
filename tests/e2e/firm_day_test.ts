/**
 * A day in a firm: the administrator sets roles and a policy, three people sign in at a real OpenID provider, one of them by a code for
 * another device, two programs get tokens, work happens, somebody meets a limit, somebody leaves, a model is refused, keys are rotated.
 * Then an auditor, with the public key and the export alone, proves the record whole, finds an edited copy, and checks a receipt.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Act, loginBy, startProvider } from "../support/identity_provider.ts";
import { keysetHost } from "../support/keyset_host.ts";
import { runToEnd } from "../support/run_to_end.ts";
import { newHome, ROOT, secllama, type Served, startServe } from "../support/serve.ts";

const CANARY = "canary-9d02fe";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.log("skipped: its parts have tests of their own; SECLLAMA_FULL=1 runs it");

Deno.test({ name: "firm: a day, and what an auditor makes of it", ignore: !FULL, fn: day });

async function day(t: Deno.TestContext): Promise<void> {
  const idp = await startProvider();
  const { home, env: base } = await newHome();
  const { dataDir, serve } = await keysetHost(home, 0);
  const at = (name: string) => join(home, name);
  const demo = await Deno.readFile(join(ROOT, "models/demo.gguf"));
  const digest = `sha256:${createHash("sha256").update(demo).digest("hex")}`;
  const approve = (digests: readonly string[]) =>
    Deno.writeTextFile(
      at("models.json"),
      JSON.stringify({ version: 1, allow: [{ names: ["demo"], digests }] }),
    );
  await approve([digest]);
  await Deno.writeTextFile(
    join(dataDir, "config.toml"),
    [
      'audit = "on"',
      "require_token = true",
      `model_policy = "${at("models.json")}"`,
      `oidc_issuer = "${idp.issuer}"`,
      'oidc_roles = "ml=staff,interns=trial"',
      "oidc_device = true",
      "",
    ].join("\n"),
  );
  const adminEnv = { ...base, ...serve.env, XDG_STATE_HOME: at("state") };
  const words = (folder: string, args: readonly string[]) => [
    "/bin/sh",
    "-c",
    `exec "$@" 3<"${home}/passphrase"`,
    "sh",
    ...secllama([...args, `--key-file=${folder}/keys.json`, "--passphrase-fd=3"]),
  ];
  const run = async (
    argv: readonly string[],
    env: Record<string, string>,
    expected: number,
  ): Promise<string> => {
    const done = await runToEnd(argv, { env, cwd: home, timeoutSeconds: 600 });
    assert.equal(done.code, expected, `${argv.join(" ")}: ${done.stdout}${done.stderr}`);
    return done.stdout + done.stderr;
  };
  /** The administrator's commands: those that need the host's key, and those that do not. */
  const keyed = (line: string, expected = 0) =>
    run(words(home, line.split(" ")), adminEnv, expected);
  const plain = (line: string, expected = 0) => run(secllama(line.split(" ")), adminEnv, expected);
  const personEnv = (person: string) => ({ ...base, SECLLAMA_DATA_DIR: at(person) });
  const as = (person: string, args: string[], expected = 0) =>
    run(words(at(person), args), personEnv(person), expected);
  const login = (person: string, args: string[], act: Act) =>
    loginBy(words(at(person), ["login", served!.gatewayUrl, ...args]), act, {
      env: personEnv(person),
      cwd: home,
    });
  const byBrowser = (person: string) =>
    login(person, [], async (lines, browser) => {
      await browser.signIn(await browser.open((await lines.next()).value), person);
    });
  const work = (person: string, expected = 0) =>
    as(person, ["run", "demo", CANARY, "--num-predict=4"], expected);
  const ask = (token: string, headers: Record<string, string> = {}) =>
    fetch(`${served!.proxyUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": token, ...headers },
      body: REQUEST,
    });
  const REQUEST = JSON.stringify({
    model: "demo",
    messages: [{ role: "user", content: CANARY }],
    max_tokens: 4,
  });
  const tokens: Record<string, string> = {};
  let served: Served | undefined;
  try {
    for (const person of ["anna", "ben", "cleo", "eve"]) await Deno.mkdir(at(person));
    idp.groups.set("anna", ["ml", "all"]).set("ben", ["interns"]).set("cleo", ["ml"]).set("eve", [
      "all",
    ]);

    await t.step("the administrator sets roles, and gives two programs tokens", async () => {
      await keyed("role set staff --requests-minute 1000");
      await keyed("role set trial --requests-day 1");
      for (const app of ["reports", "wiki"]) {
        const said = await keyed(`token create ${app} --json`);
        tokens[app] = JSON.parse(said.slice(said.indexOf("{"))).token;
      }
      served = await startServe({
        env: adminEnv,
        args: serve.args.filter((arg) => arg !== "--no-proxy"),
        under: serve.under,
      });
    });
    await t.step("three people sign in; a fourth is in no group of the list", async () => {
      const anna = await byBrowser("anna");
      assert.match(anna.said, /as anna, role staff/, anna.error);
      const cleo = await byBrowser("cleo");
      assert.match(cleo.said, /as cleo, role staff/, cleo.error);
      const ben = await login("ben", ["--device"], async (lines, browser) => {
        const address = (await lines.next()).value;
        await lines.next(); // the code, which the address has
        const asked = await browser.submit(await browser.open(address), {});
        const end = await browser.signIn(await browser.submit(asked, {}), "ben");
        assert.match(end.text, /Success/i);
      });
      assert.match(ben.said, /as ben, role trial/, ben.error);
      const eve = await byBrowser("eve");
      assert.notEqual(eve.code, 0);
      assert.match(eve.error, /eve is in no group that may come here/);
      const list = await keyed("clients list");
      for (const name of ["anna", "ben", "cleo", "reports", "wiki"]) {
        assert.match(list, new RegExp(name));
      }
      assert.doesNotMatch(list, /eve/);
    });
    await t.step("work happens, somebody meets a limit, a program gets a receipt", async () => {
      await work("anna");
      await work("ben");
      assert.match(await work("ben", 5), /limit of 1 request a day/);
      const answer = await ask(tokens["reports"]!, { "secllama-receipt": "request" });
      assert.equal(answer.status, 200);
      await Deno.writeTextFile(at("request"), REQUEST);
      await Deno.writeFile(at("reply"), new Uint8Array(await answer.arrayBuffer()));
      await Deno.writeTextFile(at("secret"), answer.headers.get("secllama-receipt-secret")!);
      const id = answer.headers.get("secllama-receipt")!;
      const port = new URL(served!.proxyUrl).port;
      await plain(`receipt get ${id} ${at("receipt.cose")} --proxy-port ${port}`);
      const said = await keyed("audit key");
      await Deno.writeTextFile(at("audit.pem"), said);
      // Who says to be another program beside the seal is the one whose token it showed.
      const named = await ask(tokens["wiki"]!, { "secllama-app": "0123456789ab" });
      assert.equal(named.status, 200);
      await named.body?.cancel();
    });
    await t.step("a model is refused, to people and programs, at once", async () => {
      await approve([`sha256:${"0".repeat(64)}`]);
      const refused = await ask(tokens["wiki"]!);
      assert.equal(refused.status, 403);
      assert.equal((await refused.json()).code, "model-not-approved");
      await work("cleo", 9);
      await approve([digest]);
    });
    await t.step("somebody leaves, the keys are rotated, the others go on", async () => {
      idp.groups.set("anna", []);
      assert.match(await as("anna", ["login", "--refresh"], 9), /in no group/);
      await work("anna", 9);
      idp.groups.set("ben", ["ml"]);
      assert.match(await as("ben", ["login", "--refresh"]), /role staff, until/);
      await keyed("key rotate");
      await work("ben");
      await work("cleo");
      await keyed("token revoke wiki");
      const revoked = await ask(tokens["wiki"]!);
      assert.equal(revoked.status, 401);
      await revoked.body?.cancel();
    });
    await served!.stop();

    await t.step(
      "the auditor: a key from the morning, the export, the receipt; no host",
      async () => {
        await plain(`audit export ${at("audit.jsonl")}`);
        const auditor = { ...base, HOME: at("eve"), SECLLAMA_DATA_DIR: at("nowhere") };
        const key = `--key ${at("audit.pem")}`;
        const check = (line: string, expected = 0) =>
          run(secllama(line.split(" ")), auditor, expected);
        assert.match(await check(`audit verify ${at("audit.jsonl")} ${key}`), /^whole/);
        const text = await Deno.readTextFile(at("audit.jsonl"));
        const lines = text.trim().split("\n").map((row) => JSON.parse(row))
          .filter(({ line }) => line !== undefined).map(({ line }) => JSON.parse(line));
        const who = (event: string) =>
          lines.filter((one) => one.event === event).map(({ client }) => client);
        assert.deepEqual(who("client-paired"), ["anna", "cleo", "ben"]);
        assert.deepEqual(who("client-revoked"), ["anna"]);
        assert.deepEqual(who("token-revoked"), ["wiki"]);
        for (const code of ["role-refused", "rate-limited"]) {
          assert.ok(lines.some((one) => one.event === "client-refused" && one.code === code), code);
        }
        for (
          const event of ["role-set", "token-created", "model-refused", "key-rotated", "audit-key"]
        ) {
          assert.ok(lines.some((one) => one.event === event), event);
        }
        const answered = who("exchange");
        for (const client of ["anna", "ben", "cleo", "reports", "wiki"]) {
          assert.ok(answered.includes(client), client);
        }
        await Deno.writeTextFile(
          at("edited.jsonl"),
          text.replace('\\"client\\":\\"anna\\"', '\\"client\\":\\"eve\\"'),
        );
        assert.match(
          await check(`audit verify ${at("edited.jsonl")} ${key}`, 9),
          /NOT WHOLE[^]*lines? \d+/,
        );
        const receipt = `receipt verify ${at("receipt.cose")} ${key} --secret ${at("secret")} ` +
          `--request ${at("request")} --reply`;
        assert.match(await check(`${receipt} ${at("reply")}`), /holds[^]*client=reports/);
        assert.match(await check(`${receipt} ${at("request")}`, 9), /the reply was another one/);
      },
    );
    await t.step(
      "neither a prompt nor a token is in any file of the host, or its log",
      async () => {
        const texts = [served!.stderr()];
        for await (const { name, isFile } of Deno.readDir(dataDir)) {
          if (isFile) {
            texts.push(new TextDecoder("latin1").decode(await Deno.readFile(join(dataDir, name))));
          }
        }
        assert.ok(texts.length > 5);
        for (const text of texts) {
          for (const secret of [CANARY, "eyJ", ...Object.values(tokens)]) {
            assert.equal(text.includes(secret), false);
          }
        }
      },
    );
  } finally {
    await served?.stop().catch(() => {});
    await idp.close();
    await Deno.remove(home, { recursive: true });
  }
}
