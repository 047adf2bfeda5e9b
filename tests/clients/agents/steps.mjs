// What each library's program is asked for: `loop PROMPT…`, `again`, `cancel`, `mcp SERVER FOLDER`. Arguments: base URL, one of them.
import { once } from "node:events";

const [, , url, step, ...rest] = process.argv;
export { rest, step, url };

/** The two turns of `again`. */
export const TURNS = ["Do it.", "And now say hello. USE:text"];
/** The prompt of `cancel`: its answer has no end. */
export const ENDLESS = "Go on. USE:endless";
/** The prompt of `mcp`. */
export const USE = "Use it.";

/** Reads pieces until there are some, then cancels; says so, and stays until its standard input ends. */
export async function cancelled(pieces, stop) {
  let read = 0;
  try {
    for await (const _ of pieces) {
      if (++read === 20) stop.abort();
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
  console.log(stop.signal.aborted ? "cancelled" : "ended by itself");
  process.stdin.resume();
  await once(process.stdin, "end");
  process.exit(0);
}
