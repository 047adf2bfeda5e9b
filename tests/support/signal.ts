/** Tells a process to end that may have ended by itself. */

/** Sends a signal, if there is still somebody to get it: a process may end between a look and the signal. */
export function tell(child: Pick<Deno.ChildProcess, "kill">, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // Deno's words for one that has ended; that it did is seen elsewhere.
    if (!(error instanceof TypeError)) throw error;
  }
}
