/**
 * For static_guard_test.ts: under the runner's filters two threads of this process meet at a C++ variable that is made at its first
 * use, as llama.cpp has many. Prints what the kernel said of a shared wake-up, and what the second thread got.
 *
 * argv: `now`, or `before` for the filters as they were when they refused it.
 */
import policy from "../../sandbox-profiles/linux.json" with { type: "json" };
import { stage2Policy } from "../../runner/lockdown.ts";
import { linux } from "../../src/linux/libc.ts";
import { joined, mappedFiles } from "../../src/linux/mapped_files.ts";
import { compile, installFilter, type SeccompPolicy } from "../../src/linux/seccomp.ts";

const FUTEX_WAKE = 1;
const PR_SET_NO_NEW_PRIVS = 38;

/** A policy whose shared futexes only wait. */
function asBefore(given: SeccompPolicy): SeccompPolicy {
  const text = JSON.stringify(given).replaceAll('"equals":[0,1,9]', '"equals":[0,9]');
  return JSON.parse(text);
}

const change = Deno.args[0] === "before" ? asBefore : (given: SeccompPolicy) => given;
const cxx = Deno.dlopen("libstdc++.so.6", {
  __cxa_guard_acquire: { parameters: ["buffer"], result: "i32" },
  aside: { name: "__cxa_guard_acquire", parameters: ["buffer"], result: "i32", nonblocking: true },
  __cxa_guard_release: { parameters: ["buffer"], result: "void" },
});
const system = linux();
const guard = new Uint8Array(8);
const made = cxx.symbols.__cxa_guard_acquire(guard);
system.prctl(PR_SET_NO_NEW_PRIVS, 1);
const files = joined(mappedFiles(system.readText("/proc/self/maps")));
const { arch } = system;
const variables = { self: Deno.pid, execFd: 512 };
const first = change(policy.seccomp as unknown as SeccompPolicy);
installFilter(system, compile(first, { arch, variables }));
installFilter(system, compile(change(stage2Policy()), { arch, files }));

const wake = () => system.call("futex", guard, FUTEX_WAKE, 1, null, null, 0);
if (Deno.args[0] === "before") {
  console.log(JSON.stringify({ made, woken: wake() }));
  Deno.exit(0);
}
const second = cxx.symbols.aside(guard);
// It sleeps when there is one to be woken; it finds nothing new, and sleeps again.
let woken = 0;
while ((woken = wake()) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
cxx.symbols.__cxa_guard_release(guard);
console.log(JSON.stringify({ made, woken, second: await second }));
Deno.exit(0);
