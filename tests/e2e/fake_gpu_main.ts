/**
 * The same program on a machine with a fake GPU, for gpu_test.ts: the gateway believes in a GPU of the vendor that FAKE_GPU names and
 * plans, restricts and judges for it; the runner, inside that sandbox, computes on the processor and does not say so.
 */
import { runCli } from "../../src/cli/main.ts";
import type { Gpu } from "../../src/sandbox/mod.ts";
import { GpuChoice } from "../../src/supervisor/gpu.ts";
import { RunnerProcess } from "../../src/supervisor/runner_process.ts";

const choice = new GpuChoice("auto", Deno.env.get("FAKE_GPU") as Gpu, "");
// Whoever asks what was chosen is told of this one.
const { used, fail, status } = Object.getOwnPropertyDescriptors(GpuChoice.prototype);
Object.defineProperties(GpuChoice.prototype, {
  used: { get: () => used.get!.call(choice) },
  fail: { value: (reason: string) => fail.value!.call(choice, reason) },
  status: { value: () => status.value!.call(choice) },
});

const start = RunnerProcess.start;
RunnerProcess.start = (options) =>
  start.call(RunnerProcess, {
    ...options,
    boot: { ...options.boot, engine: { ...options.boot.engine, gpu: false } },
  });

Deno.exit(await runCli(Deno.args));
