/**
 * Where the `serve`s of a data folder are, so that `secllama doctor` and `status` judge what runs and not what might: each writes
 * `serve-PID.json` to the private data folder once it listens, and removes it at its end. One that is left behind by a crash is
 * told by its process.
 */
import { join } from "node:path";
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

/** Writes it. Returns what removes it. */
export async function announceServe(
  dataDir: string,
  at: Pick<ServeAnnouncement, "gateway" | "proxyPort">,
): Promise<() => Promise<void>> {
  const path = join(dataDir, `serve-${Deno.pid}.json`);
  const announcement: ServeAnnouncement = { pid: Deno.pid, began: beganAt(Deno.pid), ...at };
  await Deno.writeTextFile(path, JSON.stringify(announcement) + "\n", { mode: 0o600 });
  return () => Deno.remove(path).catch(() => {});
}

/** Those of this data folder whose process lives. */
export async function announcedServes(dataDir: string): Promise<ServeAnnouncement[]> {
  const found: ServeAnnouncement[] = [];
  let entries: Deno.DirEntry[];
  try {
    entries = await Array.fromAsync(Deno.readDir(dataDir));
  } catch {
    return []; // there is none yet
  }
  for (const { name } of entries.filter((entry) => NAME.test(entry.name))) {
    const read = await readAnnouncement(join(dataDir, name));
    if (read && lives(read)) found.push(read);
  }
  return found.sort((a, b) => a.pid - b.pid);
}

async function readAnnouncement(path: string): Promise<ServeAnnouncement | undefined> {
  try {
    const { pid, began, gateway, proxyPort } = Object(JSON.parse(await Deno.readTextFile(path)));
    const port = proxyPort === null || Number.isInteger(proxyPort);
    const known = Number.isInteger(pid) && typeof began === "string" &&
      typeof gateway === "string" && port;
    return known ? { pid, began, gateway, proxyPort } : undefined;
  } catch {
    return undefined; // half written, or gone meanwhile
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
