/**
 * How tests wait and measure on a machine that may have anything else to do. They wait for events, with a limit that only what
 * hangs reaches; they compare processor time with processor time; they never say how long a thing may take.
 */
import { cpuUsage } from "node:process";

/** Far beyond what a busy machine needs: whoever waits that long waits in vain. */
export const HANG_MS = 300_000;
const LOOK_EVERY_MS = 10;

/**
 * Waits until it is so, and looks again after as long as the last look took: a look may start a program, which others would wait for.
 * @throws {Error} If it hangs; `what` says what was waited for.
 */
export async function until(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + HANG_MS;;) {
    const begun = performance.now();
    if (await is()) return;
    const now = performance.now();
    if (now > end) throw new Error(`waited in vain until ${what}`);
    const pause = Math.max(LOOK_EVERY_MS, now - begun);
    await new Promise((resolve) => setTimeout(resolve, pause));
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

/**
 * Runs work whose input is so large that the square of it would take minutes.
 * @throws {Error} If it took more processor time than any machine needs for what is in proportion.
 */
export async function inProportion(what: string, work: () => unknown): Promise<void> {
  const before = processorMs();
  await work();
  const took = processorMs() - before;
  if (took > PROPORTION_MS) throw new Error(`${what}: ${Math.round(took)} ms of processor time`);
}

const PROPORTION_MS = 5_000;
