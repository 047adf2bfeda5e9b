import assert from "node:assert/strict";
import { testApi } from "../testing.ts";

const PATH = "/v1/embeddings";

Deno.test(`${PATH}: floats, and the same in base64`, async () => {
  const { post } = testApi();
  const ask = { model: "demo", input: ["ab", "c"] };
  const floats = await (await post(PATH, ask)).json();
  assert.equal(floats.object, "list");
  assert.deepEqual(floats.data.map((one: { index: number }) => one.index), [0, 1]);
  assert.deepEqual(floats.usage, { prompt_tokens: 5, total_tokens: 5 });
  const base64 = await (await post(PATH, { ...ask, encoding_format: "base64" })).json();
  for (const encoding_format of ["BASE64", "Base64"]) {
    assert.deepEqual(await (await post(PATH, { ...ask, encoding_format })).json(), base64);
  }
  const plain = await (await post(PATH, ask)).json();
  assert.deepEqual(await (await post(PATH, { ...ask, encoding_format: "" })).json(), plain);
  assert.equal((await post(PATH, { ...ask, encoding_format: "int8" })).status, 400);
  const bytes = Uint8Array.fromBase64(base64.data[0].embedding);
  assert.deepEqual([...new Float32Array(bytes.buffer)], floats.data[0].embedding);
});

Deno.test(`${PATH}: tokens, and arrays of tokens`, async () => {
  const { post } = testApi();
  const one = await (await post(PATH, { model: "demo", input: [1, 99] })).json();
  const text = await (await post(PATH, { model: "demo", input: "c" })).json();
  assert.deepEqual(one.data, text.data);
  const two = await (await post(PATH, { model: "demo", input: [[1, 99], [1, 97]] })).json();
  assert.equal(two.data.length, 2);
});

Deno.test(`${PATH}: a hundred megabytes of numbers are written in pieces`, async () => {
  const { post, engine } = testApi();
  const vector = Float32Array.from({ length: 4096 }, (_, at) => at / 7);
  engine.embed = () => Promise.resolve(vector);
  const ask = { model: "demo", input: Array(60).fill("a") };
  const response = await post(PATH, ask);
  const [longest, chunks, body] = await piecesOf(response);
  assert.ok(longest < 256 * 1024 && chunks > 30, `${longest} bytes in one of ${chunks}`);
  const { data } = JSON.parse(body);
  assert.equal(data.length, 60);
  assert.deepEqual(data[59].embedding, [...vector]);
});

async function piecesOf(response: Response): Promise<[number, number, string]> {
  let [longest, chunks, body] = [0, 0, ""];
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    longest = Math.max(longest, chunk.length);
    chunks++;
    body += chunk;
  }
  return [longest, chunks, body];
}

for (const input of ["", [], [""], [[]], [-1], [1.5], [[1], "a", 3], {}, 7, undefined]) {
  Deno.test(`${PATH}: input ${JSON.stringify(input)} is 400`, async () => {
    const response = await testApi().post(PATH, { model: "demo", input });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error.param, "input");
  });
}
