/** How models are shown on a terminal: tables, sizes, and text of a model's own that cannot control the terminal. */
import type { Tui } from "../tui.ts";

/** A table with aligned columns. */
export function printTable(tui: Tui, head: string[], rows: string[][]): void {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]!.length)) + 2
  );
  for (const row of [head, ...rows]) {
    tui.out(row.map((cell, i) => printable(cell).padEnd(widths[i]!)).join("").trimEnd());
  }
}

/** Text from a model's file or manifest as it may reach a terminal: no escape sequence, no control character. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, "?");
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
