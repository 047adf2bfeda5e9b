/** Signals that something within a command answers by itself: while it does, they are none for the command. */

/** One signal may come twice: from the terminal, and from the program that started this one. */
export const SAME_SIGNAL_MS = 500;

const taken = new Map<Deno.Signal, number>();

/** Calls `handler` at each such signal, which stops nothing else, until what it returns is disposed of. */
export function takeSignal(signal: Deno.Signal, handler: () => void): Disposable {
  Deno.addSignalListener(signal, handler);
  taken.set(signal, (taken.get(signal) ?? 0) + 1);
  return {
    [Symbol.dispose]() {
      Deno.removeSignalListener(signal, handler);
      taken.set(signal, taken.get(signal)! - 1);
    },
  };
}

/** Whether {@link takeSignal} has it. */
export function isTaken(signal: Deno.Signal): boolean {
  return (taken.get(signal) ?? 0) > 0;
}
