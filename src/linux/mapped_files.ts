/**
 * Where a process has files of the host's mapped, from /proc/PID/maps (proc_pid_maps(5)). A mapped page belongs to the file's inode:
 * every process that maps the same file can tell whether somebody else has it mapped, and a futex in it is theirs as well.
 */

/** Addresses from `start` up to and without `end`. */
export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

export interface MappedFile extends Range {
  /** May be read, at least; a gap that no access is allowed to has no pages. */
  readonly readable: boolean;
  readonly writable: boolean;
  /** MAP_SHARED; of a private mapping a page that is written to becomes the process's own. */
  readonly shared: boolean;
}

/**
 * The mappings of files in the text of /proc/PID/maps, in its order.
 * @throws {SyntaxError} If a line is not one of such a file.
 */
export function mappedFiles(maps: string): MappedFile[] {
  return maps.split("\n").filter((line) => line !== "").flatMap((line) => {
    const match = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])[x-]([ps]) [0-9a-f]+ \S+ (\d+)/.exec(line);
    if (!match) throw new SyntaxError("not a line of /proc/PID/maps");
    const [, start, end, read, write, sharing, inode] = match;
    if (inode === "0") return [];
    return [{
      start: BigInt(`0x${start}`),
      end: BigInt(`0x${end}`),
      readable: read === "r",
      writable: write === "w",
      shared: sharing === "s",
    }];
  });
}

/** The same addresses in as few ranges as there are: neighbours become one. */
export function joined(ranges: readonly Range[]): Range[] {
  const sorted = ranges.toSorted((a, b) => a.start < b.start ? -1 : a.start > b.start ? 1 : 0);
  const out: { start: bigint; end: bigint }[] = [];
  for (const { start, end } of sorted) {
    const last = out.at(-1);
    if (last !== undefined && start <= last.end) {
      if (end > last.end) last.end = end;
    } else out.push({ start, end });
  }
  return out;
}
