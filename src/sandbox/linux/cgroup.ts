/**
 * Where this process may make cgroups for memory and number of tasks (cgroups(7)): in the unified hierarchy beside its own group,
 * if that place was delegated to it, and in the older ones below its own group. Found by trying, never required: a runner has its
 * own limits too, which count less (RLIMIT_DATA: no shared and no file memory; RLIMIT_NPROC: all of a user's tasks).
 */
import { type Linux, SystemCallError } from "../../linux/libc.ts";
import { makeFolder, readOptional, removeFolder, writeFile } from "./cgroup_files.ts";

type Controller = "memory" | "pids";

/** A folder of the cgroup file system in which groups can be made, and what they limit. */
export interface CgroupPlace {
  readonly version: 1 | 2;
  readonly folder: string;
  readonly controllers: readonly Controller[];
}

export interface CgroupSupport {
  /** Empty: no groups can be made. */
  readonly places: readonly CgroupPlace[];
  /** Why a controller is missing, "" if none is. */
  readonly reason: string;
}

/** What a group of a runner is to hold. */
export interface CgroupLimits {
  /** All memory, that of mapped files included; undefined: not limited. */
  readonly memoryBytes?: number;
  /** Threads and processes. */
  readonly tasks: number;
}

/** The files that set the limits in a place, in the order in which they are written. `optional`: not in every kernel. */
export function limitFiles(
  place: CgroupPlace,
  limits: CgroupLimits,
): { readonly file: string; readonly value: string; readonly optional?: boolean }[] {
  const files: { file: string; value: string; optional?: boolean }[] = [];
  if (place.controllers.includes("memory") && limits.memoryBytes !== undefined) {
    const value = String(limits.memoryBytes);
    files.push(
      ...(place.version === 2
        ? [
          { file: "memory.max", value },
          // Prompts and weights stay out of the swap, and what meets the limit ends as a whole.
          { file: "memory.swap.max", value: "0", optional: true },
          { file: "memory.oom.group", value: "1", optional: true },
        ]
        : [
          { file: "memory.limit_in_bytes", value },
          { file: "memory.swappiness", value: "0", optional: true },
        ]),
    );
  }
  if (place.controllers.includes("pids")) {
    files.push({ file: "pids.max", value: String(limits.tasks) });
  }
  return files;
}

/** One line of /proc/PID/cgroup: `4:memory:/path`, or `0::/path` for the unified hierarchy. */
export function parseGroups(text: string): { controllers: string[]; path: string }[] {
  return text.trim().split("\n").map((line) => {
    const [, names = "", ...path] = line.split(":");
    return { controllers: names.split(",").filter((name) => name !== ""), path: path.join(":") };
  });
}

interface Mount {
  readonly version: 1 | 2;
  /** The group that is at the mount point. */
  readonly root: string;
  readonly at: string;
  readonly options: readonly string[];
}

function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.trim().split("\n").flatMap((line) => {
    const fields = line.split(" ");
    const [type, , options = ""] = fields.slice(fields.indexOf("-") + 1);
    if (type !== "cgroup" && type !== "cgroup2") return [];
    const version = type === "cgroup2" ? 2 : 1;
    return [{ version, root: fields[3]!, at: fields[4]!, options: options.split(",") }];
  });
}

/**
 * The places to try, from what /proc says: /proc/self/cgroup, /proc/self/mountinfo and, by `read`, the files of the cgroup file
 * system. Pure but for `read`, which gives null for what is not there.
 */
export function candidates(
  own: string,
  mountinfo: string,
  read: (path: string) => string | null,
): CgroupPlace[] {
  const groups = parseGroups(own);
  return parseMounts(mountinfo).flatMap((mount): CgroupPlace[] => {
    const group = groups.find(({ controllers }) =>
      mount.version === 2
        ? controllers.length === 0
        : controllers.length > 0 && controllers.every((name) => mount.options.includes(name))
    );
    const folder = group && folderOf(mount, group.path);
    if (folder === undefined) return [];
    if (mount.version === 1) {
      const controllers = WANTED.filter((name) => mount.options.includes(name));
      return controllers.length > 0 ? [{ version: 1, folder, controllers }] : [];
    }
    // A group with processes has no children that are limited, unless it is the root: hence beside it.
    const parent = folder === mount.at ? folder : folder.slice(0, folder.lastIndexOf("/"));
    const enabled = read(`${parent}/cgroup.subtree_control`)?.trim().split(/\s+/) ?? [];
    const controllers = WANTED.filter((name) => enabled.includes(name));
    return controllers.length > 0 ? [{ version: 2, folder: parent, controllers }] : [];
  });
}

const WANTED: readonly Controller[] = ["memory", "pids"];

function folderOf(mount: Mount, path: string): string | undefined {
  const root = mount.root === "/" ? "" : mount.root;
  if (path !== root && !path.startsWith(`${root}/`)) return undefined;
  const below = path.slice(root.length);
  return below === "/" || below === "" ? mount.at : mount.at + below;
}

/**
 * Makes a group in each candidate, sets small limits, has `enter` start a process in it, and removes it.
 * `enter` gets the groups' folders and tells whether a process could go there.
 */
export async function probeCgroups(
  system: Linux,
  enter: (folders: readonly string[]) => Promise<boolean>,
): Promise<CgroupSupport> {
  const read = (path: string) => readOptional(system, path);
  const own = read("/proc/self/cgroup") ?? "";
  const places: CgroupPlace[] = [];
  const reasons: string[] = [];
  for (const place of candidates(own, read("/proc/self/mountinfo") ?? "", read)) {
    try {
      const group = makeGroup(system, place, `${groupPrefix(system)}probe`, {
        memoryBytes: 2 ** 26,
        tasks: 16,
      });
      const entered = await enter([group]);
      removeFolder(system, group);
      if (entered) places.push(place);
      else reasons.push(`${place.folder}: no process can be moved there`);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      reasons.push(error.message);
    }
  }
  const found = places.flatMap((place) => place.controllers);
  const missing = WANTED.filter((name) => !found.includes(name));
  return {
    places,
    reason: missing.length === 0
      ? ""
      : `${missing.join(" and ")}: ${
        reasons.join("; ") || "no hierarchy in which this process may make groups"
      }`,
  };
}

/** Group names say whose they are: the pid namespace and the pid of the gateway. */
export function groupPrefix(system: Linux): string {
  const namespace = /\d+/.exec(system.readLink("/proc/self/ns/pid"))?.[0] ?? "0";
  return `secllama-${namespace}-${Deno.pid}-`;
}

/** Makes a group and sets its limits. @throws {SystemCallError} If the kernel refuses; the folder is then gone again. */
export function makeGroup(
  system: Linux,
  place: CgroupPlace,
  name: string,
  limits: CgroupLimits,
): string {
  const folder = `${place.folder}/${name}`;
  makeFolder(system, folder);
  try {
    for (const { file, value, optional } of limitFiles(place, limits)) {
      writeFile(system, `${folder}/${file}`, value, optional === true);
    }
    return folder;
  } catch (error) {
    removeFolder(system, folder);
    throw error;
  }
}
