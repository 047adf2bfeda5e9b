/**
 * Which layer an attack met first, told from the call and the error that it got: each layer has answers of its own. What would hold
 * if that layer were missing is another question; docs/sandbox-matrix.md has it.
 */
import { SHARED_MEMORY_BOMB } from "../attacks/bombs.ts";
import { CORE_DUMP } from "../attacks/kernel.ts";
import type { SeccompPolicy } from "../../linux/seccomp.ts";
import { isSyscall } from "../../linux/syscalls.ts";
import { BASE_POLICY } from "../../sandbox/linux/policy.ts";
import type { Judgement } from "./judge.ts";

/** Answers that only one layer gives. */
const BY_ERROR: { readonly [errno: string]: string } = {
  SIGSYS: "seccomp",
  NotCapable: "Deno's permissions",
  // Deno's own calls where its permissions are wide, as a compiled runner's for reading are.
  NotFound: "private root",
  PermissionDenied: "Landlock or seccomp",
  EBADF: "descriptors closed before exec",
  ENOENT: "private root",
  ESRCH: "pid namespace",
  ENETUNREACH: "network namespace",
  ECONNREFUSED: "network namespace",
  ENOMEM: "limits",
  EAGAIN: "limits or cgroup",
};

/** Attacks whose answer is not an error of a call. */
const BY_NAME: { readonly [attack: string]: string } = {
  [CORE_DUMP]: "limits, not dumpable",
  [SHARED_MEMORY_BOMB]: "cgroup",
  "inherited environment": "empty environment",
  "learn the host's name": "uts namespace",
  "x32 entry": "seccomp",
  "read on a worker thread": "private root or Landlock",
  "list a folder outside": "private root or Landlock",
  // Counted apart: a runner of root's is a user of its own, another has a user namespace.
  "threads of the user, another runner": "a user of its own",
  "threads of the user, an ordinary process": "a user of its own",
};

/** "nothing" for an attack that got out; "the kernel" where no layer of ours gives such an answer. */
export function stoppedBy(attack: string, { verdict, step, errno }: Judgement): string {
  if (verdict === "out") return "nothing";
  if (verdict === "not run") return "–";
  const known = BY_NAME[attack] ?? BY_ERROR[errno];
  if (known !== undefined) return known;
  const call = step === "executable memory" ? "mmap" : step;
  if (isSyscall(call)) {
    if (refusals(BASE_POLICY.seccomp, call).includes(errno)) return "seccomp";
    if (refusals(BASE_POLICY.stage2, call).includes(errno)) return "seccomp, stage 2";
  }
  return errno === "EACCES" && step.startsWith("open ") ? "Landlock" : "the kernel";
}

/** What a policy answers to a call that it refuses, perhaps only with some arguments; none: it lets it pass. */
function refusals(policy: SeccompPolicy, call: string): string[] {
  const error = policy.errors[call];
  if (error !== undefined) return [error];
  const last = policy.conditional.findLast((rule) => rule.call === call);
  if (last !== undefined) {
    const memory = last.when.some((test) => "outside" in test);
    return [last.else ?? "EPERM", ...(memory ? ["EACCES"] : [])];
  }
  return Object.hasOwn(policy.calls, call) === (policy.mode === "deny") ? ["EPERM"] : [];
}
