/** llama-server's `return_progress` and `timings_per_token`, in every stream of OpenAI's API. */
import assert from "node:assert/strict";
import { testApi } from "../testing.ts";

const ASKED = {
  "/v1/chat/completions": { messages: [{ role: "user", content: "Hi you" }] },
  "/v1/completions": { prompt: "Hi you there" },
  "/v1/responses": { input: "Hi you" },
} as const;

// deno-lint-ignore no-explicit-any
async function stream(path: string, body: Record<string, unknown>): Promise<any[]> {
  const { post } = testApi();
  const text = await (await post(path, { model: "demo", stream: true, ...body })).text();
  return [...text.matchAll(/^data: (\{.*)$/gm)].map((match) => JSON.parse(match[1]!));
}

for (const [path, asked] of Object.entries(ASKED)) {
  Deno.test(`${path}: a stream tells of its prompt and of each piece's cost where it is asked to`, async () => {
    const plain = await stream(path, asked);
    assert.ok(plain.every((event) => !("prompt_progress" in event)));
    const told = await stream(path, { ...asked, return_progress: true, timings_per_token: true });
    const progress = told.flatMap((event) => event.prompt_progress ?? []);
    assert.equal(progress.length, 2);
    assert.ok(progress.every(({ total, cache, processed }) => cache === 2 && processed <= total));
    assert.equal(progress[1].processed, progress[1].total);
    const isPiece = (
      event: { type?: string; choices?: { text?: string; delta?: { content?: string } }[] },
    ) =>
      event.type === undefined
        ? Boolean(event.choices?.[0]?.text || event.choices?.[0]?.delta?.content)
        : event.type.endsWith(".delta");
    const pieces = told.filter(isPiece);
    assert.deepEqual(pieces.map(({ timings }) => timings.predicted_n), [1, 2]);
    for (const { timings } of pieces) {
      assert.equal(timings.cache_n, 2);
      assert.ok(timings.prompt_per_second > 0 && timings.predicted_per_second > 0);
    }
    assert.equal(told.filter((event) => "timings" in event).at(-1).timings.predicted_n, 2);
    // Nothing else differs.
    assert.equal(told.length, plain.length + 2);
  });
}

Deno.test("/v1/responses: whoever asks for no timings gets events as OpenAI sends them", async () => {
  for (const event of await stream("/v1/responses", { input: "Hi", return_progress: true })) {
    assert.ok(!("timings" in event));
    if ("prompt_progress" in event) assert.equal(event.type, "response.in_progress");
  }
});
