/**
 * Whatever a client sends, the runner's JavaScript thread works on it in pieces: a pong, a token and another client's request wait
 * for one piece at most. Bodies of every kind, by generation; thousands of them, and large ones, with SECLLAMA_FULL=1. In the
 * processor time of that thread, which other programs do not take.
 */
import assert from "node:assert/strict";
import { processorMs } from "../../tests/support/patience.ts";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { demoTest, withEngine } from "../engine/testing.ts";
import { longestPiece } from "../testing_pieces.ts";
import { makeApi } from "./mod.ts";
import { drawBody } from "./testing_bodies.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const BODIES = FULL ? 1500 : 20;
const MOST_UNITS = FULL ? 3_000_000 : 20_000;
/** What the longest piece came to before they were split: 0.5 to 3 s. What is left are some tens of ms. */
const MOST_MS = 250;

Deno.test("pieces: one that is made long is seen", async () => {
  const long = await longestPiece(async () => {
    await Promise.resolve();
    for (const end = processorMs() + 100; processorMs() < end;);
  });
  assert.ok(long > 50, `${long} ms`);
});

demoTest(
  "pieces: bodies of every kind, as a client may send them, are worked on in pieces",
  (modelPath) =>
    withEngine({ modelPath, contextLength: 1024, slots: 2 }, async (engine) => {
      const api = makeApi({
        engine,
        model: "demo:latest",
        version: "0.1.0",
        onKeepAlive: () => {},
      });
      const found: string[] = [];
      for (const seed of seeds(BODIES)) {
        const { name, path, body } = drawBody(seeded(seed), MOST_UNITS);
        let status = 0;
        const ms = await longestPiece(async () => {
          const request = new Request(`http://runner${path}`, { method: "POST", body });
          const response = await api.fetch(request, { client: "a" });
          status = response.status;
          await response.bytes();
        });
        if (ms > MOST_MS || status >= 500) found.push(`seed ${seed}: ${ms} ms, ${status}: ${name}`);
      }
      assert.deepEqual(found, []);
    }),
);
