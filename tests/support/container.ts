/**
 * Containers to test in. `podman` is the real thing: podman and crun with Docker's set of capabilities, their own seccomp profile,
 * masked and read-only parts of /proc, over Debian's minbase. `fake` is for machines where that does not run: the same root file
 * system, capabilities and mounts, made by unshare, mount and setpriv; it has no seccomp profile, and says so by its name.
 */
import { BASE_SYSTEM } from "./base_system.ts";
import { HANG_MS } from "./patience.ts";
import { type Ended, runToEnd } from "./run_to_end.ts";

export type Engine = "podman" | "fake";

export interface ContainerOptions {
  /** Bound read-only, by its path inside. */
  readonly files: { readonly [inside: string]: string };
  /** Further options of `podman run`. */
  readonly options?: readonly string[];
}

const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", LANG: "C.UTF-8" };

/** What Docker gives to root (moby's DefaultCapabilities); podman's own set lacks three of them. */
const CAPABILITIES = [
  ...["chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid"],
  ...["setfcap", "setpcap", "net_bind_service", "sys_chroot", "kill", "audit_write"],
];
/** Of that set, as /proc/PID/status has it. */
export const DOCKER_CAPABILITIES = "00000000a80425fb";

/** Docker's defaults, as far as a mount shows them. */
const MASKED = ["acpi", "kcore", "keys", "latency_stats", "timer_list", "sched_debug", "scsi"];
const READ_ONLY = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/**
 * Namespaces that end with their first process, with all that a container's engine starts and mounts. crun knows no machine that has
 * both kinds of cgroups: here it sees the second only, and makes none. $0: a folder for podman's files.
 */
const PREPARE = `
set -eu
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
limit() {
  value=$(sed -n "s/^Max $1  *[a-z0-9]*  *\\([a-z0-9]*\\) .*/\\1/p" /proc/self/limits)
  if [ "$value" = unlimited ]; then value=-1; fi
  echo "$value:$value"
}
`;
const OPTIONS = "--cgroup-manager cgroupfs --events-backend none";

const PODMAN = `${PREPARE}
exec podman --root "$0/root" --runroot "$0/run" --tmpdir "$0/tmp" --storage-driver vfs \\
  ${OPTIONS} run --rm --network none --cgroups disabled \\
  --ulimit "nofile=$(limit "open files")" --ulimit "nproc=$(limit processes)" \\
  --cap-add NET_RAW,MKNOD,AUDIT_WRITE "$@"
`;

/**
 * A `docker` that is podman, and the image debian:12-slim, which is the base system. $0: a folder; $1: the base system; $2: the
 * script that uses them.
 */
const DOCKER = `${PREPARE}
mkdir "$0/bin" "$0/work"
cat >"$0/bin/docker" <<END
#!/bin/sh
podman() {
  exec /usr/bin/podman --root "$0/root" --runroot "$0/run" --tmpdir "$0/tmp" --storage-driver overlay ${OPTIONS} "\\$@"
}
word=\\$1; shift
case \\$word in
  build) podman build --isolation chroot --layers=false "\\$@" ;;
  run)
    case " \\$* " in *" --network "*) ;; *) set -- --network none "\\$@" ;; esac
    podman run --cgroups disabled --ulimit "nofile=$(limit "open files")" --ulimit "nproc=$(limit processes)" "\\$@" ;;
  *) podman "\\$word" "\\$@" ;;
esac
END
chmod +x "$0/bin/docker"
export PATH="$0/bin:$PATH"
tar -C "$1" -c . | docker import --quiet - docker.io/library/debian:12-slim >/dev/null
cd "$0/work"
. "$2"
`;

/** $0: the base system; then pairs of files and where they are to be, "--", and what is to run. */
const FAKE = `
set -eu
ip link set lo up
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$0,upperdir=/mnt/upper,workdir=/mnt/work" none /mnt/root
root=/mnt/root
while [ "$1" != -- ]; do
  : >"$root$2"
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro "$root$2"
  shift 2
done
shift
mount -t proc -o nosuid,nodev,noexec none "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec none "$root/sys"
mount --rbind /dev "$root/dev"
for name in ${MASKED.join(" ")}; do
  if [ -d "$root/proc/$name" ]; then mount -t tmpfs -o ro none "$root/proc/$name"
  elif [ -e "$root/proc/$name" ]; then mount --bind /dev/null "$root/proc/$name"; fi
done
for name in ${READ_ONLY.join(" ")}; do
  if [ -e "$root/proc/$name" ]; then
    mount --bind "$root/proc/$name" "$root/proc/$name"
    mount -o remount,bind,ro "$root/proc/$name"
  fi
done
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv \\
  --bounding-set=-all,${CAPABILITIES.map((name) => `+${name}`).join(",")} \\
  --inh-caps=-all -- "$@"
`;

