import assert from "node:assert/strict";
import { SecLlamaError } from "../../errors.ts";
import { readUpTo } from "../../read_up_to.ts";
import { printTable } from "../models/print.ts";
import { fileProblem } from "./file_problem.ts";

Deno.test("docs: a file whose name is not in UTF-8, as Deno reads it from its folder, is said to be that", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const make = `printf x > "$1/bad$(printf '\\377').txt"`;
    const args = ["-c", make, "sh", folder];
    const { code } = await new Deno.Command("/bin/sh", { args, env: { LC_ALL: "C" } }).output();
    assert.equal(code, 0);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assert.equal(names.length, 1);
    const error = await readUpTo(`${folder}/${names[0]}`, 10).then(() => undefined, fileProblem);
    assert.ok(error instanceof SecLlamaError);
    assert.match(error.message, /its name is not in UTF-8/);
    assert.equal(fileProblem(folder), folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tables: a name with lines, tabs, escapes or marks of direction is one row, of what it looks like", () => {
  const lines: string[] = [];
  const names = ["a\nffffffff  forged.pdf", "\tb", "\x1b[2Jc", "\u202ed", "e\r\nf"];
  printTable({ out: (line) => lines.push(line) }, ["NAME"], names.map((name) => [name]));
  assert.deepEqual(lines, ["NAME", "a ffffffff  forged.pdf", " b", "?[2Jc", "?d", "e? f"]);
});
