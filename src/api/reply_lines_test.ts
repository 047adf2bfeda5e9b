import assert from "node:assert/strict";
import { newProgress, statsOf, takeLine } from "./reply_lines.ts";

Deno.test("reply lines: an answer, its thoughts, calls, receipt and speed", () => {
  const progress = newProgress();
  const call = { function: { name: "f", arguments: {} } };
  for (
    const line of [
      { receipt: { status: 200, encryption: "sealed", isolation: "strict" } },
      { message: { thinking: "hm" } },
      { message: { content: "a" } },
      { message: { content: "b", tool_calls: [call, "x", null] } },
      {
        message: { content: "" },
        done: true,
        eval_count: 10,
        eval_duration: 2e9,
        prompt_eval_count: 3,
      },
      { saved: { id: "7" } },
    ]
  ) takeLine(progress, line);
  assert.deepEqual(
    [progress.content, progress.thinking, progress.toolCalls, progress.pieces, progress.saved],
    ["ab", "hm", [call], 3, "7"],
  );
  assert.deepEqual(statsOf(progress, 5), {
    tokens: 10,
    promptTokens: 3,
    perSecond: 5,
    ms: 5,
    receipt: { status: 200, encryption: "sealed", isolation: "strict" },
  });
});

Deno.test("reply lines: what is no line of ours changes nothing, and an error is told", () => {
  const progress = newProgress();
  for (
    const line of [{}, { message: null }, { message: 7 }, { error: 7 }, { message: { content: 1 } }]
  ) {
    takeLine(progress, line);
  }
  assert.deepEqual(progress, newProgress());
  takeLine(progress, { error: "no", code: "busy", hint: "wait" });
  takeLine(progress, { stopped: true });
  assert.deepEqual([progress.error, progress.stopped], [{ error: "no", hint: "wait" }, true]);
});
