import assert from "node:assert/strict";
import { closest } from "./suggest.ts";

Deno.test("suggest: a letter missing, put in, changed or swapped is found; another word is not", () => {
  const words = ["serve", "proxy", "run", "list", "doctor", "key", "pull"];
  for (
    const [typed, meant] of [
      ["sevre", "serve"],
      ["sere", "serve"],
      ["servee", "serve"],
      ["porxy", "proxy"],
      ["rnu", "run"],
      ["LIST", "list"],
      ["docter", "doctor"],
      ["kye", "key"],
    ] as const
  ) assert.equal(closest(typed, words), meant, typed);
  for (const typed of ["", "chat", "zzzzzz", "r", "x".repeat(10_000)]) {
    assert.equal(closest(typed, words), undefined, typed.slice(0, 10));
  }
});
