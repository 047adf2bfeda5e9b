/** Attacks on files outside of what the runner was given. */
import { alloc, AT_FDCWD, cstr, type Linux, O } from "../../linux/libc.ts";
import {
  type Attack,
  type Battlefield,
  byDeno,
  byResult,
  type Outcome,
  readProof,
} from "./attack.ts";

function path(field: Battlefield, name: string): Uint8Array<ArrayBuffer> {
  return cstr(`${field.folder}/${name}`);
}

function openFor(flags: number, name: string) {
  return (linux: Linux, field: Battlefield): Outcome => {
    const fd = linux.call("openat", AT_FDCWD, path(field, name), flags | O.closeOnExec, 0o644);
    if (fd < 0) return byResult("openat", fd);
    const text = new TextEncoder().encode("overwritten");
    const result = linux.call("write", fd, text, text.length);
    linux.call("close", fd);
    return byResult("write", result);
  };
}

/** open(2) on another thread than the main one, which is where a Landlock applied too late would let it pass. */
async function readOnWorkerThread(_linux: Linux, field: Battlefield): Promise<Outcome> {
  const { symbols } = WORKER;
  const fd = await symbols.open(path(field, "secret"), O.readOnly | O.closeOnExec);
  if (fd < 0) return { out: false, step: "open on a worker thread", errno: "refused" };
  const buffer = alloc(256);
  const got = await symbols.read(fd, buffer, 256n);
  const out = new TextDecoder().decode(buffer.subarray(0, Number(got))).includes(field.canary);
  return { out, step: "read on a worker thread", errno: "", proof: out ? field.canary : "" };
}

// Opened when the program starts: stage 2 lets nothing be loaded afterwards.
const WORKER = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32"], result: "i32", nonblocking: true },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize", nonblocking: true },
});

const reads: readonly [string, string][] = [
  ["read ~/.ssh (a secret file)", "secret"],
  ["read another model's blob", "other-model.gguf"],
  ["read the key manifest", "key.json"],
];

export const FILES: readonly Attack[] = [
  ...reads.map(([name, file]): Attack => ({
    name,
    run: (linux, field) => readProof(linux, `${field.folder}/${file}`, field.canary),
  })),
  { name: "read on a worker thread", run: readOnWorkerThread },
  {
    name: "Deno.readTextFile",
    run: (_linux, field) =>
      byDeno("Deno.readTextFile", () => Deno.readTextFile(`${field.folder}/secret`)),
  },
  {
    name: "Deno.writeTextFile",
    run: (_linux, field) =>
      byDeno(
        "Deno.writeTextFile",
        () => Deno.writeTextFile(`${field.folder}/plain`, "overwritten"),
      ),
  },
  {
    name: "list a folder outside",
    run(linux, field) {
      try {
        return { out: linux.readDirectory(field.folder).length > 0, step: "getdents", errno: "" };
      } catch (error) {
        return { out: false, step: (error as Error).message.split(":")[0]!, errno: "refused" };
      }
    },
  },
  { name: "write a file outside", run: openFor(O.writeOnly, "plain") },
  { name: "create a file outside", run: openFor(O.writeOnly | O.create, "created") },
  { name: "truncate by open", run: openFor(O.writeOnly | O.truncate, "plain") },
  {
    name: "truncate",
    run: (linux, f) => byResult("truncate", linux.call("truncate", path(f, "plain"), 0)),
  },
  {
    name: "chmod",
    run: (linux, f) =>
      byResult("fchmodat", linux.call("fchmodat", AT_FDCWD, path(f, "plain"), 0o600)),
  },
  {
    name: "chown",
    run: (linux, f) =>
      byResult("fchownat", linux.call("fchownat", AT_FDCWD, path(f, "plain"), -1, -1, 0)),
  },
  {
    name: "change file times",
    run: (linux, f) =>
      byResult("utimensat", linux.call("utimensat", AT_FDCWD, path(f, "plain"), null, 0)),
  },
  {
    name: "extended attribute",
    run: (linux, f) =>
      byResult(
        "setxattr",
        linux.call("setxattr", path(f, "plain"), cstr("user.secllama"), cstr("x"), 1, 0),
      ),
  },
  {
    name: "hard link",
    run: (linux, f) =>
      byResult(
        "linkat",
        linux.call("linkat", AT_FDCWD, path(f, "secret"), AT_FDCWD, path(f, "linked"), 0),
      ),
  },
  {
    name: "symbolic link",
    run: (linux, f) =>
      byResult("symlinkat", linux.call("symlinkat", cstr("x"), AT_FDCWD, path(f, "symlink"))),
  },
  {
    name: "make a folder",
    run: (linux, f) => byResult("mkdirat", linux.call("mkdirat", AT_FDCWD, path(f, "made"), 0o755)),
  },
  {
    name: "rename",
    run: (linux, f) =>
      byResult(
        "renameat2",
        linux.call("renameat2", AT_FDCWD, path(f, "plain"), AT_FDCWD, path(f, "renamed"), 0),
      ),
  },
  {
    name: "remove a file",
    run: (linux, f) =>
      byResult("unlinkat", linux.call("unlinkat", AT_FDCWD, path(f, "expendable"), 0)),
  },
  {
    name: "stat outside",
    run: (linux, f) =>
      byResult("statx", linux.call("statx", AT_FDCWD, path(f, "secret"), 0, 0x7ff, alloc(256))),
  },
  {
    name: "stat in the working folder",
    run: (linux) =>
      byResult("statx", linux.call("statx", AT_FDCWD, cstr("secret"), 0, 0x7ff, alloc(256))),
  },
  {
    name: "read in the working folder",
    run: (linux, f) => readProof(linux, "secret", f.canary),
  },
  {
    name: "leave the root by ..",
    run: (linux, f) => readProof(linux, `/../../../../../..${f.folder}/secret`, f.canary),
  },
];
