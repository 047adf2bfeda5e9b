/**
 * How long the JavaScript thread works in one piece: what a pong, a token and other clients wait for. In processor time of that one
 * thread, which other programs do not lengthen. Linux only. Not part of the product.
 */

/** Processor time of this thread so far, ms; proc(5), `schedstat`. */
function threadMs(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1e6;
}

/** Runs work and finds the longest piece between two rounds of the event loop, in ms of processor time. */
export async function longestPiece(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let before = threadMs();
  let done = false;
  const look = () => {
    const now = threadMs();
    longest = Math.max(longest, now - before);
    before = threadMs();
  };
  const watching = (async () => {
    while (!done) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      look();
    }
  })();
  try {
    await work();
  } finally {
    done = true;
    await watching;
    look();
  }
  return longest;
}
