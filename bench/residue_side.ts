/**
 * One end of what bench/residue.ts measures, bundled: in a runner's place under both filters, or an ordinary process. It is told a
 * channel and its end of it by a line on standard input, and answers with a line.
 */
import { hardenEarly, lockdown } from "../runner/lockdown.ts";
import { WaitingThreads } from "../src/escape/threads.ts";
import { alloc, type Linux, linux } from "../src/linux/libc.ts";

export interface Order {
  readonly end: "send" | "receive";
  readonly channel: string;
  /** Of CLOCK_MONOTONIC, ms. */
  readonly startMs: number;
  readonly slotMs: number;
  readonly slots: number;
  /** The sender, as the host names it, and the files of its cgroup. */
  readonly pid: number;
  readonly group: string | null;
}

/** Both ends know which bits there are. */
export function bitOf(slot: number): boolean {
  let x = Math.imul(slot + 1, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 15), 0x85ebca6b);
  return ((x ^ (x >>> 13)) & 1) === 1;
}

const clock = alloc(16);
const clockView = new DataView(clock.buffer);

/** CLOCK_MONOTONIC, ms. */
export function nowMs(system: Linux): number {
  system.call("clock_gettime", 1, clock);
  return Number(clockView.getBigInt64(0, true)) * 1e3 +
    Number(clockView.getBigInt64(8, true)) / 1e6;
}

const pauseTime = alloc(16);

function pauseUntil(system: Linux, ms: number): void {
  const left = ms - nowMs(system);
  if (left <= 0) return;
  new DataView(pauseTime.buffer).setBigInt64(
    8,
    BigInt(Math.round(left * 1e6)) % 1_000_000_000n,
    true,
  );
  new DataView(pauseTime.buffer).setBigInt64(0, BigInt(Math.floor(left / 1e3)), true);
  system.call("nanosleep", pauseTime, null);
}

/** Takes memory, and gives it back. */
class Taken {
  #at = 0;
  constructor(readonly system: Linux, readonly bytes: number, readonly touched: boolean) {}

  set(taken: boolean): void {
    if ((this.#at !== 0) === taken) return;
    const [READ_WRITE, PRIVATE_ANONYMOUS, NORESERVE, POPULATE] = [3, 0x22, 0x4000, 0x8000];
    if (taken) {
      const flags = PRIVATE_ANONYMOUS | (this.touched ? POPULATE : NORESERVE);
      this.#at = this.system.call("mmap", null, this.bytes, READ_WRITE, flags, -1, 0);
    } else {
      this.system.call("munmap", this.#at, this.bytes);
      this.#at = 0;
    }
  }
}

/** What a sender does with a slot. */
type Send = (bit: boolean, endMs: number) => void;
/** What a receiver reads; of some channels the difference over a slot counts. */
type Read = () => number;

const MIB = 1 << 20;

function sender(system: Linux, channel: string): Send {
  const threads = new WaitingThreads();
  const burn: Send = (bit, endMs) => {
    while (bit && nowMs(system) < endMs);
  };
  switch (channel) {
    case "threads":
      return (bit) => bit ? threads.count === 0 && threads.make(8) : threads.end();
    case "thread numbers":
      return (bit) => {
        if (!bit) return;
        threads.make(40);
        threads.end();
      };
    case "size": {
      const taken = new Taken(system, 64 * MIB, false);
      return (bit) => taken.set(bit);
    }
    case "memory of the machine":
    case "memory of the group": {
      const taken = new Taken(system, 64 * MIB, true);
      return (bit) => taken.set(bit);
    }
    default: // processor time, load
      return burn;
  }
}

function receiver(
  system: Linux,
  { channel, pid, group }: Order,
): { read: Read; difference: boolean } {
  const number = (path: string, pattern: RegExp) => () =>
    Number(pattern.exec(system.readText(path))?.[1]);
  switch (channel) {
    case "threads":
      return { read: number(`/proc/${pid}/status`, /^Threads:\s+(\d+)/m), difference: false };
    case "thread numbers":
      return { read: number("/proc/loadavg", /(\d+)\s*$/), difference: true };
    case "size":
      return { read: number(`/proc/${pid}/statm`, /^(\d+)/), difference: false };
    case "processor time":
      return { read: number(`/proc/${pid}/schedstat`, /^(\d+)/), difference: true };
    case "memory of the machine":
      return { read: number("/proc/meminfo", /^AnonPages:\s+(\d+)/m), difference: false };
    case "memory of the group":
      return { read: number(group!, /^(\d+)/), difference: false };
    default: // load: how far it gets itself, which `receive` counts
      return { read: () => 0, difference: true };
  }
}

async function main(): Promise<void> {
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const line = async () => {
    while (!text.includes("\n")) {
      const { value, done } = await lines.read();
      if (done) Deno.exit(0);
      text += value;
    }
    const end = text.indexOf("\n");
    const first = text.slice(0, end);
    text = text.slice(end + 1);
    return first;
  };
  const say = (value: unknown) =>
    Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(value) + "\n"));
  const { locked } = JSON.parse(await line()) as { locked: boolean };
  if (locked) {
    hardenEarly();
    const layers = await lockdown();
    say({ layers });
  } else say({ layers: [] });
  const system = linux();
  for (;;) {
    const order = JSON.parse(await line()) as Order;
    say(order.end === "send" ? send(system, order) : receive(system, order));
  }
}

function send(system: Linux, order: Order): object {
  const act = sender(system, order.channel);
  for (let slot = 0; slot < order.slots; slot++) {
    pauseUntil(system, order.startMs + slot * order.slotMs);
    act(bitOf(slot), order.startMs + (slot + 0.85) * order.slotMs);
  }
  act(false, 0);
  return {};
}

/** What was read of each slot. */
function receive(system: Linux, order: Order): object {
  const { read, difference } = receiver(system, order);
  const values: number[] = [];
  for (let slot = 0; slot < order.slots; slot++) {
    const at = (share: number) => order.startMs + (slot + share) * order.slotMs;
    if (order.channel === "load") {
      pauseUntil(system, at(0.05));
      let count = 0;
      while (nowMs(system) < at(0.8)) count++;
      values.push(-count);
      continue;
    }
    let before = 0;
    if (difference) {
      pauseUntil(system, at(0.02));
      before = read();
    }
    pauseUntil(system, at(difference ? 0.95 : 0.8));
    values.push(read() - before);
  }
  return { values };
}

if (import.meta.main) await main();
