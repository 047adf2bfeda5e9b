import assert from "node:assert/strict";
import { addToList } from "./edit.ts";

Deno.test("config edit: one list grows, and nothing else changes", () => {
  const rows: [string, string][] = [
    ["", 'registries = ["a.example"]\n'],
    ["port = 1 # mine\n", 'registries = ["a.example"]\nport = 1 # mine\n'],
    ['registries = ["x"]\nport = 1\n', 'registries = ["x", "a.example"]\nport = 1\n'],
    ['port = 1\n registries="x, y"', 'port = 1\nregistries = ["x", "y", "a.example"]'],
    ['registries = "" # none', 'registries = ["a.example"]'],
  ];
  for (const [before, after] of rows) {
    assert.equal(addToList(before, "registries", "a.example"), after);
  }
});

Deno.test("config edit: what it does not understand is left to the user", () => {
  for (
    const text of [
      'registries = [\n  "x",\n]\n',
      "registries = '''\nx'''\n",
      '"registries" = ["x"]\n',
      "= 1",
      'log_level = """\nregistries = 1\n"""\nregistries = ["x"]\n',
    ]
  ) {
    assert.throws(() => addToList(text, "registries", "a.example"), { code: "bad-config" }, text);
  }
});
