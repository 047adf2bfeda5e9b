import assert from "node:assert/strict";
import { Silence, SILENT_NODE_MS } from "./silence.ts";

Deno.test("NATS: a node is given up when nothing at all was answered for a while", () => {
  const at = 1_000_000;
  const long = SILENT_NODE_MS + 2_000;
  // One question that waited so long is enough,
  assert.ok(new Silence().unanswered(at, at + long));
  // and so are short ones, one after the other.
  const short = new Silence();
  assert.ok(!short.unanswered(at, at + 5_000));
  assert.ok(short.unanswered(at + 5_000, at + SILENT_NODE_MS));
  // Not if another one was answered meanwhile, though this one waited long.
  const beside = new Silence();
  beside.answered(at + long - 1_000);
  assert.ok(!beside.unanswered(at, at + long));
  // What was answered before it was asked says nothing.
  const before = new Silence();
  before.answered(at - 1);
  assert.ok(before.unanswered(at, at + long));
  // An answer begins it anew.
  const again = new Silence();
  assert.ok(!again.unanswered(at, at + 5_000));
  again.answered(at + 6_000);
  assert.ok(!again.unanswered(at + 5_500, at + 10_500));
  assert.ok(again.unanswered(at + 9_000, at + 6_000 + SILENT_NODE_MS));
});
