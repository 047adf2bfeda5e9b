/**
 * How much a runner under both filters can tell a process outside, or another runner; SECURITY.md has the figures. First the widest
 * channel known to be left: the signal mask, which it may set and everybody may read. Then what residue_slots.ts has. Of native code
 * it would be more: both ends are JavaScript here. What is counted has arrived, and is compared with what was sent.
 *
 *     deno run -A --config tests/deps.json bench/residue.ts [PART OF A NAME]
 */
import { cpus } from "node:os";
import { alloc, cstr, linux } from "../src/linux/libc.ts";
import { joined, mappedFiles } from "../src/linux/mapped_files.ts";
import { compile, installFilter } from "../src/linux/seccomp.ts";
import { stage2Policy } from "../runner/lockdown.ts";
import { BASE_POLICY } from "../src/sandbox/linux/policy.ts";
import { measureSlots } from "./residue_slots.ts";

/** Bits of a word that tell which it is; the others are content. Signals 9 and 19 cannot be blocked. */
const NUMBER_BITS = 16;
const CONTENT_BITS = 46;
const SECONDS = 3;
const SIG_SETMASK = 2;

/** A word's content, which both ends know how to make: 46 bits that differ much from word to word. */
function contentOf(word: number): bigint {
  let x = BigInt(word) * 0x9e3779b97f4a7c15n;
  x ^= x >> 29n;
  return BigInt.asUintN(CONTENT_BITS, x * 0xbf58476d1ce4e5b9n);
}

/** 62 bits on the 64 signals but for 9 and 19. */
function spread(bits: bigint): bigint {
  const low = bits & 0xffn, middle = (bits >> 8n) & 0x1ffn, high = bits >> 17n;
  return low | (middle << 9n) | (high << 19n);
}

function gather(mask: bigint): bigint {
  return (mask & 0xffn) | (((mask >> 9n) & 0x1ffn) << 8n) | ((mask >> 19n) << 17n);
}

function send(holdMs: number): never {
  const system = linux();
  const { arch } = system;
  system.prctl(38, 1); // PR_SET_NO_NEW_PRIVS
  const files = joined(mappedFiles(system.readText("/proc/self/maps")));
  const variables = { self: Deno.pid, execFd: 512 };
  installFilter(system, compile(BASE_POLICY.seccomp, { arch, variables }));
  installFilter(system, compile(stage2Policy(), { arch, files }));
  Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
  const mask = alloc(8);
  const view = new DataView(mask.buffer);
  Deno.stdin.readSync(alloc(1));
  for (let word = 0;; word++) {
    const bits = BigInt(word % 2 ** NUMBER_BITS) | (contentOf(word) << BigInt(NUMBER_BITS));
    view.setBigUint64(0, spread(bits), true);
    system.call("rt_sigprocmask", SIG_SETMASK, mask, null, 8);
    for (const until = performance.now() + holdMs; performance.now() < until;);
  }
}

/** Words that arrived in so many seconds, and words that were wrong. */
function receive(pid: number): { right: number; wrong: number } {
  const system = linux();
  const path = cstr(`/proc/${pid}/task/${pid}/status`);
  const fd = system.must("open status", "openat", -100, path, 0, 0);
  const buffer = alloc(4096);
  const decoder = new TextDecoder();
  let [word, right, wrong] = [0, 0, 0];
  for (const until = performance.now() + SECONDS * 1000; performance.now() < until;) {
    const length = system.must("read status", "pread64", fd, buffer, buffer.length, 0);
    const text = decoder.decode(buffer.subarray(0, length));
    const bits = gather(BigInt(`0x${text.slice(text.indexOf("SigBlk:\t") + 8).slice(0, 16)}`));
    const number = Number(bits & BigInt(2 ** NUMBER_BITS - 1));
    const next = word + (number - word % 2 ** NUMBER_BITS + 2 ** NUMBER_BITS) % 2 ** NUMBER_BITS;
    if (next === word) continue;
    if (contentOf(next) === bits >> BigInt(NUMBER_BITS)) right++;
    else wrong++;
    word = next;
  }
  system.call("close", fd);
  return { right, wrong };
}

if (Deno.args[0] === "send") send(Number(Deno.args[1]));
console.log(
  `${cpus()[0]!.model}, ${cpus().length} processors, load ${Deno.loadavg()[0]!.toFixed(1)}`,
);
const [only] = Deno.args;
for (const holdMs of only === undefined ? [0, 0.02, 0.1] : []) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-code-cache",
      "--v8-flags=--jitless",
      import.meta.filename!,
      "send",
      `${holdMs}`,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const writer = child.stdin.getWriter();
  await writer.write(new Uint8Array(1));
  const { right, wrong } = receive(child.pid);
  child.kill("SIGKILL");
  await reader.cancel();
  await writer.abort().catch(() => {});
  await child.status;
  const rate = right * CONTENT_BITS / SECONDS / 1000;
  console.log(`a word each ${holdMs} ms: ${Math.round(rate)} kbit/s arrived, ${wrong} words wrong`);
}
await measureSlots(only);
