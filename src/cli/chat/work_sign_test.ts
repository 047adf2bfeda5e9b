import assert from "node:assert/strict";
import type { Tui } from "../tui.ts";
import type { Post } from "./ask.ts";
import { showWork } from "./work_sign.ts";

const row = { name: "big:latest", model: "big:latest", digest: "sha256:0", total: 2e9 };

/** What is shown while the gateway answers so, until it says that the model is loaded. */
async function shown(canReplace: boolean, answers: readonly object[]): Promise<string[]> {
  const lines: string[] = [];
  const keep = (line: string | undefined) => void (line !== undefined && lines.push(line));
  const tui = { canReplace, columns: () => 80, progress: keep, note: keep } as unknown as Tui;
  const asked: string[] = [];
  const over = Promise.withResolvers<void>();
  let next = 0;
  const post: Post = (path, body) => {
    asked.push(`${body === undefined ? "GET" : "POST"} ${path}`);
    if (next === answers.length) over.resolve();
    return Promise.resolve(Response.json(answers[next++] ?? { models: [{ name: "big:latest" }] }));
  };
  const stop = showWork(tui, "big", post, new AbortController().signal);
  await over.promise;
  stop();
  stop();
  assert.ok(asked.every((line) => line === "GET /api/ps"), `no content is asked with: ${asked}`);
  return lines;
}

Deno.test("work: a sign of work, and instead of it how far the model is, from what the gateway tells who waits", async () => {
  const lines = await shown(true, [
    { models: [] },
    { models: [], loading: [{ ...row, status: "waiting", completed: 0 }] },
    { models: [], loading: [{ ...row, status: "checking", completed: 1e9 }] },
    { models: [], loading: [{ ...row, status: "loading", completed: 5e8 }] },
    { models: [], loading: [{ ...row, status: "loading", completed: 2e9 }] },
  ]);
  assert.match(lines[0]!, /^[⠋-⠿]$/);
  const words = lines.filter((line) => line.length > 1);
  assert.equal(words[0], "big waits for room beside other models…");
  assert.match(words[1]!, /^checking big .* 50% /);
  assert.match(words[2]!, /^loading big into its sandbox .* 25% /);
  assert.equal(words.at(-1), "big is loaded, its sandbox is tried…");
});

Deno.test("work: what the gateway says wrongly, or of another model, is not shown", async () => {
  const lines = await shown(true, [
    { models: [], loading: [{ ...row, status: "loading", completed: 3e9 }] },
    { models: [], loading: [{ ...row, name: "other", status: "loading", completed: 1 }] },
    { loading: "x" },
  ]);
  assert.ok(lines.every((line) => line.length === 1), lines.join("\n"));
});
