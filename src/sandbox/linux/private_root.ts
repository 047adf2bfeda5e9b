/**
 * The launcher's private root: a small tmpfs that holds read-only clones of the given paths, pivoted into, with the host's
 * tree detached. Uses the mount API of Linux 5.12 (open_tree, mount_setattr, move_mount): a clone is made and locked down
 * before it is visible anywhere, and symbolic links are followed in the host's tree, not in the new one.
 *
 * The clones' descriptors close on exec. Needs CAP_SYS_ADMIN over the mount namespace, which must be the process's own.
 */
import { Memory, type Step } from "../../linux/syscall_table.ts";
import { AT_EMPTY_PATH, AT_FDCWD, O } from "../../linux/libc.ts";
import type { Descriptors } from "./descriptors.ts";
import type { Bind, BindKind, PrivateRoot } from "./launch_spec.ts";

const OPEN_TREE_CLONE = 1;
const AT_RECURSIVE = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MS = { rec: 0x4000, private: 0x40000, nosuid: 2, nodev: 4, noexec: 8 } as const;
const MNT_DETACH = 2;
/** MOUNT_ATTR_* */
const ATTR = { readOnly: 1, noSuid: 2, noDev: 4, noExec: 8 } as const;

const ATTRIBUTES: Record<BindKind, number> = {
  program: ATTR.readOnly | ATTR.noSuid | ATTR.noDev,
  library: ATTR.readOnly | ATTR.noSuid | ATTR.noDev,
  content: ATTR.readOnly | ATTR.noSuid | ATTR.noDev,
  data: ATTR.readOnly | ATTR.noSuid | ATTR.noDev | ATTR.noExec,
  device: ATTR.readOnly | ATTR.noSuid | ATTR.noExec,
};

interface Clone {
  readonly fd: number;
  readonly directory: boolean;
  readonly to: string;
}

/**
 * Builds the root and enters it. What is a folder is asked before, of the host: if that has changed by the time of the launch, a
 * folder's clone meets a file, or the other way round, and the kernel refuses to place it.
 */
export function enterPrivateRoot(
  root: PrivateRoot,
  fds: Descriptors,
  isDirectory: (hostPath: string) => boolean,
): Step[] {
  const base = "/tmp";
  const steps: Step[] = [{
    what: "make mounts private",
    call: "mount",
    args: [null, "/", null, MS.rec | MS.private, null],
  }];
  const clones = root.binds.map((bind): Clone => {
    const clone = { fd: fds.open(), directory: isDirectory(bind.from), to: bind.to };
    steps.push(...clonePath(bind, clone));
    return clone;
  });
  steps.push(
    {
      what: `mount a tmpfs on ${base}`,
      call: "mount",
      args: [
        "tmpfs",
        base,
        "tmpfs",
        MS.nosuid | MS.nodev | MS.noexec,
        "mode=0755,size=64k,nr_inodes=1k",
      ],
    },
    { what: "enter the root", call: "chdir", args: [base] },
    // pivot_root(2), "pivot_root(".", ".")": the host's tree then lies on top of the new root, until it is detached.
    { what: "pivot_root", call: "pivot_root", args: [".", "."] },
    { what: "detach the host's tree", call: "umount2", args: [".", MNT_DETACH] },
  );
  const made = new Set<string>();
  for (const clone of clones) steps.push(...place(clone, made, fds));
  for (const { at, to } of root.links) {
    steps.push(...makeParents(at, made), {
      what: `link ${at}`,
      call: "symlinkat",
      args: [to, AT_FDCWD, at],
    });
  }
  if (root.writable) steps.push(...mountWritable(root.writable, made));
  return [
    ...steps,
    setAttributes("make the root read-only", AT_FDCWD, "/", ATTR.readOnly, 0),
    {
      what: "set the host name",
      call: "sethostname",
      // podman's seccomp profile lets an ordinary user have namespaces and not name them: the runner then sees the container's name.
      tolerate: "EPERM",
      args: [root.hostname, new TextEncoder().encode(root.hostname).length],
    },
  ];
}

/** A folder in memory, by its own mount: the root around it is made read-only without it. */
function mountWritable(
  { at, bytes, executable, user }: NonNullable<PrivateRoot["writable"]>,
  made: Set<string>,
): Step[] {
  const owner = user === null ? "" : `,uid=${user},gid=${user}`;
  return [...makeParents(at, made), ...make(at, made), {
    what: `mount a tmpfs on ${at}`,
    call: "mount",
    args: [
      "tmpfs",
      at,
      "tmpfs",
      MS.nosuid | MS.nodev | (executable ? 0 : MS.noexec),
      `mode=0700,size=${bytes},nr_inodes=${executable ? "64k" : "16"}${owner}`,
    ],
  }];
}

function clonePath(bind: Bind, clone: Clone): Step[] {
  const what = `clone ${bind.from}`;
  let attributes = ATTRIBUTES[bind.kind];
  // A folder of the caller's may hold libraries; a single file is a bundle or a model, never code to be mapped.
  if (bind.kind === "content" && !clone.directory) attributes |= ATTR.noExec;
  return [
    {
      what,
      call: "open_tree",
      args: [AT_FDCWD, bind.from, OPEN_TREE_CLONE | O.closeOnExec | AT_RECURSIVE],
      wanted: clone.fd,
    },
    setAttributes(what, clone.fd, "", attributes, AT_EMPTY_PATH | AT_RECURSIVE),
  ];
}

function setAttributes(what: string, fd: number, path: string, set: number, flags: number): Step {
  const attr = Memory.words(set, 0, MS.private, 0); // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
  return { what, call: "mount_setattr", args: [fd, path, flags, attr, attr.bytes.length] };
}

function place(clone: Clone, made: Set<string>, fds: Descriptors): Step[] {
  const steps = makeParents(clone.to, made);
  if (clone.directory) steps.push(...make(clone.to, made));
  else {
    const fd = fds.open();
    steps.push(
      {
        what: `make ${clone.to}`,
        call: "openat",
        args: [
          AT_FDCWD,
          clone.to,
          O.create | O.exclusive | O.writeOnly | O.closeOnExec,
          0o444,
        ],
        wanted: fd,
      },
      fds.close(fd),
    );
  }
  steps.push({
    what: `bind ${clone.to}`,
    call: "move_mount",
    args: [clone.fd, "", AT_FDCWD, clone.to, MOVE_MOUNT_F_EMPTY_PATH],
  });
  return steps;
}

function makeParents(path: string, made: Set<string>): Step[] {
  const parts = path.split("/").slice(1);
  return parts.slice(1).flatMap((_, i) => make(`/${parts.slice(0, i + 1).join("/")}`, made));
}

function make(path: string, made: Set<string>): Step[] {
  if (made.has(path)) return [];
  made.add(path);
  return [{ what: `make ${path}`, call: "mkdirat", args: [AT_FDCWD, path, 0o755] }];
}
