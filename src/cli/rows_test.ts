/** Lists and the doctor's report on terminals of every width: no line too wide, nothing lost, and in a pipe as they were. */
import assert from "node:assert/strict";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { columnsOfText, padColumns } from "./columns.ts";
import { type Check, reportLines } from "./doctor.ts";
import { listColumns, rowLines } from "./rows.ts";

const words = (text: string) => text.split(/\s+/).filter((word) => word !== "").sort();

/** Of each line wider than `columns`: it is one word, which nobody could copy if it were cut. */
function fits(lines: readonly string[], columns: number): void {
  for (const line of lines) {
    if (columnsOfText(line) > columns) assert.doesNotMatch(line.trim(), / /, `${columns}: ${line}`);
    assert.equal(line, line.trimEnd());
  }
}

Deno.test("lists: a row is one line where it fits, else broken between its facts", () => {
  const row = [padColumns("laptop", 20), "01234567", "", "role staff", "paired 2026-11-30"];
  assert.deepEqual(rowLines(row, Infinity), [
    "laptop                01234567  role staff  paired 2026-11-30",
  ]);
  assert.deepEqual(rowLines(row, 61), rowLines(row, Infinity));
  assert.deepEqual(rowLines(row, 40), [
    "laptop                01234567",
    "  role staff  paired 2026-11-30",
  ]);
  assert.deepEqual(rowLines(row, 20), [
    "laptop",
    "  01234567",
    "  role staff",
    "  paired 2026-11-30",
  ]);
  assert.equal(listColumns({ isTerminal: false, columns: () => 20 }), Infinity);
  assert.equal(listColumns({ isTerminal: true, columns: () => 20 }), 20);
});

Deno.test("lists: whatever the facts are, no line is too wide and no word is lost", () => {
  for (const seed of seeds(300)) {
    const chance = seeded(seed);
    const pick = (most: number) => Math.floor(chance() * (most + 1));
    const word = () => ["a", "日本語", "key", "x".repeat(pick(30) + 1), "2026-11-30"][pick(4)]!;
    const row = Array.from(
      { length: pick(6) + 1 },
      () => Array.from({ length: pick(5) }, word).join(" "),
    );
    const columns = 12 + pick(60);
    const lines = rowLines(row, columns);
    fits(lines, columns);
    assert.deepEqual(words(lines.join(" ")), words(row.join(" ")), `seed ${seed}`);
  }
});

Deno.test("doctor: its report on a narrow terminal says all that it says in a pipe", () => {
  const attack = (name: string, observed: string, stoppedBy: string): Check => ({
    name: `attack: ${name}`,
    result: "holds",
    expected: "refused",
    observed,
    stoppedBy,
  });
  const checks: Check[] = [
    { name: "serve", result: "note", observed: "none runs from /home/anna/.local/share/secllama" },
    attack("TCP over IPv4", "socket: EACCES", "seccomp"),
    attack("read ~/.ssh (a secret file)", "open …/secret: ENOENT", "private root"),
    {
      name: "key store",
      result: "fails",
      observed: "it is locked",
      hint: "unlock it, then run again",
    },
  ];
  const limits = [{
    ...attack("fork bomb", "GOT OUT, it grew", "nothing: no cgroup"),
    limit: true,
  }];
  const report = { checks, limits, verdict: "fails" as const, version: "1", serves: [] };
  const piped = reportLines(report);
  assert.ok(
    piped.includes(
      "holds    attack: TCP over IPv4                refused   socket: EACCES         seccomp",
    ),
    piped.join("\n"),
  );
  assert.deepEqual(reportLines(report, 200), piped);
  const plain = (lines: readonly string[]) =>
    words(lines.join(" ").replace(/\b(?:attack|expected|observed|stopped by):? /g, ""));
  for (let columns = 20; columns < 100; columns++) {
    const lines = reportLines(report, columns);
    fits(lines, columns);
    const [seen, want] = [plain(lines), plain(piped)];
    for (const word of want) {
      assert.ok(seen.includes(word), `${columns}: ${word}\n${lines.join("\n")}`);
    }
  }
});
