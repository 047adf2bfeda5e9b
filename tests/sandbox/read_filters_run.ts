/**
 * For read_filters_test.ts: installs two filters as the launcher and the runner do, says so, and waits. argv: `planned`; or `lax`,
 * whose second filter lets everything pass, or `first`, whose first one does.
 */
import { OP, RET } from "../../src/linux/bpf.ts";
import { linux } from "../../src/linux/libc.ts";
import { joined, mappedFiles } from "../../src/linux/mapped_files.ts";
import { compile, installFilter } from "../../src/linux/seccomp.ts";
import { stage2Policy } from "../../runner/lockdown.ts";
import { BASE_POLICY } from "../../src/sandbox/linux/policy.ts";

const [how, execFd] = Deno.args;
const PR_SET_NO_NEW_PRIVS = 38;
const system = linux();
const { arch } = system;
const nothing = [{ code: OP.ret, jt: 0, jf: 0, k: RET.allow }];
const files = () => joined(mappedFiles(system.readText("/proc/self/maps")));
const ready = new TextEncoder().encode("ready\n");
system.prctl(PR_SET_NO_NEW_PRIVS, 1);
const variables = { self: Deno.pid, execFd: Number(execFd) };
const first = compile(BASE_POLICY.seccomp, { arch, variables });
const second = compile(stage2Policy(), { arch, files: files() });
installFilter(system, how === "first" ? nothing : first);
installFilter(system, how === "lax" ? nothing : second);
Deno.stdout.writeSync(ready);
Deno.stdin.readSync(new Uint8Array(1));
Deno.exit(0);
