/** Waiting for a time that a signal can end, and for something no longer than a time. */

/** `setTimeout`'s delay is a 32-bit number; a longer one would be none. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Resolves after so many ms, or as soon as `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, signal, () => {});
}

/** As {@link pause}, and keeps no process alive. */
export function idlePause(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, signal, Deno.unrefTimer);
}

/**
 * Whether `what` settles within `ms`, fulfilled or rejected; what it settled with is still the caller's to await. No timer is left.
 *
 * @example
 * ```ts
 * async function typed(bytes: Uint8Array): Promise<number | null | "nothing yet"> {
 *   const reading = Deno.stdin.read(bytes);
 *   return await settlesWithin(reading, 100) ? await reading : "nothing yet";
 * }
 * ```
 */
export async function settlesWithin(what: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.min(Math.max(0, ms), MAX_DELAY_MS));
  });
  const came = () => true;
  try {
    return await Promise.race([what.then(came, came), late]);
  } finally {
    clearTimeout(timer);
  }
}

function wait(ms: number, signal: AbortSignal, set: (timer: number) => void): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    set(timer as unknown as number);
    signal.addEventListener("abort", done, { once: true });
  });
}
