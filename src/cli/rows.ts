/** Lists whose rows are lines of a few facts: a terminal that is too narrow for one breaks it between the facts. */
import { columnsOfText, wrapColumns } from "./columns.ts";
import { type CommandContext, flag } from "./command.ts";
import { withGiven } from "./given.ts";
import type { Tui } from "./tui.ts";

/** Columns that a row's next line begins after. */
const INDENT = 2;

/**
 * A row as lines no wider than `columns`: broken between its cells, and a cell that is wider between its words. A word that is wider
 * stays whole, to be copied. Cells that are "" are left out.
 */
export function rowLines(cells: readonly string[], columns: number): string[] {
  const there = cells.filter((cell) => cell !== "");
  const whole = there.join("  ").trimEnd();
  if (columnsOfText(whole) <= columns) return [whole];
  const lines: string[] = [];
  let line = "";
  for (const cell of there) {
    const longer = line === "" ? cell : `${line}  ${cell}`;
    const room = lines.length === 0 ? columns : columns - INDENT;
    if (columnsOfText(longer.trimEnd()) <= room) {
      line = longer;
      continue;
    }
    if (line !== "") lines.push(line);
    const parts = wrapColumns(cell, Math.max(1, columns - INDENT));
    lines.push(...parts.slice(0, -1));
    line = parts.at(-1)!;
  }
  return [...lines, line].map((text, i) => (i === 0 ? "" : " ".repeat(INDENT)) + text.trimEnd());
}

/** What a list is broken to: the terminal's columns; a file or a pipe gets each row as a line. */
export function listColumns(tui: Pick<Tui, "isTerminal" | "columns">): number {
  return tui.isTerminal ? tui.columns() : Infinity;
}

/** As `report` of key_common.ts, for a list: its rows as cells, and what is said where there is none. */
export function reportRows(
  context: CommandContext,
  json: object,
  rows: readonly (readonly string[])[],
  none: string,
): void {
  const { tui } = context;
  if (flag(context, "json")) return tui.json({ schema: 1, ...json });
  if (rows.length === 0) return tui.out(withGiven(none, context.values));
  for (const row of rows) for (const line of rowLines(row, listColumns(tui))) tui.out(line);
}
