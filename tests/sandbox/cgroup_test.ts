/** Where groups can be made, read from /proc as several systems show it; and the life of one on this machine. */
import assert from "node:assert/strict";
import { linux } from "../../src/linux/libc.ts";
import {
  candidates,
  groupPrefix,
  limitFiles,
  parseGroups,
} from "../../src/sandbox/linux/cgroup.ts";
import {
  closeGroups,
  mayMove,
  moveInto,
  openGroups,
  readGroups,
  sweepGroups,
} from "../../src/sandbox/linux/cgroup_life.ts";
import {
  listOptional,
  makeFolder,
  readOptional,
  removeFolder,
} from "../../src/sandbox/linux/cgroup_files.ts";
import { childOf } from "../../src/sandbox/linux/chain.ts";
import { canEnter } from "../../src/sandbox/linux/executables.ts";
import { probeCapabilities } from "../../src/sandbox/linux/capabilities.ts";
import { until } from "../support/patience.ts";

const UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
const APP = "/user.slice/user-1000.slice/user@1000.service/app.slice";

function reader(files: { readonly [path: string]: string }) {
  return (path: string) => files[path] ?? null;
}

Deno.test("a user service's group is made beside its own, where systemd delegated", () => {
  const control = { [`/sys/fs/cgroup${APP}/cgroup.subtree_control`]: "cpu memory pids\n" };
  assert.deepEqual(candidates(`0::${APP}/secllama.service\n`, UNIFIED, reader(control)), [
    { version: 2, folder: `/sys/fs/cgroup${APP}`, controllers: ["memory", "pids"] },
  ]);
});

Deno.test("where the parent limits nothing there is no place", () => {
  const own = `0::${APP}/secllama.service\n`;
  const control = { [`/sys/fs/cgroup${APP}/cgroup.subtree_control`]: "\n" };
  assert.deepEqual(candidates(own, UNIFIED, reader(control)), []);
  assert.deepEqual(candidates(own, UNIFIED, reader({})), []);
});

Deno.test("at the root of the hierarchy groups are made below it", () => {
  const control = { "/sys/fs/cgroup/cgroup.subtree_control": "pids" };
  assert.deepEqual(candidates("0::/\n", UNIFIED, reader(control)), [
    { version: 2, folder: "/sys/fs/cgroup", controllers: ["pids"] },
  ]);
});

Deno.test("older hierarchies: below the own group, one place for each", () => {
  const mounts = [
    "31 25 0:27 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory",
    "32 25 0:28 / /sys/fs/cgroup/pids rw shared:11 - cgroup cgroup rw,pids",
    "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct",
    "34 25 0:30 / /sys/fs/cgroup/systemd rw shared:13 - cgroup cgroup rw,name=systemd",
    "35 25 0:31 / /sys/fs/cgroup/unified rw shared:14 - cgroup2 cgroup2 rw",
    "36 25 0:32 / /home rw - ext4 /dev/sda rw",
  ].join("\n");
  const own = "5:memory:/a/b\n4:pids:/\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n";
  assert.deepEqual(candidates(own, mounts, reader({})), [
    { version: 1, folder: "/sys/fs/cgroup/memory/a/b", controllers: ["memory"] },
    { version: 1, folder: "/sys/fs/cgroup/pids", controllers: ["pids"] },
  ]);
});

Deno.test("a container's hierarchy is mounted from its own group on", () => {
  const mounts = "31 25 0:27 /docker/1 /sys/fs/cgroup/pids ro shared:10 - cgroup cgroup ro,pids";
  assert.deepEqual(candidates("4:pids:/docker/1/x\n", mounts, reader({})), [
    { version: 1, folder: "/sys/fs/cgroup/pids/x", controllers: ["pids"] },
  ]);
  assert.deepEqual(
    candidates("4:pids:/docker/12\n", mounts, reader({})),
    [],
    "another container's",
  );
});

Deno.test("the limits by the names of each version; swap is closed to the group", () => {
  const controllers = ["memory", "pids"] as const;
  const limits = { memoryBytes: 4096, tasks: 5 };
  const set = (version: 1 | 2) =>
    limitFiles({ version, folder: "/g", controllers }, limits).map((f) => `${f.file}=${f.value}`);
  assert.deepEqual(set(2), [
    "memory.max=4096",
    "memory.swap.max=0",
    "memory.oom.group=1",
    "pids.max=5",
  ]);
  assert.deepEqual(set(1), ["memory.limit_in_bytes=4096", "memory.swappiness=0", "pids.max=5"]);
  assert.deepEqual(parseGroups("4:cpu,cpuacct:/a:b\n"), [
    { controllers: ["cpu", "cpuacct"], path: "/a:b" },
  ]);
});

const { cgroup } = Deno.build.os === "linux"
  ? await probeCapabilities()
  : { cgroup: { places: [], reason: "there is no Linux here" } };
if (cgroup.reason) console.error(`SKIP: groups are not made: ${cgroup.reason}`);

