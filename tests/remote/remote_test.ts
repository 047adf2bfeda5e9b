/**
 * A laptop and a host, each in a network namespace of its own, with a recorder on the cable between them: pair, chat, list,
 * rotate, revoke, all over TLS. Everything is the real thing: gateway, proxy, sandbox, model, key files, kernel network.
 */
import assert from "node:assert/strict";
import { findIn } from "../support/memory.ts";
import { ROOT } from "../support/serve.ts";
import { type Done, HOST_ADDRESS, Lab, labIgnored, type Running } from "./lab.ts";
import { until } from "../support/patience.ts";

const GATEWAY = `https://${HOST_ADDRESS}:11435`;
const PROXY = "http://127.0.0.1:11434";
const QUESTION = "What is network isolation?";

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly failed: string;
}

const answerOf = (done: { out: string }): Answer => JSON.parse(done.out.trim().split("\n").pop()!);

function ok(done: Done): Done {
  assert.equal(done.code, 0, `${done.out}\n${done.err}`);
  return done;
}

const chatBody = (content: string, more: Record<string, unknown> = {}) =>
  JSON.stringify({
    model: "demo",
    stream: false,
    messages: [{ role: "user", content }],
    options: { temperature: 0 },
    ...more,
  });

/** A reply that goes on for long enough to be cut. */
const LONG = JSON.stringify({
  model: "demo",
  prompt: "numbers",
  raw: true,
  stream: true,
  format: { type: "array", items: { type: "integer" }, minItems: 900 },
  options: { num_predict: 3500 },
});

const newCanary = () => `canary-${crypto.getRandomValues(new Uint8Array(20)).toHex()}`;

