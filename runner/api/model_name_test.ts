import assert from "node:assert/strict";
import { isSameModel } from "./model_name.ts";

for (
  const [a, b, same] of [
    ["demo", "demo:latest", true],
    ["library/demo", "demo:latest", true],
    ["registry.ollama.ai/library/demo:latest", "demo", true],
    ["Demo", "demo", true],
    ["me/demo", "demo", false],
    ["demo:q4", "demo:latest", false],
    ["localhost:5000/me/demo", "localhost:5000/me/demo:latest", true],
  ] as const
) {
  Deno.test(`model name: ${a} and ${b} are ${same ? "" : "not "}the same`, () => {
    assert.equal(isSameModel(a, b), same);
  });
}
