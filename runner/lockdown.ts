/**
 * Stage 2: what the runner takes from itself. Early, before it reads anything: it cannot be dumped or traced. Late, once the
 * model is loaded: a filter on every thread after which nothing can be executed, forked, mapped executable or opened. All
 * libraries must be open by then, and V8 must not compile (`--jitless`).
 */
import profile from "../sandbox-profiles/linux.json" with { type: "json" };
import { tryProfile } from "../src/escape/macos.ts";
import { openMacosLibc } from "../src/macos/libc.ts";
import { errnoName } from "../src/linux/errno.ts";
import { hardenProcess } from "../src/linux/harden.ts";
import { cstr, type Linux, linux, openFlags, SystemCallError } from "../src/linux/libc.ts";
import {
  compile,
  installFilter,
  type PolicyPart,
  type SeccompPolicy,
} from "../src/linux/seccomp.ts";
import { stage2Of } from "../src/linux/stage2.ts";
import { joined, type MappedFile, mappedFiles } from "../src/linux/mapped_files.ts";
import { openWindowsApi } from "../src/windows/api.ts";
import { jobReport } from "../src/windows/job_report.ts";

export interface LayerResult {
  /** On Linux: not dumpable, no core dump, no new privileges, landlock, stage 2; elsewhere names of the plan's layers. */
  readonly layer: string;
  readonly enforced: boolean;
  /** The reading, or the error. */
  readonly observed: string;
}

interface LockdownOptions {
  /** What a GPU's driver needs after load, from its policy. */
  readonly more?: PolicyPart;
}

const EPERM = 1;
const EACCES = 13;

let early: LayerResult[] = [];

/**
 * Undumpable and without core dumps; the first thing that the runner does. execve resets it, so the launcher cannot.
 * On an operating system other than Linux it does nothing: the platform's sandbox holds there.
 */
export function hardenEarly(): void {
  if (Deno.build.os !== "linux") return;
  const { notDumpable, noCoreDump } = hardenProcess(linux());
  early = [
    { layer: "not dumpable", enforced: notDumpable, observed: `PR_GET_DUMPABLE ${+!notDumpable}` },
    { layer: "no core dump", enforced: noCoreDump, observed: "RLIMIT_CORE at most 1" },
  ];
  settleSignals();
  touching = touchMappedFiles(linux());
}

let touching: Promise<readonly MappedFile[]> = Promise.resolve([]);

/**
 * Brings every page of the executable and the libraries into this process's mapping, so that later no first touch of one shows to
 * others who map the same file, nor what these do to it shows here. Not those of `done`, and not the model's, which llama.cpp has
 * read as a whole. Kernels before 5.14 cannot.
 * @returns What is mapped.
 */
async function touchMappedFiles(
  system: Linux,
  done: readonly MappedFile[] = [],
): Promise<MappedFile[]> {
  const MADV_POPULATE = { read: 22, write: 23 };
  const touched = new Set(done.map((file) => file.start));
  const files = mappedFiles(system.readText("/proc/self/maps"));
  for (const { start, end, readable, writable, shared } of files) {
    if (shared || !readable || touched.has(start)) continue;
    const advice = writable ? MADV_POPULATE.write : MADV_POPULATE.read;
    await system.callAside("madvise", start, end - start, advice);
  }
  return files;
}

/**
 * Makes Deno open the socket pair of its signal handlers now. It would do so a second after the start by itself, under stage 2,
 * which opens nothing more.
 */
function settleSignals(): void {
  const nothing = () => {};
  Deno.addSignalListener("SIGUSR2", nothing);
  Deno.removeSignalListener("SIGUSR2", nothing);
}

/** The policy of stage 2 for these options. */
export function stage2Policy(options: LockdownOptions = {}): SeccompPolicy {
  return stage2Of(profile as unknown as Parameters<typeof stage2Of>[0], options.more);
}

/**
 * Installs stage 2 on every thread and then tries what it forbids. Elsewhere than on Linux the sandbox is whole from the start,
 * and is only tried. Returns one result a layer, never throws: the gateway
 * judges.
 */
export async function lockdown(options: LockdownOptions = {}): Promise<LayerResult[]> {
  if (Deno.build.os === "darwin") return tryProfile(openMacosLibc());
  if (Deno.build.os === "windows") return jobReport(openWindowsApi());
  const system = linux();
  const results = [...early];
  const PR_SET_NO_NEW_PRIVS = 38;
  const PR_GET_NO_NEW_PRIVS = 39;
  system.prctl(PR_SET_NO_NEW_PRIVS, 1);
  results.push({
    layer: "no new privileges",
    enforced: system.prctl(PR_GET_NO_NEW_PRIVS) === 1,
    observed: `PR_GET_NO_NEW_PRIVS ${system.prctl(PR_GET_NO_NEW_PRIVS)}`,
  });
  results.push(landlockResult(system));
  try {
    await touchMappedFiles(system, await touching);
    const files = joined(mappedFiles(system.readText("/proc/self/maps")));
    const program = compile(stage2Policy(options), { arch: system.arch, files });
    installFilter(system, program);
    const open = stillOpen(system);
    results.push({
      layer: "stage 2",
      enforced: open.length === 0,
      observed: open.length === 0
        ? `${program.length} instructions on every thread`
        : `still possible: ${open.join(", ")}`,
    });
  } catch (error) {
    const observed = error instanceof SystemCallError ? error.message : "the filter is not valid";
    results.push({ layer: "stage 2", enforced: false, observed });
  }
  return results;
}

/** No rule of the launcher's covers `/`, which any user may list: only Landlock refuses that. */
function landlockResult(system: Linux): LayerResult {
  const root = system.call("openat", -100, cstr("/"), openFlags(system.arch).directory, 0);
  if (root >= 0) system.call("close", root);
  return {
    layer: "landlock",
    enforced: root === -EACCES,
    observed: root >= 0 ? "the root folder can be opened" : `open /: ${errnoName(-root)}`,
  };
}

/** Of the things that stage 2 forbids, those that do not fail. Each call is harmless if it passes. */
function stillOpen(system: Linux): string[] {
  const refused = (result: number) => result === -EPERM || result === -EACCES;
  const open: string[] = [];
  // Null pointers: a call that the filter lets through fails with EFAULT instead.
  if (!refused(system.call("execve", null, null, null))) open.push("execve");
  if (!refused(system.call("execveat", -1, null, null, null, 0))) open.push("execveat");
  if (!refused(system.call("openat", -100, null, 1))) open.push("opening for writing");
  const PROT_READ_EXEC = 5;
  const MAP_PRIVATE_ANONYMOUS = 0x22;
  const at = system.call("mmap", null, 4096, PROT_READ_EXEC, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (at >= 0) {
    system.call("munmap", at, 4096);
    open.push("executable memory");
  } else if (!refused(at)) open.push(`executable memory (${errnoName(-at)})`);
  return open;
}
