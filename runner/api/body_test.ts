import assert from "node:assert/strict";
import { INFERENCE_BYTES } from "../../src/api/routes.ts";
import { runAtOnce } from "../../src/budget.ts";
import { Turns } from "../turns.ts";
import { checkShape, JSON_LIMITS, readJsonObject } from "./body.ts";

const SECRET = "the-secret-plan";

const turns = new Turns();
const readRequest = (request: Request) => readJsonObject(request, turns, { client: "a" });
const read = (body: string | Uint8Array<ArrayBuffer> | ReadableStream) =>
  readRequest(new Request("http://x/", { method: "POST", body }));

Deno.test("body: an object is read", async () => {
  assert.equal((await read('{"a":"b"}')).string("a"), "b");
});

for (
  const [name, body] of [
    ["not JSON", `{"a": ${SECRET}}`],
    ["half of it", `{"a": "${SECRET}`],
    ["a trailing comma", `{"a": "${SECRET}",}`],
    ["an array", `["${SECRET}"]`],
    ["a string", `"${SECRET}"`],
    ["null", "null"],
    ["two values", `{"a":"${SECRET}"}{}`],
    ["a NUL", `{"a":"${SECRET}\0"}`],
    [
      "broken UTF-8",
      new Uint8Array([...new TextEncoder().encode(`{"a":"${SECRET}`), 0xff, 0x22, 0x7d]),
    ],
    ["an overlong encoding", new Uint8Array([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d])],
    ["UTF-16", new Uint8Array([0xff, 0xfe, 0x7b, 0, 0x7d, 0])],
  ] as const
) {
  Deno.test(`body: ${name} is 400 and quotes nothing`, async () => {
    await assert.rejects(read(body), (error: Error & { code: string }) => {
      assert.equal(error.code, "bad-request");
      assert.ok(!error.message.includes("secret"), error.message);
      return true;
    });
  });
}

Deno.test("body: an empty one is 400 in Ollama's words", async () => {
  const empty = new Request("http://x/", { method: "POST" });
  await assert.rejects(readRequest(empty), { message: "missing request body" });
  await assert.rejects(read(""), { message: "missing request body" });
});

Deno.test("body: half a surrogate pair in a string becomes U+FFFD", async () => {
  const fields = await read(String.raw`{"a":"x\ud800y\udc00z"}`);
  assert.equal(fields.string("a"), "x\ufffdy\ufffdz");
});

Deno.test("body: the limit ends reading, it does not wait for the end", async () => {
  let pulled = 0;
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 1024 * 1024;
      controller.enqueue(new Uint8Array(1024 * 1024).fill(0x20));
    },
    cancel() {
      cancelled = true;
    },
  });
  await assert.rejects(read(endless), { code: "too-large" });
  assert.ok(pulled <= INFERENCE_BYTES + 4 * 1024 * 1024);
  assert.ok(cancelled);
});

Deno.test("body: deep JSON is refused before it is parsed", async () => {
  const nested = (depth: number) => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  await read(nested(JSON_LIMITS.depth - 1));
  await assert.rejects(read(nested(JSON_LIMITS.depth)), { code: "bad-request", message: /nest/ });
  await assert.rejects(read(`{"a":${"[".repeat(8_000_000)}`), { message: /nest/ });
});

for (
  const [name, filling, most, message] of [
    ["arrays", "[]", JSON_LIMITS.containers, /arrays and objects/],
    ["numbers", "1", JSON_LIMITS.values, /elements and members/],
    // Each needs an object of its own here, or the names would have to differ.
    [
      "members",
      '{"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}',
      JSON_LIMITS.members / 8,
      /members of objects/,
    ],
  ] as const
) {
  Deno.test(`body: more ${name} than anybody needs are refused, as many as that are not`, async () => {
    const list = (count: number) => `{"a":[${Array(count).fill(filling).join()}]}`;
    await read(list(most - 10));
    await assert.rejects(read(list(most + 10)), { code: "bad-request", message });
  });
}

Deno.test("body: white space without end is refused", async () => {
  const body = `{"a":${" ".repeat(JSON_LIMITS.bytesBesideStrings)}1}`;
  await assert.rejects(read(body), { code: "bad-request", message: /beside its strings/ });
});

for (
  const [name, body] of [
    ["white space", " ".repeat(1_000_000)],
    ["backslashes", `"${"\\".repeat(500_000)}"`],
    ["escaped quotes", `"${'\\"'.repeat(500_000)}"`],
    ["empty strings", '"",'.repeat(300_000)],
  ] as const
) {
  Deno.test(`body: looking at ${name} yields`, () => {
    const work = checkShape(new TextEncoder().encode(body), JSON_LIMITS);
    let yields = 0;
    while (!work.next().done) yields++;
    assert.ok(yields > 50, `${yields}`);
  });
}

Deno.test("body: brackets in strings are no nesting", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const check = (text: string, depth: number) =>
    runAtOnce(checkShape(bytes(text), { ...JSON_LIMITS, depth }));
  check(`{"a":"${"[".repeat(500)}"}`, 10);
  check(String.raw`{"a":"\"[[[[","b":[[1]]}`, 3);
  assert.throws(() => check(String.raw`{"a":"\\","b":[[[1]]]}`, 3), { message: /nest/ });
  check(`{"a":"never ends [[[[[[`, 3);
});