const NAMESPACES = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"];

/** Runs a program in a new container, as root unless `options` say otherwise. The fake takes none. */
export async function inContainer(
  engine: Engine,
  argv: readonly string[],
  { files, options = [] }: ContainerOptions,
): Promise<Ended> {
  const binds = Object.entries(files);
  if (engine === "fake" && options.length > 0) throw new TypeError("the fake takes no options");
  const folder = await Deno.makeTempDir({ prefix: "secllama-container-" });
  try {
    const inner = engine === "fake"
      ? [FAKE, BASE_SYSTEM, ...binds.flatMap(([to, from]) => [from, to]), "--", ...argv]
      : [
        ...[PODMAN, folder],
        ...binds.flatMap(([to, from]) => ["--volume", `${from}:${to}:ro`]),
        ...options,
        ...["--rootfs", `${BASE_SYSTEM}:O`, ...argv],
      ];
    return await runToEnd(
      [
        ...["/usr/bin/unshare", ...NAMESPACES, "--mount-proc"],
        ...(engine === "fake" ? ["--net"] : []),
        ...["/bin/sh", "-c", ...inner],
      ],
      { env: ENV, timeoutSeconds: HANG_MS / 1000 },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a shell script, with `set -eu`, in an empty folder and with a `docker`: see {@link DOCKER}. */
export async function withDocker(script: string, env: Record<string, string>): Promise<Ended> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-docker-" });
  try {
    await Deno.writeTextFile(`${folder}/script`, script);
    return await runToEnd(
      [
        ...["/usr/bin/unshare", ...NAMESPACES, "--mount-proc", "/bin/sh", "-c", DOCKER],
        ...[folder, BASE_SYSTEM, `${folder}/script`],
      ],
      { env: { ...ENV, ...env }, timeoutSeconds: HANG_MS / 1000 },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const PODMAN_PROFILE = "/usr/share/containers/seccomp.json";

interface Profile {
  syscalls: { names: string[]; action: string; includes?: { caps?: string[] }; args?: unknown }[];
}

/** Calls that moby's default profile, unlike podman's, has for CAP_SYS_ADMIN only; pivot_root and its like it has for nobody. */
const NAMESPACE_CALLS = [
  ...["fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount"],
  ...["open_tree", "setns", "umount", "umount2", "unshare", "sethostname", "setdomainname"],
  ...["pivot_root", "clone3"],
];
const LANDLOCK_CALLS = ["create_ruleset", "add_rule", "restrict_self"].map((name) =>
  `landlock_${name}`
);
/** CLONE_NEW*, as moby's profile masks them. */
const CLONE_NAMESPACES = 0x7E020000;

/**
 * podman's seccomp profile changed to what Docker's does to a process without CAP_SYS_ADMIN.
 * @param o `landlock: false`: as an engine from before Landlock.
 */
export async function dockerProfile(o: { landlock: boolean }): Promise<string> {
  const profile: Profile = JSON.parse(await Deno.readTextFile(PODMAN_PROFILE));
  const refused = new Set([...NAMESPACE_CALLS, "clone", ...(o.landlock ? [] : LANDLOCK_CALLS)]);
  for (const rule of profile.syscalls) {
    rule.names = rule.names.filter((name) => !refused.has(name));
  }
  profile.syscalls = profile.syscalls.filter(({ names }) => names.length > 0);
  profile.syscalls.push(
    {
      names: ["clone"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: CLONE_NAMESPACES, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
    },
    {
      names: [...refused].filter((name) => name !== "clone" && name !== "clone3"),
      action: "SCMP_ACT_ERRNO",
    },
  );
  return JSON.stringify(profile);
}

/** Why podman cannot be used here, or "". */
export async function podmanMissing(): Promise<string> {
  try {
    const { code, stderr } = await inContainer("podman", ["/bin/true"], { files: {} });
    return code === 0 ? "" : `podman does not run here: ${stderr.trim().split("\n").at(-1)}`;
  } catch {
    return "podman does not run here";
  }
}
