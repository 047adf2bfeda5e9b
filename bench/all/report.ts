/** The kept runs as the section of docs/bench.md, and a plot for each table. The same runs give the same bytes. */
import { median } from "../median.ts";
import { type Goal, isMet } from "./goals.ts";
import { plot } from "./plot.ts";
import { collected, readRuns, RESULTS, type Run } from "./results.ts";

const DOCS = new URL("../../docs/", import.meta.url);
const BEGIN = "<!-- what `deno task bench:all` measured: written by bench/all/report.ts -->";
const END = "<!-- the end of it -->";

/** A page and its plots, by name. */
interface Report {
  readonly text: string;
  readonly plots: ReadonlyMap<string, string>;
}

/** @param runs By machine. */
export function makeReport(runs: ReadonlyMap<string, readonly Run[]>): Report {
  const plots = new Map<string, string>();
  const sections = [...runs].map(([machine, of], index) => {
    const rows = collected(of);
    const tables = [...new Set(rows.map(([, { table }]) => table))];
    return [
      `### ${machine}`,
      "",
      ...aboutRuns(of),
      ...tables.flatMap((table) => {
        const own = rows.filter(([, goal]) => goal.table === table);
        const name = `bench-${index + 1}-${table.toLowerCase().replaceAll(" ", "-")}.svg`;
        plots.set(
          name,
          plot(`${table}: ${machine}`, own.map(([, goal, s]) => ({ goal, samples: s }))),
        );
        return ["", `![${table}, as parts of their goals](pictures/${name})`, "", ...tableOf(own)];
      }),
    ].join("\n");
  });
  return { text: `${BEGIN}\n\n${sections.join("\n\n")}\n\n${END}`, plots };
}

function aboutRuns(runs: readonly Run[]): string[] {
  const several = runs.length > 1 ? `${runs.length} runs` : "One run";
  const days = [...new Set(runs.map(({ day }) => day))].join(", ");
  const commits = [...new Set(runs.map(({ commit }) => commit))].join(", ");
  const loads = runs.map(({ load }) => `${load[0].toFixed(1)} and ${load[1].toFixed(1)}`).join(
    "; ",
  );
  const missing = [...new Set(runs.flatMap(({ notMeasured }) => notMeasured))];
  const last = runs.at(-1)!;
  return wrapped(
    `${several}, ${days}, of commit ${commits}; ${last.threads} ${
      last.threads === 1 ? "thread" : "threads"
    } on both sides; load before and after: ${loads}. Medians over all samples, and the lowest and ` +
      `the highest of them. **Bold**: a goal that was missed.${
        missing.length > 0 ? ` Not measured: ${missing.join("; ")}.` : ""
      }`,
  );
}

function tableOf(rows: readonly [string, Goal, readonly number[]][]): string[] {
  const missed = rows.filter(([, goal, samples]) => !isMet(goal, median(samples)));
  const cells = rows.map(([, goal, samples]) => {
    const middle = number(median(samples));
    return [
      goal.name,
      `${goal.sense === "at most" ? "≤" : "≥"} ${number(goal.goal)}${unit(goal)}`,
      isMet(goal, median(samples)) ? middle : `**${middle}**`,
      `${number(Math.min(...samples))} – ${number(Math.max(...samples))}`,
    ];
  });
  const all = [["what", "goal", "median", "lowest – highest"], ...cells];
  const widths = all[0]!.map((_, column) =>
    Math.max(...all.map((row) => [...row[column]!].length))
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell + " ".repeat(widths[i]! - [...cell].length)).join(" | ")} |`;
  const whys = new Map<string, string[]>();
  for (const [, { name, why }] of missed) whys.set(why, [...whys.get(why) ?? [], name]);
  return [
    line(all[0]!),
    line(widths.map((width) => "-".repeat(width))),
    ...cells.map(line),
    ...[...whys].flatMap(([why, names]) => ["", ...wrapped(`Missed: ${names.join("; ")}. ${why}`)]),
  ];
}

function unit({ unit }: Goal): string {
  return unit === "×" ? "" : ` ${unit}`;
}

function number(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2);
}

/** Lines of at most 100 characters. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && [...last, ...word].length < 100) {
      lines[lines.length - 1] += ` ${word}`;
    } else lines.push(word);
  }
  return lines;
}

/** Puts the report into a page, in place of the one that is there. @throws {Error} If the page has no place for it. */
export function placed(page: string, report: string): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error("docs/bench.md has no place for the report");
  return page.slice(0, from) + report + page.slice(to + END.length);
}

/** Writes docs/bench.md and the plots anew, of the runs that are kept. @throws {Error} If it cannot be formatted. */
export async function writeReport(): Promise<void> {
  const { text, plots } = makeReport(await readRuns());
  const page = new URL("bench.md", DOCS);
  await Deno.writeTextFile(page, placed(await Deno.readTextFile(page), text));
  for (const [name, svg] of plots) await Deno.writeTextFile(new URL(`pictures/${name}`, DOCS), svg);
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", page.pathname, RESULTS.pathname],
    cwd: new URL("../../", import.meta.url).pathname,
  }).output();
  if (!success) throw new Error("docs/bench.md cannot be formatted");
}

if (import.meta.main) await writeReport();
