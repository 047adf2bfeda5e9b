import assert from "node:assert/strict";
import { columnsOf, columnsOfText, padColumns } from "./columns.ts";
import { printTable } from "./models/print.ts";

/** By Python's copy of Unicode: "n" for each character that it knows, w for wide, 0 for those that take no place. */
async function pythonsWidths(): Promise<string> {
  const program = `
import sys, unicodedata as u
def of(c):
    category = u.category(c)
    if category in ("Cn", "Cs", "Co", "Cc"): return "?"
    if category in ("Mn", "Me", "Cf"): return "0"
    return "w" if u.east_asian_width(c) in "WF" else "n"
sys.stdout.write("".join(of(chr(i)) for i in range(0x110000)))`;
  const { stdout, success } = await new Deno.Command("/usr/bin/python3", {
    args: ["-c", program],
    stderr: "inherit",
  }).output();
  assert.ok(success);
  return new TextDecoder().decode(stdout);
}

/** Yijing hexagrams and counting rods, wide since Unicode 16; and what Deno's newer Unicode made a mark of since. */
const LATER = (char: string) => /[\u4dc0-\u4dff\u{1d300}-\u{1d37f}\p{M}\p{Cf}]/u.test(char);

Deno.test("columns: as Unicode has them, for every character that Python knows", async () => {
  const widths = await pythonsWidths();
  assert.equal(widths.length, 0x110000);
  const wrong: string[] = [];
  let seen = 0;
  for (let code = 0; code < widths.length; code++) {
    if (widths[code] === "?") continue;
    const char = String.fromCodePoint(code);
    if (LATER(char)) continue;
    seen++;
    const want = widths[code] === "w" ? 2 : widths[code] === "n" ? 1 : 0;
    if (columnsOf(char) !== want) wrong.push(`U+${code.toString(16)} ${columnsOf(char)} ${want}`);
  }
  assert.ok(seen > 100_000, `only ${seen} were compared`);
  assert.deepEqual(wrong, []);
});

Deno.test("tables: no line is wider than the terminal, nothing is lost; in a pipe a row is a line", () => {
  const head = ["NAME", "ID", "SIZE", "MODEL", "MODIFIED", "WHERE"];
  const rows = [
    ["demo:latest", "91defb40fff9", "3.1 MB", "1.2M Q8_0", "3 days ago", "ours"],
    ["日本語:latest", "0123456789ab", "12.5 GB", "damaged: it is cut", "a minute ago", "ollama"],
  ];
  const words = (lines: readonly string[]) => lines.join(" ").split(/\s+/).sort();
  const all = words(rows.flat());
  const shown = (columns: number, isTerminal = true) => {
    const lines: string[] = [];
    printTable({ out: (l) => lines.push(l), isTerminal, columns: () => columns }, head, rows);
    return lines;
  };
  const piped = shown(20, false);
  assert.equal(piped.length, 3);
  assert.deepEqual(shown(200), piped);
  for (let columns = 18; columns < 120; columns++) {
    const lines = shown(columns);
    const widest = Math.max(...lines.map(columnsOfText));
    assert.ok(widest <= columns, `${columns}: ${lines.join("\n")}`);
    const seen = words(lines.map((line) => line.replace(/^ +[A-Z]+: /, "")));
    for (const word of all) assert.ok(seen.includes(word), `${columns}: ${word}`);
  }
  // One that is wider than the terminal can be copied as it is.
  const name = "registry.example/me/a-long-name:latest";
  const lines: string[] = [];
  const narrow = { out: (l: string) => lines.push(l), isTerminal: true, columns: () => 20 };
  printTable(narrow, ["NAME", "ID"], [[name, "0123"]]);
  assert.ok(lines.includes(name), lines.join("\n"));
});

Deno.test("columns: text, padded, and in a table", () => {
  assert.equal(columnsOfText("日本 e\u0301"), 6);
  assert.equal(columnsOfText("🇫🇷"), 2);
  assert.equal(padColumns("日本", 6), "日本  ");
  assert.equal(padColumns("too long", 3), "too long");
  const lines: string[] = [];
  const rows = [["日本語", "1"], ["abc", "2"], ["e\u0301", "3"]];
  printTable({ out: (line) => lines.push(line) }, ["NAME", "N"], rows);
  const starts = lines.map((line) => columnsOfText(line.slice(0, line.search(/[N123]$/))));
  assert.deepEqual(starts, [8, 8, 8, 8]);
});
