/**
 * Our own pages of docs/ as a terminal shows them: paragraphs to its width, tables in columns, and links as the command that shows
 * what they lead to. It knows the Markdown that `deno fmt` leaves behind, and no more.
 */
import { columnsOfText, padColumns, wrapColumns } from "./columns.ts";

export interface MarkdownOptions {
  /** Columns. */
  readonly width: number;
  readonly bold: (text: string) => string;
  /** What a link to a page of docs/ is shown as: "secllama help keys"; undefined: its words alone. */
  readonly command: (page: string) => string | undefined;
}

/** The page's lines. */
export function renderMarkdown(text: string, options: MarkdownOptions): string[] {
  const blocks = blocksOf(text);
  return blocks.flatMap((block, i) => [...(i === 0 ? [] : [""]), ...renderBlock(block, options)]);
}

type Block =
  | { readonly kind: "heading" | "paragraph" | "code"; readonly text: string }
  | { readonly kind: "table"; readonly rows: readonly (readonly string[])[] }
  | { readonly kind: "list"; readonly items: readonly (readonly [mark: string, text: string])[] };

function blocksOf(page: string): Block[] {
  const lines = page.replace(/<!--[^]*?-->\n*/g, "").split("\n");
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at]!;
    const from = at;
    const take = (belongs: (line: string) => boolean) => {
      while (at < lines.length && belongs(lines[at]!)) at++;
      return lines.slice(from, at);
    };
    if (line.trim() === "") at++;
    else if (line.startsWith("```")) {
      at++;
      const body = take((next) => !next.startsWith("```")).slice(1);
      at++;
      blocks.push({ kind: "code", text: body.join("\n") });
    } else if (line.startsWith("#")) {
      at++;
      blocks.push({ kind: "heading", text: line.replace(/^#+ /, "") });
    } else if (line.startsWith("|")) {
      const rows = take((next) => next.startsWith("|")).map(cellsOf);
      blocks.push({ kind: "table", rows: rows.filter((_, i) => i !== 1) });
    } else if (ITEM.test(line)) {
      blocks.push({
        kind: "list",
        items: itemsOf(take((next) => ITEM.test(next) || /^ +\S/.test(next))),
      });
    } else {
      const text = take((next) => next.trim() !== "" && !/^(```|#|\|)/.test(next));
      blocks.push({ kind: "paragraph", text: text.join(" ") });
    }
  }
  return blocks;
}

const ITEM = /^(-|\d+\.) +/;

function itemsOf(lines: readonly string[]): [string, string][] {
  const items: [string, string][] = [];
  for (const line of lines) {
    const mark = ITEM.exec(line)?.[0].trim();
    if (mark !== undefined) items.push([mark, line.replace(ITEM, "")]);
    else items.at(-1)![1] += ` ${line.trim()}`;
  }
  return items;
}

function cellsOf(line: string): string[] {
  return line.slice(1).replace(/\|\s*$/, "").split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function renderBlock(block: Block, options: MarkdownOptions): string[] {
  const words = (text: string) => inline(text, options);
  switch (block.kind) {
    case "heading":
      return wrapColumns(words(block.text), options.width).map(options.bold);
    case "code":
      return block.text.split("\n").map((line) => `    ${ownCommand(line)}`.trimEnd());
    case "paragraph":
      return wrapColumns(words(block.text), options.width);
    case "list":
      return block.items.flatMap(([mark, text]) => {
        const lead = mark.length + 1;
        return wrapColumns(words(text), options.width - lead).map((line, i) =>
          (i === 0 ? `${mark} ` : " ".repeat(lead)) + line
        );
      });
    case "table":
      return renderTable(block.rows.map((row) => row.map(words)), options);
  }
}

/**
 * Columns no wider together than `width`, cells broken at spaces; where the words do not fit beside each other, each row as a
 * paragraph of its cells. A word that is wider than the terminal stays whole, to be copied.
 */
export function renderTable(
  [head, ...rows]: readonly (readonly string[])[],
  { width: columns, bold }: Pick<MarkdownOptions, "width" | "bold">,
): string[] {
  const count = head!.length;
  const widths = head!.map((title, i) =>
    Math.max(...[title, ...rows.map((row) => row[i] ?? "")].map(columnsOfText))
  );
  const least = head!.map((title, i) =>
    Math.max(
      ...[title, ...rows.map((row) => row[i] ?? "")].flatMap((cell) =>
        cell.split(/\s+/).map(columnsOfText)
      ),
    )
  );
  const room = columns - 2 * (count - 1);
  // Too narrow for columns: a row is a paragraph of its cells.
  if (sum(least) > room) return asParagraphs(head!, rows, columns);
  while (sum(widths) > room) {
    const loose = widths.map((w, i) => w > least[i]! ? w : 0);
    widths[loose.indexOf(Math.max(...loose))]!--;
  }
  const row = (cells: readonly string[], style = (text: string) => text) => {
    const wrapped = widths.map((w, i) => wrapColumns(cells[i] ?? "", w));
    const height = Math.max(...wrapped.map((lines) => lines.length));
    return Array.from(
      { length: height },
      (_, y) =>
        wrapped.map((lines, i) => padColumns(style(lines[y] ?? ""), widths[i]!)).join("  ")
          .trimEnd(),
    );
  };
  return [
    ...(head!.every((title) => title === "") ? [] : row(head!, (text) => text && bold(text))),
    ...rows.flatMap((cells) => row(cells)),
  ];
}

function asParagraphs(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number,
): string[] {
  return rows.flatMap((cells) =>
    cells.flatMap((cell, i) => {
      const lead = i === 0 ? "" : "  ";
      const named = i === 0 || head[i] === "" ? cell : `${head[i]}: ${cell}`;
      return wrapColumns(named, columns - lead.length).map((line) => lead + line);
    })
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

/** Words of a paragraph: no marks, and of a link what leads there. */
function inline(text: string, { bold, command }: MarkdownOptions): string {
  const linked = text
    .replace(/!\[[^\]]*\]\([^)]*\)/g, "")
    .replace(
      /\[((?:`[^`]*`|[^\]`])+)\]\(([^)#]*)[^)]*\)/g,
      (_, words: string, target: string) => {
        if (/^https?:/.test(target)) return `${words} (${target})`;
        return command(target.split("/").at(-1)!) ?? words;
      },
    );
  return linked.split(/(`[^`]+`)/).map((part) => {
    if (part.startsWith("`")) return ownCommand(part.slice(1, -1));
    return part
      .replace(/\*\*([^*]+)\*\*/g, (_, words: string) => bold(words))
      .replace(/(^|[\s(])_([^_]+)_(?=[\s.,;:)]|$)/g, "$1$2");
  }).join("");
}

/** The program's own name for what a page runs from source. */
function ownCommand(line: string): string {
  return line.replace(/npx -y deno@[\d.]+ task (?:secllama|(?=serve\b))\s*/g, "secllama ");
}
