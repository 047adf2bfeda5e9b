/**
 * Where the `serve`s of a data folder are, so that `secllama doctor` and `status` judge what runs and not what might: each writes
 * `serve-PID.json` to the private data folder once it listens, and removes it at its end. One that is left behind by a crash is
 * told by its process, and the next serve removes it.
 */
import { join } from "node:path";
import { utf8 } from "../bytes.ts";
import { writeFileAtomically } from "../keys/mod.ts";
import { linux } from "../linux/libc.ts";

/** Where one serve is. */
export interface ServeAnnouncement {
  readonly pid: number;
  /** When that process began, in the system's own words; "" where the system does not say. */
  readonly began: string;
  readonly gateway: string;
  /** null: it has no proxy. */
  readonly proxyPort: number | null;
}

const NAME = /^serve-\d+\.json$/;

/** Writes it, as a whole or not at all, and removes those of serves that are gone. Returns what removes it. */
export async function announceServe(
  dataDir: string,
  at: Pick<ServeAnnouncement, "gateway" | "proxyPort">,
): Promise<() => Promise<void>> {
  const path = join(dataDir, `serve-${Deno.pid}.json`);
  const announcement: ServeAnnouncement = { pid: Deno.pid, began: beganAt(Deno.pid), ...at };
  await removeStale(dataDir);
  await writeFileAtomically(path, utf8(JSON.stringify(announcement) + "\n"));
  return () => Deno.remove(path).catch(() => {});
}

/** Those of this data folder whose process lives. */
export async function announcedServes(dataDir: string): Promise<ServeAnnouncement[]> {
  const found: ServeAnnouncement[] = [];
  for (const path of await announcements(dataDir)) {
    const read = await readAnnouncement(path);
    if (read && lives(read)) found.push(read);
  }
  return found.sort((a, b) => a.pid - b.pid);
}

async function announcements(dataDir: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(dataDir));
    return entries.filter(({ name }) => NAME.test(name)).map(({ name }) => join(dataDir, name));
  } catch {
    return []; // there is none yet
  }
}

/** A crash leaves its file, and what an older version half wrote stays for ever. */
async function removeStale(dataDir: string): Promise<void> {
  for (const path of await announcements(dataDir)) {
    const read = await readAnnouncement(path);
    if (read === undefined || !lives(read)) await Deno.remove(path).catch(() => {});
  }
}

async function readAnnouncement(path: string): Promise<ServeAnnouncement | undefined> {
  try {
    const { pid, began, gateway, proxyPort } = Object(JSON.parse(await Deno.readTextFile(path)));
    const port = proxyPort === null || Number.isInteger(proxyPort);
    const known = Number.isInteger(pid) && typeof began === "string" &&
      typeof gateway === "string" && port;
    return known ? { pid, began, gateway, proxyPort } : undefined;
  } catch {
    return undefined; // not ours, or gone meanwhile
  }
}

/** Where the system does not say it is taken to live: whoever asks it then finds out. */
function lives({ pid, began }: ServeAnnouncement): boolean {
  return Deno.build.os !== "linux" || (beganAt(pid) === began && began !== "");
}

/** Field 22 of /proc/PID/stat (proc(5)), clock ticks since the boot: with the pid it names a process. */
function beganAt(pid: number): string {
  if (Deno.build.os !== "linux") return "";
  try {
    return linux().readText(`/proc/${pid}/stat`).split(") ").at(-1)!.split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
