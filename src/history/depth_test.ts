/** What is nested deeper than it may be is refused or left out, and stops nothing: it once left its program without an answer. */
import assert from "node:assert/strict";
import { makeHistoryRoutes } from "../proxy/history_routes.ts";
import { isTooDeep, MOST_DEEP } from "./depth.ts";
import { readImport } from "./import/formats.ts";
import { serviceOf, withPlace } from "./testing.ts";

/** An object of so many levels. */
const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
const inLists = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

Deno.test("history: a value of JSON is too deep from its first level too many on", () => {
  for (const make of [nested, inLists]) {
    assert.equal(isTooDeep(JSON.parse(make(MOST_DEEP + 1))), false);
    assert.equal(isTooDeep(JSON.parse(make(MOST_DEEP + 2))), true);
    assert.equal(isTooDeep(JSON.parse(make(100_000))), true);
  }
  for (const flat of [null, 1, "a", {}, [], [{}, [], [1]]]) assert.equal(isTooDeep(flat), false);
});

Deno.test("history over HTTP: settings and messages that are nested too deep are refused, by name", () =>
  withPlace(async (place) => {
    using history = place.open();
    const answer = makeHistoryRoutes(serviceOf(history), {} as never);
    const headers = { "content-type": "application/json" };
    const ask = (method: string, path: string, body: string) =>
      answer(new Request(`http://127.0.0.1/secllama/history${path}`, { method, headers, body }));
    const { id } = history.create({ title: "a" });
    const message = (field: string, value: string) =>
      `{"role": "user", "content": "x", "parent": null, "${field}": ${value}}`;
    for (const levels of [MOST_DEEP + 2, 3000, 10_000]) {
      const deep = nested(levels);
      for (
        const [method, path, body, field] of [
          ["POST", "", `{"settings": ${deep}}`, "settings"],
          ["PATCH", `/${id}`, `{"settings": ${deep}}`, "settings"],
          ["POST", `/${id}/messages`, message("stats", deep), "stats"],
          ["POST", `/${id}/messages`, message("tool_calls", inLists(levels)), "tool_calls"],
          ["POST", `/${id}/messages`, message("attachments", `[${deep}]`), "attachments"],
        ] as const
      ) {
        const wanted = { code: "bad-request", message: new RegExp(`${field} must be nested`) };
        await assert.rejects(ask(method, path, body), wanted, `${method} ${path} ${levels}`);
      }
    }
    assert.deepEqual([history.list().total, history.get(id).messages.length], [1, 0]);
    assert.equal((await ask("POST", "", `{"settings": ${nested(100)}}`)).status, 200);
  }));

Deno.test("import: what is nested too deep is left out, and the rest is taken up, in every format", () => {
  const deep = nested(5000);
  const call = (value: string) => `{"type": "tool_use", "name": "look", "input": ${value}}`;
  const claude = `[{"name": "a", "chat_messages": [{"sender": "assistant", "content":
    [${call(deep)}, ${call(nested(9))}, {"type": "text", "text": "said"}]}]}]`;
  const [one] = readImport(new TextEncoder().encode(claude)).conversations;
  assert.equal(one!.messages[0]!.message.content, "said");
  assert.equal(one!.messages[0]!.message.tool_calls!.length, 1);
  const ours = `{"format": "secllama-history", "version": 1, "conversations": [{"title": "b",
    "settings": ${deep}, "messages": [
      {"id": "1", "parent": null, "role": "user", "content": "x", "stats": ${deep}},
      {"id": "2", "parent": "1", "role": "user", "content": "y"}]}]}`;
  const [other] = readImport(new TextEncoder().encode(ours)).conversations;
  assert.deepEqual(other!.settings, {});
  assert.deepEqual(other!.messages.map(({ message }) => message.content), ["y"]);
});
