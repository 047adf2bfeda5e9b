/**
 * As many programs are started at a time as there are processors, and one is built, whoever runs tests on this machine: each start
 * is one processor's work, and ten at once take each other's time.
 */
import { join } from "node:path";

/** A start may have to build what it starts: the two have locks of their own, else it would wait for itself. */
function openLock(what: string): Deno.FsFile {
  const name = `secllama-test-${what}-${Deno.uid()}.lock`;
  const path = join(Deno.env.get("TMPDIR") ?? "/tmp", name);
  return Deno.openSync(path, { create: true, write: true, mode: 0o600 });
}

/** A place to start in. Who finds none free waits for one drawn by lot. */
async function takePlace(): Promise<Deno.FsFile> {
  const places = Array.from(
    { length: navigator.hardwareConcurrency },
    (_, number) => openLock(`start-${number}`),
  );
  const free = places.find((place) => place.tryLockSync(true));
  const taken = free ?? places[Math.floor(Math.random() * places.length)]!;
  for (const place of places) if (place !== taken) place.close();
  if (free === undefined) await taken.lock(true);
  return taken;
}

/** Runs `start` beside few others; time limits begin within. */
export async function startInTurn<T>(start: () => Promise<T>): Promise<T> {
  using _place = await takePlace();
  return await start();
}

/** Runs `build` beside no other; it cannot be waited for. */
export function oneBuildAtATime<T>(build: () => T): T {
  using file = openLock("build");
  file.lockSync(true);
  return build();
}
