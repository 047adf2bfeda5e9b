/** Attempts to start another program. One that works replaces this process, and its exit code is the evidence. */
import {
  addressOf,
  alloc,
  AT_EMPTY_PATH,
  cstr,
  cstrArray,
  type Linux,
  O,
} from "../../linux/libc.ts";
import { type Attack, byResult, type Outcome } from "./attack.ts";

function exec(linux: Linux, path: string, args: readonly string[]): Outcome {
  const argv = cstrArray([path, ...args]);
  const env = cstrArray([]);
  const result = linux.call("execve", cstr(path), argv.pointers, env.pointers);
  void argv.keep.length;
  return byResult("execve", result);
}

const LOADER = Deno.build.arch === "aarch64"
  ? "/lib/ld-linux-aarch64.so.1"
  : "/lib64/ld-linux-x86-64.so.2";

/** The loader's bytes in anonymous memory, executed from there: no file outside is needed. */
function execFromMemory(linux: Linux): Outcome {
  const source = linux.call("openat", -100, cstr(LOADER), O.closeOnExec, 0);
  if (source < 0) return byResult("open the loader", source);
  const memory = linux.call("memfd_create", cstr("x"), 1);
  if (memory < 0) return byResult("memfd_create", memory);
  const buffer = alloc(65536);
  for (;;) {
    const got = linux.call("read", source, buffer, buffer.length);
    if (got <= 0) break;
    const put = linux.call("write", memory, addressOf(buffer), got);
    if (put < 0) return byResult("write", put);
  }
  const argv = cstrArray(["x", "--version"]);
  const env = cstrArray([]);
  const result = linux.call(
    "execveat",
    memory,
    cstr(""),
    argv.pointers,
    env.pointers,
    AT_EMPTY_PATH,
  );
  void argv.keep.length;
  return byResult("execveat", result);
}

export const EXECUTE: readonly Attack[] = [
  { name: "exec /bin/true", ends: "replaced", run: (linux) => exec(linux, "/bin/true", []) },
  {
    name: "exec the loader",
    ends: "replaced",
    run: (linux) => exec(linux, LOADER, ["--version"]),
  },
  { name: "exec from a memfd", ends: "replaced", run: execFromMemory },
  {
    name: "exec itself again",
    ends: "replaced",
    run: (linux) => exec(linux, "/proc/self/exe", ["--version"]),
  },
  {
    name: "node child_process.fork",
    async run() {
      const { spawn } = await import("node:child_process");
      const step = "child_process";
      return await new Promise<Outcome>((resolve) => {
        try {
          const child = spawn("/bin/true");
          child.on("error", (error) => resolve({ out: false, step, errno: error.name }));
          child.on("exit", (code) => resolve({ out: code === 0, step, errno: "" }));
        } catch (error) {
          resolve({ out: false, step, errno: (error as Error).name });
        }
      });
    },
  },
  {
    name: "Deno.Command",
    async run() {
      try {
        const { success } = await new Deno.Command("/bin/true").output();
        return { out: success, step: "Deno.Command", errno: "" };
      } catch (error) {
        return { out: false, step: "Deno.Command", errno: (error as Error).name };
      }
    },
  },
];
