/**
 * Gives cgroups to an ordinary user, as a service manager does that delegates: made by root, owned by the user, entered before the
 * user's program starts.
 */
import { linux } from "../../src/linux/libc.ts";
import { listOptional, makeFolder, removeFolder } from "../../src/sandbox/linux/cgroup_files.ts";
import { until } from "../support/patience.ts";
import { probeCapabilities } from "../../src/sandbox/linux/capabilities.ts";

export interface Delegation {
  /** "" if memory and pids are delegated. */
  readonly reason: string;
  /** argv prefix that enters the groups. */
  readonly enter: readonly string[];
  remove(): Promise<void>;
}

const ENTER =
  'for group in $1; do echo 0 > "$group/cgroup.procs" || exit 1; done; shift; exec "$@"';

export async function delegateGroups(uid: number): Promise<Delegation> {
  const nothing = { enter: [], remove: () => Promise.resolve() };
  if (Deno.build.os !== "linux") return { reason: "there is no Linux here", ...nothing };
  const { cgroup } = await probeCapabilities();
  if (cgroup.reason !== "") return { reason: cgroup.reason, ...nothing };
  if (Deno.uid() !== 0) return { reason: "", ...nothing };
  const name = `secllama-test-${Deno.pid}-${crypto.randomUUID()}`;
  // Where the version is 2 the children that the user makes are beside the one that its program is in.
  const folders = cgroup.places.map(({ version, folder }) => ({
    version,
    folder: `${folder}/${name}`,
  }));
  const own: string[] = [];
  for (const { version, folder } of folders) {
    makeFolder(linux(), folder);
    if (version === 2) {
      await Deno.writeTextFile(`${folder}/cgroup.subtree_control`, "+memory +pids");
      makeFolder(linux(), `${folder}/program`);
      own.push(`${folder}/program`);
    } else own.push(folder);
    for (const file of ["", "/cgroup.procs", ...(version === 2 ? ["/program/cgroup.procs"] : [])]) {
      await Deno.chown(folder + file, uid, uid);
    }
  }
  return {
    reason: "",
    enter: ["/bin/sh", "-c", ENTER, "sh", own.join(" ")],
    async remove() {
      // A gateway that was killed leaves its groups in it.
      const groups = folders.flatMap(({ folder }) =>
        listOptional(linux(), folder).filter((name) => name.startsWith("secllama-"))
          .map((name) => `${folder}/${name}`)
      );
      const left = [...groups, ...own, ...folders.map(({ folder }) => folder)];
      await until(
        () => left.map((f) => removeFolder(linux(), f)).every(Boolean),
        "no group is left",
      );
    },
  };
}

/** Folders of the groups that gateway `pid` made, its own ones and those in a delegated group. */
export async function groupsOf(pid: number): Promise<string[]> {
  const { cgroup } = await probeCapabilities();
  const mine = new RegExp(`^secllama-\\d+-${pid}-\\d+$`);
  const find = (folder: string, depth: number): string[] =>
    listOptional(linux(), folder).flatMap((name) =>
      mine.test(name)
        ? [`${folder}/${name}`]
        : depth > 0 && name.startsWith("secllama-test-")
        ? find(`${folder}/${name}`, depth - 1)
        : []
    );
  return cgroup.places.flatMap(({ folder }) => find(folder, 1));
}
