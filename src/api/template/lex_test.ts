/** What reading a template costs. What it reads is held against Go's own reader in tests/go_templates/. */
import assert from "node:assert/strict";
import { inProportion } from "../../../tests/support/patience.ts";
import { lex } from "./lex.ts";

Deno.test("template: space before a trim goes, and a run of it elsewhere costs time in proportion", async () => {
  const texts = (source: string) =>
    lex(source).flatMap(({ kind, text }) => kind === "text" ? [text] : []);
  assert.deepEqual(texts("a \t\r\n{{- 1 -}}\n b {{ 2 }}"), ["a", "b "]);
  assert.deepEqual(texts(" \n{{- 1 }} "), [" "]);
  const long = `${" ".repeat(250_000)}x`;
  await inProportion("250,000 spaces", () => assert.deepEqual(texts(`${long}{{- 1 }}`), [long]));
});
