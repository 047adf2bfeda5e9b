/** Who else may read or change a file or folder that keys depend on. POSIX modes; nothing is looked at on Windows. */
import { dirname, resolve } from "node:path";
import { SecLlamaError } from "../../errors.ts";
import { ioError } from "../keyset/manifest_file.ts";

/** Bits of a mode (inode(7)): write and read or search, for the group and for others; the sticky bit. */
const [OTHERS_WRITE, OTHERS_READ, STICKY] = [0o022, 0o055, 0o1000];

/**
 * What a person should know about who may read `path`, one line each; nothing for what is not there.
 * @param what What a person calls it: "the key file".
 * @throws {SecLlamaError} `key-refused` if it belongs to another user, or others may write to it or put another in its place.
 */
export async function checkAccess(path: string, what: string): Promise<string[]> {
  if (Deno.build.os === "windows") return [];
  const info = await statOf(path);
  if (info === undefined) return [];
  const kind = info.isDirectory ? "700" : "600";
  const run = `run: chmod ${kind} ${path}`;
  if (info.uid !== 0 && info.uid !== Deno.uid()) {
    throw refused(`${what} ${path} belongs to another user`, "use one of your own");
  }
  if ((info.mode ?? 0) & OTHERS_WRITE) throw refused(`others may write to ${what} ${path}`, run);
  if (!info.isDirectory) await checkFolder(path, what);
  return (info.mode ?? 0) & OTHERS_READ
    ? [`others may read ${what} ${path}: ${run.replace("run: ", "to end that, run: ")}`]
    : [];
}

/** Whoever may write to a file's folder can put another in its place, unless the folder is sticky as /tmp is. */
async function checkFolder(path: string, what: string): Promise<void> {
  const folder = dirname(resolve(path));
  const { mode } = await statOf(folder) ?? {};
  if (((mode ?? 0) & OTHERS_WRITE) === 0 || (mode! & STICKY) !== 0) return;
  throw refused(
    `others may write to the folder of ${what}, ${folder}`,
    `move the file, or run: chmod go-w ${folder}`,
  );
}

async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw ioError("look at", path, error);
  }
}

function refused(message: string, hint: string): SecLlamaError {
  return new SecLlamaError("key-refused", message, { hint });
}
