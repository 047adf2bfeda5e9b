/** Threads of this program that may less than it: each has only the permissions that are named. */

import { fileURLToPath } from "node:url";

/** What a thread may; everything else it may not, whatever this process may. */
interface WorkerRights {
  /** Folders and files. */
  readonly read?: readonly string[];
  readonly write?: readonly string[];
}

/** The folder that this program's own files are in: a thread that starts others must be able to read it. */
export const PROGRAM = fileURLToPath(
  new URL(Deno.build.standalone ? "./" : "../", import.meta.url),
);

/**
 * Starts a thread.
 * @param entry Its program in `src/`, without the ending; scripts/compile.ts lists them too.
 */
export function startWorker(entry: string, { read, write }: WorkerRights): Worker {
  // A compiled program is one folder of pieces, and the thread's program is where the bundler put it.
  const url = Deno.build.standalone
    ? new URL(`./src/${entry}.js`, import.meta.url)
    : new URL(`./${entry}.ts`, import.meta.url);
  return new Worker(url, {
    type: "module",
    name: entry,
    deno: {
      permissions: {
        read: read ? [...read] : false,
        write: write ? [...write] : false,
        net: false,
        env: false,
        run: false,
        ffi: false,
        sys: false,
        import: false,
      },
    },
  });
}