Deno.test({
  name: "remote: pair, chat, list, rotate, revoke between two machines; the wire shows nothing",
  ignore: labIgnored(),
  fn: async (t) => {
    await using lab = await Lab.make();
    const ask = async (path: string, body = "", ...args: string[]) =>
      answerOf(
        ok(
          await lab.run("laptop", lab.script("ask_main.ts", PROXY + path, ...args), {
            stdin: body,
          }),
        ),
      );
    const command = (side: "host" | "laptop", ...args: string[]) =>
      lab.run(side, lab.secllama(side, args));
    const clients = async () =>
      JSON.parse(ok(await command("host", "clients", "list", "--json", "--all")).out).clients;

    const record = (file: string) =>
      lab.start("host", ["/usr/bin/python3", `${ROOT}tests/remote/record.py`, "cable", file]);
    const serve = (args: string[] = [], env: Record<string, string> = {}) =>
      lab.start(
        "host",
        lab.secllama("host", ["serve", "--host", HOST_ADDRESS, "--no-proxy", ...args]),
        { env },
      );

    await t.step(
      "beyond loopback nothing is served to nobody, and nothing in plaintext",
      async () => {
        const refused = await command("host", "serve", "--host", HOST_ADDRESS);
        assert.equal(refused.code, 9, refused.err);
        assert.match(refused.err, /no client is paired[^]*hint: .*secllama pair .*NAME/);
        const open = await lab.run(
          "host",
          lab.secllama("host", ["serve", "--host", HOST_ADDRESS]),
          { env: { SECLLAMA_ENABLE_ENCRYPTION: "false" } },
        );
        assert.equal(open.code, 9, open.err);
        assert.match(open.err, /encryption is off/);
      },
    );

    let pairing = "";
    await t.step(
      "pair: the string is shown once, and is a secret that no file of the host holds",
      async () => {
        const plain = await command("host", "pair", "laptop", "--url", "http://10.77.0.1:1");
        assert.equal(plain.code, 2, plain.err);
        pairing = ok(await command("host", "pair", "laptop", "--url", GATEWAY)).out.trim();
        assert.match(pairing, /^secllama-pair-1\.[A-Za-z0-9_-]+\.[0-9a-f]{8}$/);
        const { psk } = JSON.parse(
          atob(pairing.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")),
        );
        for (const name of ["clients.json", "tls.json", "keyset.json"]) {
          const text = await Deno.readTextFile(`${lab.folder}/host/data/${name}`);
          assert.ok(!text.includes(psk) && !text.includes("PRIVATE KEY"), name);
        }
        const again = await command("host", "pair", "laptop", "--url", GATEWAY);
        assert.equal(again.code, 9);
        assert.match(again.err, /a client named laptop already[^]*--replace/);
      },
    );

    const gateway = serve();
    await gateway.saw(/isolation strict/);
    const recorder = record(`${lab.folder}/wire`);
    await recorder.saw(/recording/);

    await t.step(
      "the laptop takes a mangled string for what it is, and stores the right one",
      async () => {
        const mangled = pairing.slice(0, 100) + pairing.slice(101);
        const bad = await lab.run("laptop", lab.secllama("laptop", ["proxy", "--pair", "-"]), {
          stdin: mangled,
        });
        assert.equal(bad.code, 2);
        assert.match(bad.err, /cut short or changed/);
        const inArgv = await command("laptop", "proxy", "--pair", pairing);
        assert.equal(inArgv.code, 2);
        assert.ok(!inArgv.err.includes(pairing));
        const stored = ok(
          await lab.run(
            "laptop",
            lab.secllama("laptop", ["proxy", "--pair", "-", "--as", "office"]),
            {
              stdin: pairing + "\n",
            },
          ),
        );
        assert.match(stored.out, /paired with office/);
        assert.match(stored.err, /It answers, and has 1 model\./);
        const { gateways } = JSON.parse(
          ok(
            await lab.run(
              "laptop",
              lab.secllama("laptop", ["proxy", "--pairings", "--json"], false),
            ),
          ).out,
        );
        assert.deepEqual(gateways, [{ name: "office", url: `${GATEWAY}/`, current: true }]);
      },
    );

    const canary = newCanary();
    let proxy: Running;
    await t.step("chat and list through the laptop's proxy, and run without one", async () => {
      const direct = ok(
        await lab.run("laptop", lab.secllama("laptop", ["run", "demo"]), {
          stdin: `${QUESTION} ${canary}`,
        }),
      );
      assert.ok(direct.out.length > 20, direct.out);
      // With a pairing, ui starts the proxy; all that follows goes through it.
      proxy = lab.start("laptop", lab.secllama("laptop", ["ui", "--no-open"]));
      await proxy.saw(/proxy ready on/);
      await proxy.saw(/^http:\/\/127\.0\.0\.1:11434\/$/m);
      assert.match((await ask("/", "", "--accept", "text/html")).text, /<div id="app">/);
      const chat = await ask("/api/chat", chatBody(`${QUESTION} ${canary}`));
      assert.equal(chat.status, 200, JSON.stringify(chat));
      assert.ok(JSON.parse(chat.text).message.content.length > 20, chat.text);
      assert.deepEqual(
        JSON.parse((await ask("/api/tags")).text).models.map((m: { name: string }) => m.name),
        ["demo:latest"],
      );
      assert.equal(JSON.parse((await ask("/v1/models")).text).data.length, 1);
      assert.equal((await ask("/api/show", `{"model":"demo"}`)).status, 200);
      assert.equal((await ask("/api/ps")).status, 200);
      // The history's keys come from the store that the pairing came from: its passphrase was read once.
      const history = await ask("/secllama/history");
      assert.deepEqual([history.status, JSON.parse(history.text).conversations], [200, []]);
      assert.equal((await ask("/api/chat", chatBody("x", { model: "none" }))).status, 404);
    });

    await t.step("a stranger on the laptop loads and lists nothing", async () => {
      const cert =
        JSON.parse(await Deno.readTextFile(`${lab.folder}/host/data/tls.json`)).certificate;
      await Deno.writeTextFile(`${lab.folder}/ca.pem`, cert);
      const stranger = async (path: string, body = "", ca = ["--ca", `${lab.folder}/ca.pem`]) =>
        answerOf(
          ok(
            await lab.run("laptop", lab.script("ask_main.ts", GATEWAY + path, ...ca), {
              stdin: body,
            }),
          ),
        );
      assert.equal((await stranger("/")).status, 200, "the control: it can connect");
      const c = "00".repeat(16);
      for (
        const [path, body] of [
          ["/api/tags"],
          ["/api/ps"],
          ["/v1/models"],
          ["/api/security/status"],
          [`/sealed/v1/key?model=demo&id=local.0011223344556677&c=${c}`],
          ["/api/show", `{"model":"demo"}`],
          ["/api/chat", chatBody("x")],
        ]
      ) {
        const answer = await stranger(path!, body);
        assert.equal(answer.status, 401, path);
        assert.ok(!answer.text.includes("demo"), answer.text);
      }
      const unpinned = await stranger("/", "", []);
      assert.match(unpinned.failed, /certificate|UnknownIssuer/i);
    });

    await t.step(
      "rotate: the laptop is let in for the grace, takes up the new key by itself, and keeps it",
      async () => {
        ok(await command("host", "key", "rotate"));
        assert.equal((await clients())[0].key, "older");
        for (let i = 0; i < 2; i++) {
          const chat = await ask("/api/chat", chatBody(QUESTION));
          assert.equal(chat.status, 200, chat.text);
        }
        await until(
          async () => (await clients())[0].key === "current",
          "the host has seen the new key",
        );
        // Another process of the laptop reads the new one from its store; the string that was pasted is void now.
        await proxy!.stop();
        const again = ok(
          await lab.run("laptop", lab.secllama("laptop", ["run", "demo", QUESTION])),
        );
        assert.match(again.out, /network|socket/i);
        const old = lab.secllama("laptop", ["proxy", "--pair", "-", "--as", "stale"]);
        const stale = ok(await lab.run("laptop", old, { stdin: pairing }));
        assert.match(stale.err, /401/);
        ok(await command("laptop", "proxy", "--unpair", "stale"));
        proxy = lab.start("laptop", lab.secllama("laptop", ["proxy", "--use", "office"]));
        await proxy.saw(/proxy ready on/);
      },
    );

    await t.step(
      "revoke: what is being said is cut off, and nothing more is answered",
      async () => {
        ok(await command("host", "clients", "rename", "laptop", "Amelie 2"));
        // The control: nobody revoked, the same reply comes whole.
        const whole = await ask("/api/generate", LONG);
        assert.match(whole.text, /"done":true/, whole.failed);
        const streaming = lab.start(
          "laptop",
          lab.script("ask_main.ts", PROXY + "/api/generate", "--until-cut", "--body", LONG),
        );
        await streaming.saw(/first/);
        ok(await command("host", "clients", "revoke", "Amelie 2"));
        const cut = answerOf({ out: (await streaming.saw(/\{"status"[^]*\n/))[0] });
        assert.doesNotMatch(cut.text, /"done":true/);
        assert.notEqual(cut.failed, "");
        const after = await ask("/api/chat", chatBody(QUESTION));
        assert.equal(after.status, 401, after.text);
        assert.notEqual((await ask("/api/tags")).status, 200);
        assert.equal((await clients())[0].key, "revoked");
      },
    );

    await t.step(
      "the recorder has everything that passed, and in no form what was said",
      async () => {
        await recorder.stop();
        const wire = await Deno.readFile(`${lab.folder}/wire`);
        assert.ok(wire.length > 50_000, `${wire.length} bytes`);
        assert.deepEqual(findIn(wire, canary), []);
        assert.deepEqual(findIn(wire, "What is network isolation"), []);
        assert.deepEqual(findIn(wire, "demo:latest"), []);
        await Promise.all([gateway.stop(), proxy!.stop()]);
      },
    );

    await t.step(
      "the control: with encryption off, behind a careless proxy, the recorder finds it",
      async () => {
        const open = lab.start(
          "host",
          lab.secllama("host", ["serve", "--no-proxy"]),
          { env: { SECLLAMA_ENABLE_ENCRYPTION: "false" } },
        );
        await open.saw(/isolation strict/);
        const careless = lab.start(
          "host",
          lab.script("careless_main.ts", `http://${HOST_ADDRESS}:8080`, "http://127.0.0.1:11435"),
        );
        await careless.saw(/ready/);
        const control = record(`${lab.folder}/open-wire`);
        await control.saw(/recording/);
        const canary = newCanary();
        const url = `http://${HOST_ADDRESS}:8080/api/chat`;
        const asked = await lab.run("laptop", lab.script("ask_main.ts", url), {
          stdin: chatBody(canary),
        });
        assert.equal(answerOf(ok(asked)).status, 200, asked.out);
        await control.stop();
        assert.ok(findIn(await Deno.readFile(`${lab.folder}/open-wire`), canary).includes("UTF-8"));
      },
    );
  },
});
