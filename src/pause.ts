/** Waiting for a time that a signal can end. */

/** Resolves after so many ms, or as soon as `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, signal, () => {});
}

/** As {@link pause}, and keeps no process alive. */
export function idlePause(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, signal, Deno.unrefTimer);
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
