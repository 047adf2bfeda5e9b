/** The Python client of examples/python: the published vectors, and a live exchange with a runner in this process. */
import assert from "node:assert/strict";
import { utf8, utf8Decode } from "../src/bytes.ts";
import { encodePairing } from "../src/client/pairing.ts";
import { serve } from "../src/client/testing.ts";
import { findPython } from "./support/python.ts";

const FOLDER = new URL("../examples/python/", import.meta.url);

const python = await findPython();

async function run(script: string, args: string[], input = "") {
  const child = new Deno.Command(python!, {
    args: ["-B", script, ...args],
    cwd: FOLDER,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(utf8(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, out: utf8Decode(stdout), errors: utf8Decode(stderr) };
}

Deno.test({
  name: "the Python client passes the vectors of suite 1",
  ignore: python === undefined,
  async fn() {
    const { code, out, errors } = await run("vectors_test.py", []);
    assert.equal(code, 0, errors);
    const summary = /^(\d+) vectors passed, (\d+) skipped$/m.exec(out);
    assert.ok(Number(summary?.[1]) >= 30, out);
    assert.match(out, /^SKIPPED suite 2/m);
    console.log(summary![0]);
  },
});

Deno.test({
  name: "the Python client streams a sealed answer, and finds out a reply that was cut",
  ignore: python === undefined,
  async fn() {
    await using server = await serve();
    server.answer = () => ({
      body: ["Hello", ", ", "world"].map((response) => utf8(JSON.stringify({ response }) + "\n")),
    });
    const credentials = { url: server.gateway, ...server.credentials };
    const pairing = encodePairing(credentials);
    const args = ["demo", "What is network isolation?"];
    const good = await run("secllama_client.py", args, pairing);
    assert.equal(good.code, 0, good.errors);
    assert.equal(good.out.trimEnd(), "Hello, world");
    const { request, body } = server.opened[0]!;
    assert.equal(request.path, "/api/generate");
    assert.deepEqual(JSON.parse(utf8Decode(body)), { model: "demo", prompt: args[1] });
    server.tamper = (bytes, index) => index === 2 ? undefined : bytes;
    const cut = await run("secllama_client.py", args, pairing);
    assert.notEqual(cut.code, 0);
    assert.match(cut.errors, /SealedError: truncated/);
    server.tamper = (bytes) => bytes;
    const stranger = encodePairing({ ...credentials, psk: new Uint8Array(32) });
    const refused = await run("secllama_client.py", args, stranger);
    assert.match(refused.errors, /SealedError: auth/);
    const mangled = await run("secllama_client.py", args, pairing.slice(0, -1));
    assert.match(mangled.errors, /SealedError: bad-pairing/);
  },
});
