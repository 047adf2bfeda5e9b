/**
 * Who is in a data folder: `serve` and `proxy` share it for as long as they run, a restore has it to itself. The system releases
 * what a process held that dies.
 */
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { HINTS, ioReason } from "../hints.ts";

const FILE = "in-use.lock";

/** For `serve` and `proxy`, until it is disposed. @throws {SecLlamaError} `key-lock-busy` while a restore runs, `bad-config`. */
export function shareFolder(dataDir: string): Promise<Disposable> {
  return hold(dataDir, false, {
    message: `a restore runs on ${dataDir}`,
    hint: "wait for it to end, and start again",
  });
}

/** For a restore, until it is disposed. @throws {SecLlamaError} `key-lock-busy` while a `serve` or `proxy` runs, `bad-config`. */
export function ownFolder(dataDir: string): Promise<Disposable> {
  return hold(dataDir, true, {
    message: `a serve, a proxy or another restore runs on ${dataDir}`,
    hint: HINTS.endFirst,
  });
}

async function hold(
  dataDir: string,
  alone: boolean,
  busy: { readonly message: string; readonly hint: string },
): Promise<Disposable> {
  let file: Deno.FsFile | undefined;
  try {
    // Some file systems lock only what may be written.
    file = await Deno.open(join(dataDir, FILE), { create: true, write: true, mode: 0o600 });
    if (await file.tryLock(alone)) return file;
  } catch (cause) {
    file?.close();
    // Where nothing is, or can be written, nothing is restored either.
    const { code } = cause as { code?: unknown };
    if (!alone && (code === "ENOENT" || code === "EROFS")) return { [Symbol.dispose]() {} };
    throw new SecLlamaError("bad-config", `${dataDir} cannot be locked: ${ioReason(cause)}`, {
      hint: HINTS.writableData,
      cause,
    });
  }
  file.close();
  throw new SecLlamaError("key-lock-busy", busy.message, { hint: busy.hint });
}
