/**
 * How tests wait and measure on a machine that may have anything else to do. They wait for events, with a limit that only what
 * hangs reaches; they compare processor time with processor time; they never say how long a thing may take.
 */
import { cpuUsage } from "node:process";

/** Far beyond what a busy machine needs: whoever waits that long waits in vain. */
export const HANG_MS = 300_000;
const LOOK_EVERY_MS = 10;

/** Waits until it is so. @throws {Error} If it hangs; `what` says what was waited for. */
export async function until(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + HANG_MS; !await is();) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** What the promise gives. @throws {Error} If it never settles. */
export async function settled<T>(promise: Promise<T>, what: string): Promise<T> {
  const hang = Promise.withResolvers<never>();
  const timer = setTimeout(() => hang.reject(new Error(`waited in vain for ${what}`)), HANG_MS);
  try {
    return await Promise.race([promise, hang.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Processor time of this process so far, milliseconds: other programs do not lengthen it. */
export function processorMs(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1000;
}

/** Processor time of `work`, milliseconds; of three runs the least, since a garbage collection may fall into any. */
export async function processorMsOf(work: () => unknown): Promise<number> {
  let least = Infinity;
  for (let run = 0; run < 3; run++) {
    const before = processorMs();
    await work();
    least = Math.min(least, processorMs() - before);
  }
  return least;
}

/** How much larger the second input is in {@link growth}. */
const FACTOR = 8;

/**
 * By what the processor time grows when the input does by eight: some 8 where it is in proportion, 64 where it is the square.
 * @param size Of the smaller input; large enough that it takes some milliseconds.
 */
export async function growth(size: number, work: (size: number) => unknown): Promise<number> {
  await work(size); // compiled by then
  const small = await processorMsOf(() => work(size));
  return await processorMsOf(() => work(size * FACTOR)) / Math.max(small, 0.5);
}

/** Between what is in proportion and what is the square. */
export const IN_PROPORTION = 24;
