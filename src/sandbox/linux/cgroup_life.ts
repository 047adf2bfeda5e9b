/** The groups of running runners: made before the start, removed after the end, left-overs of killed gateways as well. */
import { type Linux, linux, SystemCallError } from "../../linux/libc.ts";
import {
  type CgroupLimits,
  type CgroupPlace,
  groupPrefix,
  limitFiles,
  makeGroup,
  parseGroups,
} from "./cgroup.ts";
import { ageMs, listOptional, readOptional, removeFolder, writeAside } from "./cgroup_files.ts";

/** A runner's groups, as a plan has them. */
export interface CgroupPlan {
  readonly places: readonly CgroupPlace[];
  readonly limits: CgroupLimits;
}

let count = 0;

/**
 * Makes one group in each place. Returns their folders.
 * @throws {SystemCallError} If one cannot be made; none is left then.
 */
export function openGroups(system: Linux, plan: CgroupPlan): string[] {
  sweepGroups(system, plan.places); // what could not be removed when this gateway started
  const name = `${groupPrefix(system)}${++count}`;
  const folders: string[] = [];
  try {
    for (const place of plan.places) folders.push(makeGroup(system, place, name, plan.limits));
    return folders;
  } catch (error) {
    folders.forEach((folder) => removeFolder(system, folder));
    throw error;
  }
}

/**
 * Whether this process may move another one, which may have given up root, into groups of `plan`: the older hierarchies let only
 * the machine's own root move a process of another user (cgroup1_procs_write).
 */
export function mayMove(system: Linux, plan: CgroupPlan, dropsUser: boolean): boolean {
  if (!dropsUser || plan.places.every(({ version }) => version === 2)) return true;
  return /^\s*0\s+0\s+4294967295\s*$/.test(readOptional(system, "/proc/self/uid_map") ?? "");
}

const ESRCH = 3;

/**
 * Moves `pid`, which was just started, and the process that it has forked or forks meanwhile, into `groups`. The kernel waits for a
 * grace period of some 10 ms, in which both go on. `forked` tells the other's pid.
 *
 * None of the two is left outside: the kernel makes no process between the beginning and the end of a move, so a fork before it
 * is seen by `forked` after it, and a fork after it is born inside.
 * @throws {SystemCallError} If one that lives cannot be moved.
 */
export async function moveInto(
  system: Linux,
  groups: readonly string[],
  pid: number,
  forked: () => number | undefined,
): Promise<void> {
  const move = async (which: number) => {
    for (const group of groups) {
      try {
        await writeAside(system, `${group}/cgroup.procs`, String(which));
      } catch (error) {
        if (!(error instanceof SystemCallError && error.errno === ESRCH)) throw error;
      }
    }
  };
  await move(pid);
  const other = forked();
  if (other !== undefined && other !== pid) await move(other);
}

/** How long a group may stay busy after its runner was reaped: its last threads are still ending. */
const BUSY_MS = 60_000;

/** Removes groups once what ran in them is gone. What stays is removed by the next {@link sweepGroups}. */
export async function closeGroups(folders: readonly string[]): Promise<void> {
  const system = linux();
  const end = performance.now() + BUSY_MS;
  let left = folders;
  for (;;) {
    left = left.filter((folder) => !removeFolder(system, folder));
    if (left.length === 0 || performance.now() > end) return;
    await new Promise((resolve) => Deno.unrefTimer(setTimeout(resolve, 10)));
  }
}

/** A start makes its groups and enters them within milliseconds: one that is still empty after this long has no one. */
const ABANDONED_MS = 60_000;

/**
 * Removes groups of gateways that are no more. Returns how many. One that holds a process cannot be removed, and stays. Of a gateway in
 * another pid namespace it cannot be seen whether it lives: its groups are left alone while they are young.
 */
export function sweepGroups(system: Linux, places: readonly CgroupPlace[]): number {
  const own = groupPrefix(system);
  const [, namespace] = own.split("-");
  let removed = 0;
  for (const { folder } of places) {
    for (const name of listOptional(system, folder)) {
      const match = /^secllama-(\d+)-(\d+)-(?:\d+|probe)$/.exec(name);
      if (!match || name.startsWith(own)) continue;
      const lives = match[1] === namespace
        ? readOptional(system, `/proc/${match[2]}/stat`) !== null
        : ageMs(system, `${folder}/${name}`) < ABANDONED_MS;
      if (lives) continue;
      if (removeFolder(system, `${folder}/${name}`)) removed++;
    }
  }
  return removed;
}

/** What holds every thread of process `pid`, and whether that is all that `plan` wanted. */
export function readGroups(
  system: Linux,
  pid: number,
  plan: CgroupPlan,
): { holds: boolean | undefined; observed: string } {
  const texts = new Set(
    listOptional(system, `/proc/${pid}/task`)
      .map((tid) => readOptional(system, `/proc/${pid}/task/${tid}/cgroup`))
      .filter((text) => text !== null), // it ended in between
  );
  if (texts.size === 0) return { holds: undefined, observed: "its groups cannot be read" };
  // In the older hierarchies each thread has groups of its own.
  if (texts.size > 1) return { holds: false, observed: "its threads are in several groups" };
  const groups = parseGroups([...texts][0]!);
  const observed: string[] = [];
  let holds = true;
  for (const place of plan.places) {
    const group = groups.find(({ controllers }) =>
      place.version === 2 ? controllers.length === 0 : controllers.includes(place.controllers[0]!)
    );
    const name = group?.path.split("/").at(-1) ?? "";
    if (!name.startsWith("secllama-")) {
      holds = false;
      observed.push(`${place.controllers.join(", ")}: in ${group?.path ?? "no group"}`);
      continue;
    }
    for (const { file, value, optional } of limitFiles(place, plan.limits)) {
      const is = readOptional(system, `${place.folder}/${name}/${file}`)?.trim();
      if (optional) continue;
      // The kernel rounds bytes down to pages.
      if (!(Number(is) <= Number(value))) holds = false;
      observed.push(`${file} ${is ?? "not readable"}`);
    }
  }
  return { holds, observed: observed.join(", ") };
}
