/**
 * One program is started or built at a time, whoever runs tests on this machine: each start takes all cores for a moment, and ten
 * at once take each other's time.
 */
import { join } from "node:path";

/** A start may have to build what it starts: the two have a lock each, else it would wait for itself. */
function openLock(what: "start" | "build"): Deno.FsFile {
  const name = `secllama-test-${what}-${Deno.uid()}.lock`;
  const path = join(Deno.env.get("TMPDIR") ?? "/tmp", name);
  return Deno.openSync(path, { create: true, write: true, mode: 0o600 });
}

/** Runs `start` while nobody else's runs; time limits begin within. */
export async function oneAtATime<T>(start: () => Promise<T>): Promise<T> {
  using file = openLock("start");
  await file.lock(true);
  return await start();
}

/** The same for a build, which cannot be waited for. */
export function oneBuildAtATime<T>(build: () => T): T {
  using file = openLock("build");
  file.lockSync(true);
  return build();
}