Deno.test({
  name: "a group holds a process, shows its limits, and goes when the process has gone",
  ignore: cgroup.places.length === 0,
  async fn() {
    const system = linux();
    const plan = { places: cgroup.places, limits: { memoryBytes: 2 ** 26, tasks: 7 } };
    const groups = openGroups(system, plan);
    const enter = 'for g in $1; do echo 0 > "$g/cgroup.procs" || exit 1; done; exec sleep 86400';
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", enter, "sh", groups.join(" ")],
      stdin: "null",
    }).spawn();
    try {
      let seen = readGroups(system, child.pid, plan);
      await until(
        () => (seen = readGroups(system, child.pid, plan)).holds === true,
        "it is in its groups",
      );
      assert.match(seen.observed, /67108864.*pids.max 7/);
      const narrower = { ...plan, limits: { memoryBytes: 2 ** 25, tasks: 7 } };
      assert.equal(
        readGroups(system, child.pid, narrower).holds,
        false,
        "a wider limit than planned",
      );
      assert.equal(
        readGroups(system, Deno.pid, plan).holds,
        false,
        "a process in no group of ours",
      );
      assert.equal(sweepGroups(system, cgroup.places), 0, "a living gateway's groups stay");
      assert.equal(await canEnter(groups), true);
      assert.equal(await canEnter(["/sys/fs/cgroup/no-such-group"]), false);
    } finally {
      child.kill("SIGKILL");
      await child.status;
      await closeGroups(groups);
    }
    for (const group of groups) assert.equal(readOptional(system, `${group}/cgroup.procs`), null);
  },
});

Deno.test({
  name: "a process that is moved takes its threads and what it forks meanwhile with it",
  ignore: cgroup.places.length === 0,
  async fn() {
    const system = linux();
    const plan = { places: cgroup.places, limits: { memoryBytes: 2 ** 26, tasks: 7 } };
    // What it forks ends when its input does.
    for (const delay of ["", "sleep 0.005; ", "sleep 0.02; "]) {
      const groups = openGroups(system, plan);
      const child = new Deno.Command("/bin/sh", {
        args: ["-c", `${delay}exec 3<&0; cat <&3 & exec 3<&-; wait`],
        stdin: "piped",
        stdout: "null",
      }).spawn();
      try {
        assert.equal(readGroups(system, child.pid, plan).holds, false);
        await moveInto(system, groups, child.pid, () => childOf(system, child.pid));
        let forked: number | undefined;
        const forks = () => {
          forked = childOf(system, child.pid);
          if (forked === undefined) return Promise.resolve(false);
          try {
            const line = system.readText(`/proc/${forked}/cmdline`);
            return Promise.resolve(line.startsWith("cat"));
          } catch {
            return Promise.resolve(false); // it was the sleep, which has ended
          }
        };
        await until(forks, "it forks");
        for (const pid of [child.pid, forked!]) {
          const { holds, observed } = readGroups(system, pid, plan);
          assert.equal(holds, true, observed);
        }
      } finally {
        await child.stdin.close();
        await child.status;
        await closeGroups(groups);
      }
    }
  },
});

Deno.test({
  name: "who is gone need not be moved; a group that takes nobody is an error",
  ignore: cgroup.places.length === 0,
  async fn() {
    const system = linux();
    const plan = { places: cgroup.places, limits: { memoryBytes: 2 ** 26, tasks: 7 } };
    const groups = openGroups(system, plan);
    await moveInto(system, groups, 4194305, () => undefined); // above the kernel's highest pid
    await closeGroups(groups);
    await assert.rejects(moveInto(system, groups, Deno.pid, () => undefined), /cgroup\.procs/);
    const places = [{ version: 2 as const, folder: "/g", controllers: [] }];
    assert.ok(mayMove(system, { ...plan, places }, true));
    assert.ok(mayMove(system, plan, false));
  },
});

Deno.test({
  name: "groups of dead gateways are removed, of living ones and young strangers not",
  ignore: cgroup.places.length === 0,
  fn() {
    const system = linux();
    const folder = `${cgroup.places[0]!.folder}/secllama-test-${crypto.randomUUID()}`;
    const own = /secllama-(\d+)-/.exec(groupPrefix(system))![1];
    const names = {
      dead: `secllama-${own}-4194305-1`, // above the kernel's highest pid
      alive: `secllama-${own}-1-1`,
      stranger: "secllama-1-4194305-1", // of another pid namespace, and just made
      other: "secllama-test",
    };
    makeFolder(system, folder);
    try {
      for (const name of Object.values(names)) makeFolder(system, `${folder}/${name}`);
      assert.equal(sweepGroups(system, [{ ...cgroup.places[0]!, folder }]), 1);
      const left = new Set(listOptional(system, folder));
      assert.ok(!left.has(names.dead));
      for (const name of [names.alive, names.stranger, names.other]) {
        assert.ok(left.has(name), name);
      }
    } finally {
      for (const name of Object.values(names)) removeFolder(system, `${folder}/${name}`);
      removeFolder(system, folder);
    }
  },
});
