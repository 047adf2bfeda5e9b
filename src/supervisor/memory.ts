/**
 * How much memory a model will take, estimated before it is loaded, and how much there is. An estimate errs upwards: a model
 * that is refused for want of memory costs less than a machine that swaps.
 */
import { linux, SystemCallError } from "../linux/libc.ts";
import { SecLlamaError } from "../errors.ts";

/**
 * The runner without a model: Deno's runtime, llama.cpp's libraries, buffers of the pipe. Measured: 90 to 130 MiB. Most of it is
 * pages of the program, all of which are in memory before the second filter; several runners share them.
 */
const RUNNER_BYTES = 144 * 2 ** 20;
/** Tokens of the largest batch, as the engine has them. */
const BATCH_TOKENS = 512;
/** Values that llama.cpp keeps at once for one token of a batch, in multiples of the model's width. */
const WIDTHS_PER_TOKEN = 16;
const BYTES_PER_VALUE = 4;
/** Which token of a batch sees which cell: as f32, and as f16 for flash attention. */
const MASK_BYTES_PER_CELL = 6;
/** Of the machine's memory, what is left to everything else. */
const KEPT_FREE = 0.1;

export interface MemoryShape {
  /** Bytes of the weights: mapped from the file, or copied for a processor that wants them in another order. */
  readonly sizeBytes: number;
  readonly kvBytesPerToken: number;
  readonly embeddingLength: number;
  /** Tokens that the cache holds, of all slots together. */
  readonly cacheCells: number;
}

/** Bytes that a runner of this model takes: weights, the cache of all slots, compute buffers, and the process itself. */
export function estimateMemory(shape: MemoryShape): number {
  const cache = shape.kvBytesPerToken * shape.cacheCells;
  const work = BATCH_TOKENS *
    (WIDTHS_PER_TOKEN * BYTES_PER_VALUE * shape.embeddingLength +
      MASK_BYTES_PER_CELL * shape.cacheCells);
  return shape.sizeBytes + cache + work + RUNNER_BYTES;
}

/** Bytes that a model takes which guesses tokens ahead in the runner of another. */
export function estimateDraft(shape: MemoryShape): number {
  return estimateMemory(shape) - RUNNER_BYTES;
}

export interface MachineMemory {
  readonly totalBytes: number;
  /** What could be had now without swapping. */
  readonly availableBytes: number;
}

/** The machine's memory as Linux tells it (proc(5), meminfo), or the control group's where that is less. */
export function readMachineMemory(): MachineMemory {
  if (Deno.build.os !== "linux") return { totalBytes: Infinity, availableBytes: Infinity };
  // Past Deno's permissions: it lets nobody read /proc who may not do everything.
  const text = linux().readText("/proc/meminfo");
  const field = (name: string) =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1] ?? Infinity) * 1024;
  const machine = { totalBytes: field("MemTotal"), availableBytes: field("MemAvailable") };
  const limit = groupNumber("memory.max");
  const used = groupNumber("memory.current");
  if (limit === undefined || used === undefined) return machine;
  return {
    totalBytes: Math.min(machine.totalBytes, limit),
    availableBytes: Math.min(machine.availableBytes, Math.max(0, limit - used)),
  };
}

/** A number of the control group's root as this process sees it (cgroup v2); undefined where there is none or no limit. */
function groupNumber(name: string): number | undefined {
  try {
    // Past Deno's permissions, as above: refused there, a container's limit would be none.
    const text = linux().readText(`/sys/fs/cgroup/${name}`).trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}

/** Bytes that all loaded models together never take more than. @param limitBytes The operator's own; 0: nine tenths of the machine's. */
export function memoryCeiling(totalBytes: number, limitBytes: number): number {
  return limitBytes || Math.floor(totalBytes * (1 - KEPT_FREE));
}

/**
 * Bytes that all loaded models together may take now.
 * @param options.limitBytes As {@link memoryCeiling} has it.
 * @param options.takenBytes Estimates of what is loaded: it is not available any more, but may be had by unloading.
 */
export function memoryBudget(
  machine: MachineMemory,
  options: { limitBytes: number; takenBytes: number },
): number {
  const limit = memoryCeiling(machine.totalBytes, options.limitBytes);
  return Math.min(limit, machine.availableBytes + options.takenBytes);
}

/** In Ollama's words. */
export function tooLarge(needBytes: number, budgetBytes: number): SecLlamaError {
  const shown = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return new SecLlamaError(
    "not-enough-memory",
    `model requires more system memory (${shown(needBytes)}) than is available (${
      shown(budgetBytes)
    })`,
    {
      hint:
        "use a smaller model, fewer slots (SECLLAMA_NUM_PARALLEL) or a smaller context, or raise SECLLAMA_MAX_MEMORY",
    },
  );
}
