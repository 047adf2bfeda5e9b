/**
 * How much two processes can tell each other by what the kernel counts or shows, or by what they feel, when one of them is a runner under
 * both filters in its whole sandbox. A channel's bits are in slots of a clock that both read; what arrived is compared with what was
 * sent, and what is left of it after its errors is the rate (the capacity of a binary symmetric channel).
 */
import { linux } from "../src/linux/libc.ts";
import { ANOTHER_USER, startOrdinary } from "../src/escape/run/ordinary.ts";
import { probeCapabilities } from "../src/sandbox/linux/capabilities.ts";
import { findRunnerPid } from "../src/sandbox/linux/measure.ts";
import { makeLinuxPlan } from "../src/sandbox/linux/plan.ts";
import { startRunner } from "../src/sandbox/linux/spawn.ts";
import { runnerUser } from "../src/sandbox/linux/users.ts";
import { runnerTarget } from "../src/supervisor/runner_target.ts";
import { makeStage } from "../tests/sandbox/stage.ts";
import { bitOf, nowMs, type Order } from "./residue_side.ts";

const SLOTS = 400;
/** Name → lengths of a slot to try, ms. */
const CHANNELS: Readonly<Record<string, readonly number[]>> = {
  "threads": [4, 10],
  "thread numbers": [10, 25],
  "size": [1, 2, 4],
  "processor time": [4, 10, 25],
  "memory of the group": [20, 50],
  "memory of the machine": [50, 100],
  "load": [25, 100],
};
/** What needs no file of /proc: another runner can try it too. */
const FELT = ["load"];

class Side {
  readonly child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(child: Deno.ChildProcess) {
    this.child = child;
    this.#writer = child.stdin.getWriter();
    const decoder = new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>;
    this.#reader = child.stdout.pipeThrough(decoder).getReader();
  }

  async ask<T>(value: unknown): Promise<T> {
    await this.#writer.write(new TextEncoder().encode(JSON.stringify(value) + "\n"));
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("a side ended");
      this.#text += value;
    }
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return JSON.parse(line);
  }

  async close(): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.#reader.cancel().catch(() => {});
    await this.#writer.abort().catch(() => {});
    await this.child.status;
  }
}

/** Of a threshold that the first half gives, the share of the second half that is wrong. */
function errorsOf(values: readonly number[]): number {
  const half = Math.floor(values.length / 2);
  const wrong = (threshold: number, from: number, to: number) => {
    let count = 0;
    for (let at = from; at < to; at++) if ((values[at]! > threshold) !== bitOf(at)) count++;
    return count / (to - from);
  };
  const candidates = [...new Set(values.slice(0, half))];
  const best = candidates.reduce((a, b) => wrong(b, 0, half) < wrong(a, 0, half) ? b : a);
  return wrong(best, half, values.length);
}

function capacity(errors: number): number {
  const e = Math.min(Math.max(errors, 1e-3), 0.5);
  return 1 + e * Math.log2(e) + (1 - e) * Math.log2(1 - e);
}

/** A file that says how much memory the runner's group has; null: it has none. */
function groupFile(pid: number): string | null {
  const system = linux();
  for (const line of system.readText(`/proc/${pid}/cgroup`).trim().split("\n")) {
    const [, names, path] = line.split(":");
    for (
      const file of names === ""
        ? [`/sys/fs/cgroup${path}/memory.current`]
        : names === "memory"
        ? [`/sys/fs/cgroup/memory${path}/memory.usage_in_bytes`]
        : []
    ) {
      try {
        system.readText(file);
        return file;
      } catch { /* not mounted there */ }
    }
  }
  return null;
}

/** Measures and prints each channel. @param only Those whose name has this in it. */
export async function measureSlots(only: string | undefined): Promise<void> {
  const stage = await makeStage({ side: "bench/residue_side.ts" });
  const caps = await probeCapabilities();
  const target = runnerTarget({ ...stage, runner: stage.programs["side"]! }, stage.model);
  const open: Side[] = [];
  const runner = async () => {
    const user = caps.uid === 0 ? runnerUser(linux()) : undefined;
    const plan = makeLinuxPlan(target, caps, "strict", user);
    const side = new Side(await startRunner(plan, { cwd: "/" }));
    open.push(side);
    const { layers } = await side.ask<{ layers: { layer: string; enforced: boolean }[] }>({
      locked: true,
    });
    if (!layers.some((l) => l.layer === "stage 2" && l.enforced)) throw new Error("no stage 2");
    return { side, pid: findRunnerPid(side.child.pid, plan.forks)! };
  };
  try {
    const sender = await runner();
    const another = await runner();
    const argv = [stage.deno, "run", "-A", "--no-lock", stage.programs["side"]!];
    const uid = caps.uid === 0 ? ANOTHER_USER : null;
    const ordinary = new Side(
      startOrdinary({ argv, env: { DENO_DIR: "/dev/null/deno" } }, uid, { cwd: "/" }),
    );
    open.push(ordinary);
    await ordinary.ask({ locked: false });
    const group = groupFile(sender.pid);
    for (const [channel, lengths] of Object.entries(CHANNELS)) {
      if (only !== undefined && !channel.includes(only)) continue;
      if (channel === "memory of the group" && group === null) {
        console.log(`${channel}: not measured, the runner has none here`);
        continue;
      }
      const receivers = [
        [uid === null ? "an ordinary process" : "another user's process", ordinary],
        ...(FELT.includes(channel) ? [["another runner", another.side]] : []),
      ] as [string, Side][];
      for (const [who, receiver] of receivers) {
        const rows: string[] = [];
        for (const slotMs of lengths) {
          const order: Omit<Order, "end"> = {
            ...{ channel, slotMs, slots: SLOTS, pid: sender.pid, group },
            startMs: nowMs(linux()) + 300,
          };
          const [{ values }] = await Promise.all([
            receiver.ask<{ values: number[] }>({ ...order, end: "receive" }),
            sender.side.ask({ ...order, end: "send" }),
          ]);
          const errors = errorsOf(values);
          const rate = Math.round(capacity(errors) * 1000 / slotMs * 10) / 10;
          rows.push(`${slotMs} ms: ${rate} bit/s (${Math.round(errors * 100)}% wrong)`);
        }
        console.log(`${channel}, to ${who}: ${rows.join("; ")}`);
      }
    }
  } finally {
    for (const side of open) await side.close();
    await stage.remove();
  }
}
