/** How models are shown on a terminal: tables, sizes, and text of a model's own that cannot control the terminal. */
import { columnsOfText, padColumns } from "../columns.ts";
import { renderTable } from "../markdown.ts";
import type { Tui } from "../tui.ts";

/** A table with aligned columns; on a terminal that is too narrow for them its cells are broken, in a file or a pipe they never are. */
export function printTable(
  tui: Pick<Tui, "out"> & Partial<Pick<Tui, "isTerminal" | "columns">>,
  head: string[],
  rows: string[][],
): void {
  const lines = [head, ...rows].map((row) => row.map(printableLine));
  const widths = head.map((_, i) => Math.max(...lines.map((row) => columnsOfText(row[i]!))) + 2);
  const width = tui.isTerminal ? tui.columns?.() ?? Infinity : Infinity;
  if (widths.reduce((sum, one) => sum + one, -2) > width) {
    for (const line of renderTable(lines, { width, bold: (text) => text })) tui.out(line);
    return;
  }
  for (const row of lines) {
    tui.out(row.map((cell, i) => padColumns(cell, widths[i]!)).join("").trimEnd());
  }
}

/** Text from a model's file or manifest as it may reach a terminal: no escape sequence, no control character. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, "?");
}

/** The same in one line: what a stranger named is no two rows of a table. */
export function printableLine(text: string): string {
  return printable(text.replace(/[\t\n]+/g, " "));
}

/** `3.1 MB`, in powers of ten as Ollama shows sizes. */
export function humanBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Bytes of a file; undefined: it cannot be asked, and whoever opens it says why. */
export function sizeOf(path: string): Promise<number | undefined> {
  return Deno.stat(path).then(({ size }) => size, () => undefined);
}
