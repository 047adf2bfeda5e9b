/** A firm's host, as its administrator and an auditor meet it: real processes, sandbox and model, and the commands of docs/firm.md. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { blocksOf, PageShell } from "../support/page_blocks.ts";
import { HANG_MS, until } from "../support/patience.ts";
import { chat, cli, newHome, ROOT, type Served, startServe } from "../support/serve.ts";

const KEY = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
/** By the digest of the file in the repository. */
const APPROVES_ALL_DEMO = JSON.stringify({
  version: 1,
  allow: [{
    names: ["demo"],
    digests: [
      `sha256:${
        createHash("sha256").update(await Deno.readFile(join(ROOT, "models/demo.gguf"))).digest(
          "hex",
        )
      }`,
    ],
  }],
});
const CANARY = "canary-5f1c2a";

Deno.test("firm: tokens, the record, an auditor, a log that cannot be written; no content anywhere", async (t) => {
  const { home, env: base } = await newHome();
  const data = join(home, "data");
  const env = {
    ...base,
    SECLLAMA_KEY: KEY,
    SECLLAMA_DATA_DIR: data,
    XDG_STATE_HOME: join(home, "state"),
  };
  await Deno.mkdir(data, { mode: 0o700 });
  const policyFile = join(home, "models.json");
  await Deno.writeTextFile(policyFile, APPROVES_ALL_DEMO);
  await Deno.writeTextFile(
    join(data, "config.toml"),
    `audit = "on"\nrequire_token = true\nmodel_policy = "${policyFile}"\n`,
  );
  const run = async (line: string, expected = 0) => {
    const [command, file] = line.split(" > ");
    const words = command!.replaceAll("'", "").split(" ").slice(1);
    const done = await cli(words, { env });
    assert.equal(done.code, expected, `${line}: ${done.stdout}${done.stderr}`);
    if (file !== undefined) await Deno.writeTextFile(join(home, file), done.stdout);
    return done.stdout;
  };
  const shell = await PageShell.open(home, env);
  const asPrinted = async (heading: string) => {
    for (const block of await blocksOf("docs/firm.md", heading)) await shell.run(block);
  };
  let served: Served | undefined;
  const today = () => new Date().toISOString().slice(0, 10);
  let limited = "";
  try {
    await t.step("the administrator makes tokens, as the page says", async () => {
      await asPrinted("Tokens for programs");
    });
    const token = (await run("secllama token create client --expires 1d")).trim();
    served = await startServe({ args: [], env });
    const { proxyUrl } = served;
    const ask = (headers: Record<string, string>, path = "/v1/chat/completions") =>
      fetch(proxyUrl + path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({
          model: "demo",
          messages: [{ role: "user", content: CANARY }],
          max_tokens: 4,
        }),
      });

    await t.step(
      "who shows a token is answered, nobody else; this user's own commands need none",
      async () => {
        const none = await ask({});
        assert.equal(none.status, 401);
        assert.equal((await none.json()).error.code, "invalid_api_key");
        assert.equal((await chat(proxyUrl, "hello")).status, 401);
        const places: [string, string][] = [["authorization", `Bearer ${token}`], [
          "x-api-key",
          token,
        ]];
        for (const [name, value] of places) {
          const answer = await ask({ [name]: value });
          assert.equal(answer.status, 200);
          assert.ok((await answer.json()).choices[0].message);
        }
        const { port } = new URL(proxyUrl);
        const ps = await cli(["ps", "--proxy-port", port], { env });
        assert.match(ps.stdout, /demo/, ps.stderr);
      },
    );

    await t.step(
      "a receipt: which request and reply it was, for who has the key alone",
      async () => {
        const body = JSON.stringify({
          model: "demo",
          messages: [{ role: "user", content: CANARY }],
          max_tokens: 4,
          stream: true,
        });
        const answer = await fetch(`${proxyUrl}/v1/chat/completions`, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "x-api-key": token,
            "secllama-receipt": "request",
          },
          body,
        });
        assert.equal(answer.status, 200);
        const id = answer.headers.get("secllama-receipt")!;
        const at = (name: string) => join(home, name);
        await Deno.writeTextFile(at("request.json"), body);
        await Deno.writeFile(at("reply.json"), new Uint8Array(await answer.arrayBuffer()));
        await Deno.writeTextFile(
          at("secret.txt"),
          answer.headers.get("secllama-receipt-secret")!,
        );
        const { port } = new URL(proxyUrl);
        await run(`secllama receipt get ${id} ${at("receipt.cose")} --proxy-port ${port}`);
        await run("secllama audit key > audit.pem");
        const files = `--request ${at("request.json")} --reply ${at("reply.json")}`;
        const verify = `secllama receipt verify ${at("receipt.cose")} --key ${at("audit.pem")} ` +
          `--secret ${at("secret.txt")} ${files}`;
        const said = await run(verify);
        assert.match(said, /the request is this one[^]*the reply is this one/);
        assert.match(said, /client=client\n[^]*model=demo:latest[^]*isolation=strict/);
        const python = new Deno.Command("/usr/bin/python3", {
          args: [
            join(ROOT, "scripts/receipt.py"),
            ...["audit.pem", "secret.txt", "request.json", "reply.json", "receipt.cose"].map(at),
          ],
        });
        assert.match(new TextDecoder().decode((await python.output()).stdout), /^holds /);
        await Deno.writeTextFile(at("reply.json"), "data: something else\n\n");
        assert.match(await run(verify, 9), /DOES NOT HOLD: the reply was another one/);
        await run(`secllama receipt get ${"0".repeat(32)} ${at("none")} --proxy-port ${port}`, 1);
        await Deno.remove(at("request.json"));
        // Who asks for none gets none.
        assert.equal((await ask({ "x-api-key": token })).headers.get("secllama-receipt"), null);
      },
    );

    await t.step(
      "a token that is taken back ends the answer under way; what was made of it is in the record",
      async () => {
        const leaver = (await run("secllama token create leaver")).trim();
        const answer = await fetch(`${proxyUrl}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json", "x-api-key": leaver },
          body: JSON.stringify({
            model: "demo",
            stream: true,
            messages: [{ role: "user", content: CANARY }],
            // So long that it does not end by itself while it is waited for.
            response_format: {
              type: "json_schema",
              json_schema: {
                name: "long",
                schema: { type: "array", minItems: 3_000, items: { const: 1 } },
              },
            },
          }),
        });
        assert.equal(answer.status, 200);
        const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
        const first = await reader.read();
        assert.match(first.value!, /^data: /);
        await run("secllama token revoke leaver");
        let said = "";
        const end = await (async () => {
          for (;;) {
            const { done, value } = await reader.read();
            if (done) return "whole";
            said = (said + value).slice(-200);
          }
        })().catch(() => "broken off");
        assert.ok(end === "broken off" || !said.includes("[DONE]"), `${end}: ${said}`);
        let line = "";
        await until(async () => {
          line = await run("secllama audit list --event exchange --last 1");
          return line.includes("client=leaver");
        }, "the leaver's exchange is in the record");
        assert.match(line, /tokens_out=[1-9]\d* .*result=token-refused/);
      },
    );

    await t.step(
      "while the log cannot be written nothing is answered, and then it goes on",
      async () => {
        // The host may be signing a head just now.
        const lock = new DatabaseSync(join(data, "audit.db"), { timeout: HANG_MS });
        lock.exec("BEGIN IMMEDIATE");
        try {
          // The reply's last frame waits for its line, which cannot be written.
          const broken = await ask({ "x-api-key": token });
          assert.equal(
            broken.ok && (await broken.json().catch(() => undefined)) !== undefined,
            false,
          );
          const refused = await ask({ "x-api-key": token });
          assert.equal(refused.status, 503);
          assert.equal((await refused.json()).code, "audit-failed");
        } finally {
          lock.exec("ROLLBACK");
          lock.close();
        }
        assert.equal((await ask({ "x-api-key": token })).status, 200);
      },
    );

    await t.step(
      "a role's limit: 429 in each dialect, with its headers, and a model that is not its own",
      async () => {
        await asPrinted("Roles and limits");
        limited = today();
        await run("secllama role set three --requests-day 3");
        await run("secllama role set nothing --models other*");
        const app = (await run("secllama token create app --role three")).trim();
        const none = (await run("secllama token create none --role nothing")).trim();
        const key = { "x-api-key": app };
        for (let left = 2; left >= 0; left--) {
          const answer = await ask(key);
          assert.equal(answer.status, 200);
          assert.equal(answer.headers.get("x-ratelimit-limit-requests"), "3");
          assert.equal(answer.headers.get("x-ratelimit-remaining-requests"), String(left));
          await answer.body?.cancel();
        }
        const dialects = [
          ["/v1/chat/completions", "requests", "x-ratelimit-reset-requests"],
          ["/v1/messages", "rate_limit_error", "anthropic-ratelimit-requests-reset"],
          ["/api/chat", undefined, "x-ratelimit-reset-requests"],
        ] as const;
        for (const [path, type, header] of dialects) {
          const over = await ask(key, path);
          assert.equal(over.status, 429, path);
          assert.ok(Number(over.headers.get("retry-after")) > 0);
          assert.ok(over.headers.get(header), `${path}: ${header}`);
          const body = await over.json();
          assert.equal(body.code, "rate-limited");
          assert.match(JSON.stringify(body), /limit of 3 requests a day is reached/);
          if (type !== undefined) assert.equal(body.error.type, type);
        }
        // Nobody else's.
        assert.equal((await ask({ "x-api-key": token })).status, 200);
        const other = await ask({ "x-api-key": none });
        assert.equal(other.status, 403);
        assert.equal((await other.json()).code, "role-refused");
        // A role that is gone lets nobody in.
        const cutOff = await run("secllama role remove nothing");
        assert.match(cutOff, /is gone\nrefused from now on: none; [^\n]*clients set "none" --role/);
        assert.doesNotMatch(cutOff, /now on: app/);
        assert.equal((await ask({ "x-api-key": none })).status, 403);
        assert.match(await run("secllama clients list"), /app .*0 of 3 requests left this day/);
        // A wrong token is recorded, and neither it nor its sender's right one.
        assert.equal((await ask({ "x-api-key": "slt_nobody" })).status, 401);
      },
    );

    await t.step(
      "a role's kinds of call, length of replies and hours, each dialect, at once",
      async () => {
        await run("secllama role set narrow --kinds chat --reply-tokens 3");
        const narrow = (await run("secllama token create narrow --role narrow")).trim();
        const key = { "x-api-key": narrow };
        const messages = [{ role: "user", content: CANARY }];
        const post = async (path: string, body: object) => {
          const answer = await fetch(proxyUrl + path, {
            method: "POST",
            headers: { "content-type": "application/json", ...key },
            body: JSON.stringify({ model: "demo", stream: false, ...body }),
          });
          return { status: answer.status, said: await answer.json() };
        };
        const chat = await post("/v1/chat/completions", { messages, max_tokens: 40 });
        assert.equal(chat.said.usage.completion_tokens, 3);
        assert.equal(chat.said.choices[0].finish_reason, "length");
        const ollama = await post("/api/chat", { messages });
        assert.deepEqual([ollama.said.eval_count, ollama.said.done_reason], [3, "length"]);
        const anthropic = await post("/v1/messages", { messages, max_tokens: 40 });
        assert.equal(anthropic.said.usage.output_tokens, 3);
        assert.equal(anthropic.said.stop_reason, "max_tokens");
        const responses = await post("/v1/responses", { input: CANARY });
        assert.equal(responses.said.usage.output_tokens, 3);
        assert.equal(responses.said.incomplete_details.reason, "max_output_tokens");
        for (
          const [path, body] of [
            ["/v1/embeddings", { input: CANARY }],
            ["/api/embed", { input: CANARY }],
            ["/api/generate", { prompt: CANARY }],
            ["/v1/completions", { prompt: CANARY }],
            ["/v1/rerank", { query: CANARY, documents: ["a"] }],
            ["/tokenize", { content: CANARY }],
          ] as const
        ) {
          const { status, said } = await post(path, body);
          assert.equal(status, 403, path);
          assert.match(JSON.stringify(said), /the role narrow does not let its clients ask for/);
        }
        assert.equal((await post("/v1/chat/completions/input_tokens", { messages })).status, 200);
        // A day that is neither today nor its neighbour.
        const day =
          ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][(new Date().getUTCDay() + 3) % 7];
        await run(`secllama role set narrow --hours ${day}`);
        const late = await post("/v1/messages", { messages, max_tokens: 4 });
        assert.equal(late.status, 403);
        assert.match(late.said.error.message, new RegExp(`may not ask at this time.*${day} .UTC`));
        await run("secllama role set narrow --hours 00:00-24:00");
        assert.equal((await post("/v1/messages", { messages, max_tokens: 4 })).status, 200);
        assert.match(await run("secllama role list"), /office .*500 tokens a reply, mon-fri 08:00/);
      },
    );

    await t.step("only approved models: by digest, by signature, and at once", async () => {
      const [listed] = JSON.parse(await run("secllama list --json")).models;
      const approve = (allow: unknown) =>
        Deno.writeTextFile(policyFile, JSON.stringify({ version: 1, allow }));
      const demo = { names: ["demo"], digests: [listed.digest] };
      await approve([{ names: ["demo"], digests: [`sha256:${"0".repeat(64)}`] }]);
      const refused = await ask({ "x-api-key": token });
      assert.equal(refused.status, 403);
      const body = await refused.json();
      assert.equal(body.code, "model-not-approved");
      assert.match(body.error.message, /demo:latest is not approved/);
      await approve([demo]);
      assert.equal((await ask({ "x-api-key": token })).status, 200);
      // Another file is not imported, until somebody whom the policy names has signed it.
      const file = join(home, "other.gguf");
      await Deno.copyFile(join(ROOT, "models/demo.gguf"), file);
      await run(`secllama import ${file} --name other`, 9);
      assert.doesNotMatch(await run("secllama list"), /other/);
      const openssl = async (line: string) => {
        const { code } = await new Deno.Command("/usr/bin/openssl", {
          args: line.split(" "),
          cwd: home,
          stderr: "null",
        }).output();
        assert.equal(code, 0, line);
      };
      await openssl("ecparam -genkey -name prime256v1 -noout -out signer.pem");
      await openssl("ec -in signer.pem -pubout -out signer.pub");
      await run(`secllama model sign ${file} --key ${join(home, "signer.pem")}`);
      await run(`secllama model verify ${file} --signer ${join(home, "signer.pub")}`);
      await run(`secllama import ${file} --name other --signature ${file}.sig`, 9);
      await approve([demo, { names: ["other"], signers: [join(home, "signer.pub")] }]);
      await run(`secllama import ${file} --name other --signature ${file}.sig`);
      await run(`secllama model verify other --signer ${join(home, "signer.pub")}`);
      await run("secllama cp other unnamed", 9);
      const bytes = await Deno.readFile(file);
      bytes[bytes.length - 1]! ^= 1;
      await Deno.writeFile(file, bytes);
      await run(`secllama model verify ${file} --signer ${join(home, "signer.pub")}`, 9);
    });

    await t.step("a token that is revoked lets nobody in, at once", async () => {
      await run("secllama token revoke client");
      const answer = await ask({ "x-api-key": token });
      assert.equal(answer.status, 401);
      await answer.body?.cancel();
    });

    await t.step("the record, as the page says: whole, exported, proven", async () => {
      for (const heading of ["The audit log", "What an auditor gets"]) {
        await asPrinted(heading);
      }
      const lines = (await run("secllama audit list --last 0 --json")).trim().split("\n")
        .map((line) => JSON.parse(line));
      const events = lines.map(({ event }) => event);
      assert.deepEqual(events.slice(0, 4), [
        "audit-begun",
        "token-created",
        "token-revoked",
        "token-created",
      ]);
      for (const event of ["serve-started", "model-loaded", "exchange"]) {
        assert.ok(events.includes(event), event);
      }
      const answered = lines.filter(({ event, result }) =>
        event === "exchange" && result === "answered"
      );
      assert.ok(answered.length >= 3);
      const replies = answered.filter(({ client }) => client !== "narrow"); // that one also counts
      assert.ok(replies.every(({ tokens_in, tokens_out }) => tokens_in > 0 && tokens_out > 0));
      assert.ok(answered.some(({ client, kind_of_client }) => client === "app" && kind_of_client));
      const refused = lines.filter(({ event }) => event === "client-refused");
      for (const code of ["rate-limited", "role-refused", "token-refused"]) {
        assert.ok(refused.some((line) => line.code === code), code);
      }
      assert.ok(
        lines.filter(({ event, code }) =>
          event === "model-refused" && code === "model-not-approved"
        ).length >= 3,
      );
      const names = lines.filter(({ event }) => event === "model-refused").map((line) =>
        line.model
      );
      assert.ok(names.every((name) => name.includes(":")), "by the full name, whoever asked");
      assert.ok(refused.some(({ code, client }) => code === "rate-limited" && client === "app"));
      const narrow = lines.filter(({ client }) => client === "narrow");
      assert.equal(narrow.filter(({ result }) => result === "role-refused").length, 6);
      assert.ok(
        narrow.some(({ event, code }) => event === "client-refused" && code === "role-refused"),
      );
      assert.ok(
        lines.some(({ event, kinds, reply_tokens }) =>
          event === "role-set" && kinds === "chat" && reply_tokens === 3
        ),
      );
      assert.equal(answered[0].isolation, "strict");
      assert.match(answered[0].digest, /^sha256:[0-9a-f]{64}$/);
    });

    await t.step("an edited copy is found, by the auditor too", async () => {
      const file = join(home, "edited.jsonl");
      const text = await Deno.readTextFile(join(home, "audit.jsonl"));
      await Deno.writeTextFile(file, text.replace("token-revoked", "token-created"));
      const said = await run("secllama audit verify edited.jsonl --key audit.pem", 9);
      assert.match(said, /NOT WHOLE[^]*line/);
    });

    await served.stop();
    await t.step("what was used is there when it starts again", async () => {
      const left = today() === limited ? 0 : 3; // midnight has passed
      assert.match(
        await run("secllama clients list"),
        new RegExp(`app .*${left} of 3 requests left this day`),
      );
    });

    await t.step("neither a prompt nor a token is in any file or line", async () => {
      const seen: string[] = [served!.stderr()];
      const walk = async (folder: string) => {
        for await (const entry of Deno.readDir(folder)) {
          const path = join(folder, entry.name);
          if (entry.isDirectory) await walk(path);
          else if (entry.isFile) {
            seen.push(new TextDecoder("latin1").decode(await Deno.readFile(path)));
          }
        }
      };
      await walk(home);
      assert.ok(seen.length > 5);
      for (const text of seen) {
        assert.equal(text.includes(CANARY), false);
        assert.equal(text.includes(token), false);
      }
    });

    await t.step("retention, as the page says", async () => {
      await asPrinted("Retention");
      const year = new Date().getUTCFullYear() + 1;
      await run(`secllama audit prune --before ${year}-01-01`, 2);
      assert.doesNotMatch(await run("secllama audit verify"), /taken away/);
      assert.match(await run("secllama audit list --event exchange"), /exchange/, "control");
      await run("secllama audit list --event exchanges", 2);
      await run("secllama audit prune --before 0s");
      assert.match(
        await run("secllama audit verify"),
        /whole[^]*texts of \d+ lines were taken away/,
      );
    });
  } finally {
    await served?.stop().catch(() => {});
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("firm: a record needs a key that lasts", async () => {
  const { home, env } = await newHome();
  try {
    const done = await cli(["serve", "--ephemeral", "--port=0", "--proxy-port=0", "--no-preload"], {
      env: { ...env, SECLLAMA_AUDIT: "on" },
    });
    assert.equal(done.code, 2, done.stderr);
    assert.match(done.stderr, /needs a key that outlives this process/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
