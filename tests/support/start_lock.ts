/**
 * One program is started or built at a time, whoever runs tests on this machine: each start takes all cores for a moment, and ten
 * at once take each other's time.
 */
import { join } from "node:path";

const PATH = join(Deno.env.get("TMPDIR") ?? "/tmp", `secllama-test-start-${Deno.uid()}.lock`);

function openLock(): Deno.FsFile {
  return Deno.openSync(PATH, { create: true, write: true, mode: 0o600 });
}

/** Runs `start` while nobody else's runs; time limits begin within. */
export async function oneAtATime<T>(start: () => Promise<T>): Promise<T> {
  using file = openLock();
  await file.lock(true);
  return await start();
}

/** The same, for what cannot be waited for. */
export function oneAtATimeSync<T>(start: () => T): T {
  using file = openLock();
  file.lockSync(true);
  return start();
}
