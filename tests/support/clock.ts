/** A machine whose clock is set while programs run on it: theirs alone, by a library that all of them load (clock.c). */
import assert from "node:assert/strict";
import { join } from "node:path";

/** The clock of the programs that are run {@link FalseClock.under} it. */
export interface FalseClock {
  /** Runs the rest of its arguments. */
  readonly under: readonly string[];
  /** From now on they read the system's time and so many seconds more. */
  set(seconds: number): Promise<void>;
}

/** Why there can be none here; undefined: there can. */
export async function noFalseClock(): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "needs root on Linux";
  const cc = await Deno.stat("/usr/bin/gcc").catch(() => undefined);
  return cc === undefined ? "needs gcc" : undefined;
}

/** Makes one in `folder`: a copy of /etc that has the loader take the library, for a mount namespace of its own. */
export async function falseClock(folder: string): Promise<FalseClock> {
  const run = async (...argv: string[]) => {
    const [program, ...args] = argv;
    const { success, stderr } = await new Deno.Command(program!, { args }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  const library = join(folder, "clock.so");
  const etc = join(folder, "etc");
  const source = new URL("clock.c", import.meta.url).pathname;
  await run("/usr/bin/gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source);
  await run("/bin/cp", "-a", "/etc", etc);
  await Deno.writeTextFile(join(etc, "ld.so.preload"), `${library}\n`);
  const offset = join(etc, "clock-offset");
  await Deno.writeFile(offset, new Uint8Array(8), { mode: 0o644 });
  return {
    under: [
      "/usr/bin/unshare",
      "--mount",
      "/bin/sh",
      "-c",
      `mount --bind '${etc}' /etc && exec "$@"`,
      "sh",
    ],
    async set(seconds) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigInt64(0, BigInt(seconds), true);
      // Into the same file: it is mapped.
      using file = await Deno.open(offset, { write: true });
      await file.write(bytes);
    },
  };
}
