import assert from "node:assert/strict";
import type { Judgement } from "./judge.ts";
import { stoppedBy } from "./stopped_by.ts";

const CASES: readonly [attack: string, judgement: Partial<Judgement>, layer: string][] = [
  ["UDP (DNS)", { step: "socket", errno: "EACCES" }, "seccomp"],
  ["ptrace another process", { step: "ptrace", errno: "EPERM" }, "seccomp"],
  ["ptrace another process", { step: "ptrace", errno: "ESRCH" }, "pid namespace"],
  ["clone3", { step: "clone3", errno: "ENOSYS" }, "seccomp"],
  ["write a file outside", { step: "openat", errno: "EACCES" }, "seccomp"],
  ["read ~/.ssh (a secret file)", { step: "open /x/secret", errno: "EACCES" }, "Landlock"],
  ["read ~/.ssh (a secret file)", { step: "open /x/secret", errno: "ENOENT" }, "private root"],
  ["executable memory", { step: "executable memory", errno: "EACCES" }, "seccomp, stage 2"],
  ["inherited descriptor", { step: "read", errno: "EBADF" }, "descriptors closed before exec"],
  ["MPTCP", { step: "connect", errno: "ENETUNREACH" }, "network namespace"],
  ["fetch", { step: "fetch", errno: "NotCapable" }, "Deno's permissions"],
  ["Deno.readTextFile", { step: "Deno.readTextFile", errno: "NotFound" }, "private root"],
  ["int 0x80", { verdict: "killed", errno: "SIGSYS" }, "seccomp"],
  ["shared memory bomb", { verdict: "killed" }, "cgroup"],
  ["chroot", { step: "getpid", errno: "EPERM" }, "the kernel"],
  ["fork", { verdict: "out", step: "clone" }, "nothing"],
];

for (const [attack, judgement, layer] of CASES) {
  Deno.test(`${attack}, ${judgement.step ?? ""} ${judgement.errno ?? judgement.verdict}: ${layer}`, () => {
    const all = { verdict: "blocked", detail: "", step: "", errno: "", ...judgement } as const;
    assert.equal(stoppedBy(attack, all), layer);
  });
}
