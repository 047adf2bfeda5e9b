/**
 * What a runner says of its second filter need not be believed: root reads it back. Shown first: by the number of filters alone one
 * that lets everything pass is as good as the one that was planned.
 */
import assert from "node:assert/strict";
import { linux, SystemCallError } from "../../src/linux/libc.ts";
import { readFilters } from "../../src/linux/read_filters.ts";
import { programDescriptor } from "../../src/sandbox/linux/launch_steps.ts";
import { measureRunner } from "../../src/sandbox/linux/measure.ts";
import type { LinuxPlan } from "../../src/sandbox/linux/plan.ts";

const FILE = new URL("read_filters_run.ts", import.meta.url).pathname;
const LAYERS = ["seccomp", "stage 2"] as const;
/** Of a plan what is measured here. */
const plan = () => ({
  layers: LAYERS.map((layer) => ({ layer, planned: true, detail: "" })),
  launch: { seccomp: "none", filter: "runner", companion: null, limits: {}, exec: { argv: [] } },
  forks: false,
} as unknown as LinuxPlan);

/** A process with filters, while `use` looks at it. */
async function withFilters(how: string, use: (pid: number) => void): Promise<void> {
  const execFd = String(programDescriptor(plan().launch!));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-code-cache", "--v8-flags=--jitless", FILE, how, execFd],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  try {
    const { value } = await reader.read();
    assert.equal(new TextDecoder().decode(value), "ready\n");
    use(child.pid);
  } finally {
    await child.stdin.close();
    await reader.cancel();
    await child.status;
  }
}

function whyNot(): string | undefined {
  if (Deno.build.os !== "linux") return "this is not Linux";
  if (Deno.uid() !== 0) return "only root may read a filter back";
  if (/^Seccomp:\t0$/m.exec(linux().readText("/proc/self/status")) === null) {
    return "this process has a filter of its own, so the kernel shows it none";
  }
  return undefined;
}

const reason = whyNot();
if (reason !== undefined) console.log(`SKIP filters read back: ${reason}`);

Deno.test({
  name:
    "filters: root reads them back, and one that is another is no stage 2, whatever the runner says",
  ignore: reason !== undefined,
  async fn() {
    const measured = (pid: number) => {
      const layers = measureRunner(pid, plan()).filter(({ layer }) => layer.startsWith("s"));
      return Object.fromEntries(layers.map(({ layer, state }) => [layer, state]));
    };
    const counts: number[] = [];
    const count = (pid: number) => counts.push(readFilters(linux(), pid)!.length);
    try {
      await withFilters("planned", (pid) => {
        count(pid);
        assert.deepEqual(measured(pid), { seccomp: "enforced", "stage 2": "enforced" });
        // It goes on, and may be read again.
        count(pid);
      });
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return console.log(`SKIP filters read back: ${error.message}`);
    }
    await withFilters("lax", (pid) => {
      count(pid);
      assert.deepEqual(measured(pid), { seccomp: "enforced", "stage 2": "missing" });
    });
    await withFilters("first", (pid) => {
      count(pid);
      assert.deepEqual(measured(pid), { seccomp: "missing", "stage 2": "enforced" });
    });
    assert.deepEqual(counts, [2, 2, 2, 2], "by their number they are all alike");
  },
});
