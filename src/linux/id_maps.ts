/** Which users a user namespace knows (user_namespaces(7)). */
import { linux } from "./libc.ts";

/**
 * Whether this process could make a child of this user and group: both are mapped, and supplementary groups may be given up.
 * True where /proc does not say.
 */
export function canBecome(id: number): boolean {
  const read = (file: string): string | undefined => {
    try {
      return linux().readText(`/proc/self/${file}`);
    } catch {
      return undefined;
    }
  };
  return ["uid_map", "gid_map"].every((file) => isMapped(read(file), id)) &&
    read("setgroups")?.trim() !== "deny";
}

/** @param map Lines of: first id inside, first id outside, how many. */
export function isMapped(map: string | undefined, id: number): boolean {
  if (map === undefined) return true;
  return map.trim().split("\n").some((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return first! <= id && id < first! + count!;
  });
}
