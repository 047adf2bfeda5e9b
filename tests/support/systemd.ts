/**
 * A real systemd as pid 1 of namespaces: a machine of its own over this one's files, which nothing that happens in it changes. Needs
 * root and overlayfs. All of it ends with `dispose`, or with this process.
 */
import { compiledProgram } from "./binary.ts";
import { until } from "./patience.ts";
import { type Ended, runToEnd } from "./run_to_end.ts";
import { tell } from "./signal.ts";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Makes the machine's root in a tmpfs over /, enters the groups that were made for it, and becomes systemd. systemd takes itself to
 * be in a container, so it leaves mounts private: credentials need them shared.
 */
const BOOT = `
set -eu
scratch=$1 program=$2; shift 2
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$scratch"
mkdir "$scratch/up" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/up,workdir=$scratch/work" "$scratch/root"
root=$scratch/root
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for folder in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$root/$folder"; done
chmod 755 "$root/run"
for group in "$@"; do echo 0 > "$group/cgroup.procs" || true; done
rm -rf "$root/etc/machine-id" "$root/etc/secllama" "$root/var/lib/private/secllama" "$root/var/cache/private/secllama"
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
ln -sf /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
install -m 755 "$program" "$root/usr/local/bin/secllama"
ip link set lo up
exec unshare --cgroup sh -eu -c '
  if grep -q "^cgroup .*name=systemd" /proc/mounts; then
    mount -t tmpfs -o mode=755 tmpfs "$1/sys/fs/cgroup"
    mkdir "$1/sys/fs/cgroup/unified" "$1/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$1/sys/fs/cgroup/systemd"
  else
    mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
  fi
  cd "$1"
  mkdir -p .old
  pivot_root . .old
  umount -l /.old
  mount --make-rshared /
  exec env -i container=secllama-test /usr/lib/systemd/systemd --system --log-target=journal --show-status=0 <&- >/dev/null 2>&1
' sh "$root"
`;

export interface Machine extends AsyncDisposable {
  /** Runs a shell's text in it, as root or as the user that `login` made. */
  sh(text: string, as?: string): Promise<Ended>;
  /** Makes a user with a home and a running service manager of their own. */
  login(name: string): Promise<void>;
}

/** Why there can be none here, or "". Says it once. */
export function systemdIgnored(): boolean {
  const why = Deno.build.os !== "linux"
    ? "systemd is Linux'"
    : Deno.uid() !== 0
    ? "its namespaces need root"
    : compiledProgram() === ""
    ? "it needs the compiled program"
    : "";
  if (why !== "") console.log(`skipped: a systemd in namespaces: ${why}`);
  return why !== "";
}

/** Boots it with the compiled program at /usr/local/bin/secllama. @throws {Error} If it does not come up, with what was said. */
export async function bootSystemd(): Promise<Machine> {
  const scratch = await Deno.makeTempDir({ prefix: "secllama-systemd-" });
  const groups = await makeGroups(`secllama-systemd-${crypto.randomUUID()}`);
  const child = new Deno.Command("/usr/bin/unshare", {
    args: [
      ...["--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child"],
      ...["/bin/sh", "-c", BOOT, "sh", scratch, compiledProgram(), ...groups],
    ],
    env: { PATH },
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let ended = false;
  const said = new Response(child.stderr).text();
  child.status.then(() => ended = true);
  const stop = async () => {
    if (!ended) tell(child, "SIGKILL");
    await child.status;
    await said;
    for (const folder of groups) await until(() => removeGroup(folder), `${folder} is empty`);
    await Deno.remove(scratch, { recursive: true });
  };
  try {
    const children = `/proc/${child.pid}/task/${child.pid}/children`;
    let pid = "";
    await until(async () => {
      if (ended) return true;
      pid = (await Deno.readTextFile(children).catch(() => "")).trim();
      const name = await Deno.readTextFile(`/proc/${pid}/comm`).catch(() => "");
      return pid !== "" && name.trim() === "systemd";
    }, "systemd runs");
    if (ended) throw new Error(`no systemd: ${await said}`);
    const enter = (args: readonly string[]) =>
      runToEnd(["/usr/bin/nsenter", "-t", pid, "-a", ...args], { env: { PATH } });
    await until(async () => {
      const { stdout } = await enter(["systemctl", "is-system-running", "--wait"]);
      return /^(running|degraded)$/m.test(stdout);
    }, "the machine is up");
    const users = new Map<string, number>();
    const asUser = (name: string) => {
      const uid = String(users.get(name));
      const runtime = `/run/user/${uid}`;
      const words = [
        ...["HOME=/home/" + name, `USER=${name}`, `XDG_RUNTIME_DIR=${runtime}`, `PATH=${PATH}`],
        `DBUS_SESSION_BUS_ADDRESS=unix:path=${runtime}/bus`,
      ];
      return ["setpriv", "--reuid", uid, "--regid", uid, "--init-groups", "env", "-i", ...words];
    };
    return {
      sh: (text, as) =>
        enter([...(as ? asUser(as) : ["env", "HOME=/root"]), "/bin/sh", "-c", `cd ~ && ${text}`]),
      async login(name) {
        const { stdout, stderr } = await enter([
          "/bin/sh",
          "-ec",
          `useradd -m ${name} >&2; uid=$(id -u ${name}); loginctl enable-linger ${name}; systemctl start user@$uid.service; echo $uid`,
        ]);
        const uid = Number(stdout);
        if (!(uid > 0)) throw new Error(`no user ${name}: ${stderr}`);
        users.set(name, uid);
      },
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A group in each hierarchy that this process may make one in: what systemd makes is inside, and goes with it. */
async function makeGroups(name: string): Promise<string[]> {
  const mounts = (await Deno.readTextFile("/proc/self/mounts")).split("\n").map((l) =>
    l.split(" ")
  );
  const made: string[] = [];
  for (const line of (await Deno.readTextFile("/proc/self/cgroup")).trim().split("\n")) {
    const [, names, own] = /^\d+:([^:]*):(.*)$/.exec(line)!;
    const at = mounts.find(([, , type, options]) =>
      names === "" ? type === "cgroup2" : type === "cgroup" && options!.split(",").includes(names!)
    )?.[1];
    // A new cpuset has no processors, and takes no process.
    if (at === undefined || names === "cpuset") continue;
    const folder = `${at}${own === "/" ? "" : own}/${name}`;
    try {
      await Deno.mkdir(folder);
      made.push(folder);
    } catch { /* read-only here: systemd says so itself, if it needs it */ }
  }
  return made;
}

/** Whether it could be removed, with all groups in it. */
async function removeGroup(folder: string): Promise<boolean> {
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory && !await removeGroup(`${folder}/${name}`)) return false;
    }
    await Deno.remove(folder);
    return true;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
