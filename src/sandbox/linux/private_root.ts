/**
 * The launcher's private root: a small tmpfs that holds read-only clones of the given paths, pivoted into, with the host's
 * tree detached. Uses the mount API of Linux 5.12 (open_tree, mount_setattr, move_mount): a clone is made and locked down
 * before it is visible anywhere, and symbolic links are followed in the host's tree, not in the new one.
 */
import {
  alloc,
  AT_EMPTY_PATH,
  AT_FDCWD,
  cstr,
  type Linux,
  O,
  SystemCallError,
} from "../../linux/libc.ts";
import type { Bind, BindKind } from "./launch_spec.ts";

const OPEN_TREE_CLONE = 1;
const AT_RECURSIVE = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MS = { rec: 0x4000, private: 0x40000, nosuid: 2, nodev: 4, noexec: 8 } as const;
const MNT_DETACH = 2;
/** MOUNT_ATTR_* */
const ATTR = { readOnly: 1, noSuid: 2, noDev: 4, noExec: 8 } as const;
const EEXIST = 17;

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
 * Builds the root and enters it. Needs CAP_SYS_ADMIN over the mount namespace, which must be this process's own.
 * @throws {SystemCallError} At the first step that the kernel refuses; the caller must not go on.
 */
export function enterPrivateRoot(
  linux: Linux,
  root: { readonly hostname: string; readonly binds: readonly Bind[] },
): void {
  linux.must(
    "make mounts private",
    "mount",
    null,
    cstr("/"),
    null,
    MS.rec | MS.private,
    null,
  );
  const clones = root.binds.map((bind) => clonePath(linux, bind));
  const base = "/tmp";
  linux.must(
    `mount a tmpfs on ${base}`,
    "mount",
    cstr("tmpfs"),
    cstr(base),
    cstr("tmpfs"),
    MS.nosuid | MS.nodev | MS.noexec,
    cstr("mode=0755,size=64k,nr_inodes=1k"),
  );
  makeDirectory(linux, `${base}/old`);
  linux.must("pivot_root", "pivot_root", cstr(base), cstr(`${base}/old`));
  linux.must("enter the root", "chdir", cstr("/"));
  for (const clone of clones) {
    place(linux, clone);
    linux.call("close", clone.fd);
  }
  linux.must("detach the host's tree", "umount2", cstr("/old"), MNT_DETACH);
  linux.must("remove /old", "unlinkat", AT_FDCWD, cstr("/old"), 0x200 /* AT_REMOVEDIR */);
  setAttributes(linux, "make the root read-only", AT_FDCWD, "/", ATTR.readOnly, 0);
  linux.must("set the host name", "sethostname", cstr(root.hostname), root.hostname.length);
}

function clonePath(linux: Linux, bind: Bind): Clone {
  const what = `clone ${bind.from}`;
  const fd = linux.must(
    what,
    "open_tree",
    AT_FDCWD,
    cstr(bind.from),
    OPEN_TREE_CLONE | O.closeOnExec | AT_RECURSIVE,
  );
  const directory = isDirectory(linux, fd, what);
  let attributes = ATTRIBUTES[bind.kind];
  // A folder of the caller's may hold libraries; a single file is a bundle or a model, never code to be mapped.
  if (bind.kind === "content" && !directory) attributes |= ATTR.noExec;
  setAttributes(linux, what, fd, "", attributes, AT_EMPTY_PATH | AT_RECURSIVE);
  return { fd, directory, to: bind.to };
}

function setAttributes(
  linux: Linux,
  what: string,
  fd: number,
  path: string,
  set: number,
  flags: number,
): void {
  const attr = alloc(32); // struct mount_attr: attr_set, attr_clr, propagation, userns_fd, u64 each
  const view = new DataView(attr.buffer);
  view.setBigUint64(0, BigInt(set), true);
  view.setBigUint64(16, BigInt(MS.private), true);
  linux.must(what, "mount_setattr", fd, cstr(path), flags, attr, attr.length);
}

function place(linux: Linux, clone: Clone): void {
  const parts = clone.to.split("/").slice(1);
  for (let i = 1; i < parts.length; i++) makeDirectory(linux, "/" + parts.slice(0, i).join("/"));
  if (clone.directory) makeDirectory(linux, clone.to);
  else {
    const fd = linux.must(
      `make ${clone.to}`,
      "openat",
      AT_FDCWD,
      cstr(clone.to),
      O.create | O.exclusive | O.writeOnly | O.closeOnExec,
      0o444,
    );
    linux.call("close", fd);
  }
  linux.must(
    `bind ${clone.to}`,
    "move_mount",
    clone.fd,
    cstr(""),
    AT_FDCWD,
    cstr(clone.to),
    MOVE_MOUNT_F_EMPTY_PATH,
  );
}

function makeDirectory(linux: Linux, path: string): void {
  const result = linux.call("mkdirat", AT_FDCWD, cstr(path), 0o755);
  if (result < 0 && result !== -EEXIST) throw new SystemCallError(`make ${path}`, -result);
}

function isDirectory(linux: Linux, fd: number, what: string): boolean {
  const stat = alloc(256);
  linux.must(what, "statx", fd, cstr(""), AT_EMPTY_PATH, 1, /* STATX_TYPE */ stat);
  return (new DataView(stat.buffer).getUint16(28, true) & 0o170000) === 0o040000; // stx_mode
}
