/** What an engine's answer may do to the runner's memory: nothing beyond a limit. */
import assert from "node:assert/strict";
import { events, HttpError, wholeText } from "./http.ts";

async function* pieces(text: string, size: number, times = 1): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let time = 0; time < times; time++) {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
}

Deno.test("events are read alike however they are cut", async () => {
  const text =
    'data: {"a":1}\n\n: a comment\n\ndata: {"b":"ä\\n\\n"}\ndata:\n\ndata: [DONE]\n\ndata: 7\n\n';
  for (let size = 1; size < 40; size++) {
    assert.deepEqual(await Array.fromAsync(events(pieces(text, size))), [{ a: 1 }, { b: "ä\n\n" }]);
  }
});

Deno.test("an event that never ends is an error, long before memory does", async () => {
  let sent = 0;
  const endless = async function* () {
    for (;; sent += 65_536) yield new Uint8Array(65_536).fill(0x61);
  };
  await assert.rejects(Array.fromAsync(events(endless())), HttpError);
  assert.ok(sent < 2 ** 22, String(sent));
  await assert.rejects(wholeText(endless()), HttpError);
});
