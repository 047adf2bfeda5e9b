import assert from "node:assert/strict";
import { testApi } from "./testing.ts";
import { joinTexts } from "./text_parts.ts";

Deno.test("text parts: each begins a line, in every dialect", async () => {
  assert.equal(joinTexts([]), "");
  assert.equal(joinTexts(["a", "b\n", "", "c"]), "a\nb\n\n\nc");
  const { post, engine } = testApi();
  const parts = (type: string) => [{ type, text: "a" }, { type, text: "b" }];
  const requests: [path: string, body: Record<string, unknown>][] = [
    ["/v1/chat/completions", { messages: [{ role: "user", content: parts("text") }] }],
    ["/v1/responses", { input: [{ role: "user", content: parts("input_text") }] }],
    ["/v1/messages", {
      max_tokens: 5,
      system: parts("text"),
      messages: [{ role: "user", content: parts("text") }],
    }],
  ];
  for (const [path, body] of requests) {
    const response = await post(path, { model: "demo", ...body });
    assert.equal(response.status, 200, path);
    for (const { content } of engine.chats.at(-1)!.messages) assert.equal(content, "a\nb", path);
  }
});
