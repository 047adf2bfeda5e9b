/**
 * The queue of test files: which are run by one `deno test`, in which order, and what may not run beside what. Pure; scripts/test.ts
 * runs what it gives.
 */

import { dirname } from "node:path";

/** Seconds that each file took when it ran last, by its path from the root. */
export type Seconds = Readonly<Record<string, number>>;

/** Files that one `deno test` runs, one after the other. */
export interface Group {
  readonly files: readonly string[];
  readonly seconds: number;
  /** Not beside another group of this row. */
  readonly row: Row | undefined;
}

/** A file of which nothing is known; most are short. */
const UNKNOWN_SECONDS = 1;
/** A start of `deno test` costs about a second: short files share one. */
const GROUP_SECONDS = 30;
const GROUP_FILES = 20;

/**
 * What shares something that is there once on a machine: cgroups, a systemd, podman, a view of all processes; and what compares
 * the time of one piece of work with that of another. One group of each row runs at a time, beside any of the others.
 */
const ALONE = {
  machine: [
    /^tests\/sandbox\/(cgroup|matrix|life|inherited_filters|capabilities)_test\.ts$/,
    /^tests\/packaging\/(systemd|container|private_network)_test\.ts$/,
    /^tests\/binary\/(base_system|container)_test\.ts$/,
  ],
  durations: [
    /^tests\/scheduling\//,
    /^runner\/engine\/engine_slots_test\.ts$/,
    /^runner\/api\/real_engine_test\.ts$/,
    /^runner\/grammar\/schema_grammar_test\.ts$/,
  ],
};
export type Row = keyof typeof ALONE;
const ROWS = Object.keys(ALONE) as Row[];

/** In which row the file waits for others; undefined: for none. */
export function rowOf(path: string): Row | undefined {
  return ROWS.find((row) => ALONE[row].some((pattern) => pattern.test(path)));
}

/** The files in groups, the longest first; short files of one folder share a group. */
export function makeGroups(files: readonly string[], seconds: Seconds): Group[] {
  const groups: { files: string[]; seconds: number; row: Row | undefined }[] = [];
  const open = new Map<string, (typeof groups)[number]>();
  for (const path of files.toSorted()) {
    const took = seconds[path] ?? UNKNOWN_SECONDS;
    const row = rowOf(path);
    // One folder's files import the same things; src and runner are many small folders.
    const folder = `${/^(src|runner)(?=\/)/.exec(path)?.[0] ?? dirname(path)} ${row}`;
    const last = open.get(folder);
    if (
      last && last.seconds + took <= GROUP_SECONDS && last.files.length < GROUP_FILES
    ) {
      last.files.push(path);
      last.seconds += took;
      continue;
    }
    const made = { files: [path], seconds: took, row };
    groups.push(made);
    if (took < GROUP_SECONDS) open.set(folder, made);
  }
  return groups.toSorted((a, b) => b.seconds - a.seconds);
}

/**
 * Takes the group to run next out of `waiting`: the longest that may run. One of a row is begun first when the row would take longer
 * than all else does with the other lanes at it.
 * @param busy The rows of which one is running.
 */
export function takeNext(
  waiting: Group[],
  busy: ReadonlySet<Row>,
  lanes: number,
): Group | undefined {
  const sum = (groups: readonly Group[]) => groups.reduce((all, { seconds }) => all + seconds, 0);
  const share = sum(waiting) / lanes - GROUP_SECONDS;
  const [first] = ROWS
    .filter((row) => !busy.has(row) && waiting.some((group) => group.row === row))
    .map((row) => ({ row, seconds: sum(waiting.filter((group) => group.row === row)) }))
    .filter(({ seconds }) => seconds >= share)
    .sort((a, b) => b.seconds - a.seconds);
  const at = waiting.findIndex(({ row }) =>
    first ? row === first.row : row === undefined || !busy.has(row)
  );
  return at < 0 ? undefined : waiting.splice(at, 1)[0];
}

/** What the last line adds up. */
export interface Counts {
  passed: number;
  failed: number;
  ignored: number;
}

/** The counts of `deno test`'s own last line; none, if it did not get there. Steps are not counted. */
export function readCounts(text: string): Counts | undefined {
  const [, passed, failed, rest] =
    text.match(/^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(.*)$/m) ?? [];
  if (passed === undefined) return undefined;
  const ignored = Number(/ \| (\d+) ignored/.exec(rest!)?.[1] ?? 0);
  return { passed: Number(passed), failed: Number(failed), ignored };
}

/** The lines of `deno test`'s own list of what failed: "name => ./file:line:column". */
export function readFailures(text: string): string[] {
  const list = /^ FAILURES $([^]*?)^(?:ok|FAILED) \| /m.exec(text)?.[1] ?? "";
  return list.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}
