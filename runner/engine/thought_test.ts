import assert from "node:assert/strict";
import { collect, modelTest, request, withEngine } from "./testing.ts";
import { ThoughtGuard } from "./thought.ts";
import { DEFAULT_SAMPLING } from "./types.ts";

Deno.test("thought: ended once it is too long, and only while it lasts", () => {
  const closeTokens = Int32Array.of(7, 8);
  const limit = { close: "</t>", closeTokens, most: 3 };
  const guard = new ThoughtGuard({ ...limit, open: "<t>" });
  for (const text of ["\n", "<", "t>"]) {
    assert.equal(guard.due(9), undefined, "not begun");
    guard.see(text, false);
  }
  assert.equal(guard.due(2), undefined);
  assert.equal(guard.due(3), 7);
  guard.see("</", true);
  assert.equal(guard.due(4), 8);
  guard.see("x", false);
  assert.equal(guard.due(5), 7, "from its start, since the second was refused");
  guard.see("</", true);
  guard.see("t>", true);
  assert.equal(guard.due(9), undefined);

  const closed = new ThoughtGuard(limit);
  for (const text of ["so", "</", "t", "> a"]) closed.see(text, false);
  assert.equal(closed.due(9), undefined, "ended by itself");

  const text = new ThoughtGuard({ ...limit, open: "<t>" });
  text.see("Hello <t>", false);
  assert.equal(text.due(9), undefined, "no thought, for it does not begin the reply");
});

modelTest(
  "engine: a thought that never ends is ended, and the grammar goes on behind it",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const close = "</think>";
      const closeTokens = engine.tokenize(close, { special: true });
      const most = 20;
      const grammar = `root ::= [^<{}\\x00]+ "${close}" "{" [0-9]{3} "}"`;
      for (const seed of [1, 2, 3]) {
        const sampling = { ...DEFAULT_SAMPLING, temperature: 1.5, topK: 0, topP: 1, seed };
        const of = request("Once", { maxTokens: 120, grammar, sampling });
        const free = await collect(engine, of);
        const { text, tokens, done } = await collect(engine, {
          ...of,
          thought: { close, closeTokens, most },
        });
        assert.match(text, /<\/think>\{[0-9]{3}\}$/);
        assert.equal(done.reason, "stop");
        const end = tokens.findIndex((_, at) =>
          tokens.slice(0, at + 1).map((token) => token.text).join("").includes(close)
        );
        // Where bytes of a character are missing the grammar has them come first.
        assert.ok(end <= most + closeTokens.length + 4, `ended at ${end}`);
        assert.ok(free.tokens.length >= 1);
      }
      // Without a grammar, too.
      const { text } = await collect(
        engine,
        request("Once", { maxTokens: 60, thought: { close, closeTokens, most } }),
      );
      assert.ok(text.includes(close), text);
    }),
);
