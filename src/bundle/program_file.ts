/**
 * Reads this program's own file. On Linux through /proc/self/exe, which is the file that was started even if another has its
 * name by now or it was deleted; by system call, since Deno keeps /proc from any program that is not fully trusted.
 */
import { alloc, AT_FDCWD, cstr, linux, O, SystemCallError } from "../linux/libc.ts";

export interface ProgramFile extends Disposable {
  /** Up to `buffer.length` bytes from `offset`; 0 at the end. */
  readAt(offset: number, buffer: Uint8Array<ArrayBuffer>): number;
}

export const CHUNK_BYTES = 1 << 20;

/** @throws {SystemCallError} or what `Deno.openSync` throws. */
export function openProgramFile(): ProgramFile {
  if (Deno.build.os !== "linux") {
    const file = Deno.openSync(Deno.execPath());
    return {
      readAt(offset, buffer) {
        file.seekSync(offset, Deno.SeekMode.Start);
        return file.readSync(buffer) ?? 0;
      },
      [Symbol.dispose]: () => file.close(),
    };
  }
  const path = cstr("/proc/self/exe");
  const fd = linux().must(
    "open this program",
    "openat",
    AT_FDCWD,
    path,
    O.readOnly | O.closeOnExec,
    0,
  );
  return {
    readAt(offset, buffer) {
      const got = linux().call("pread64", fd, buffer, buffer.length, offset);
      if (got < 0) throw new SystemCallError("read this program", -got);
      return got;
    },
    [Symbol.dispose]: () => void linux().call("close", fd),
  };
}

/** The bytes from `offset` on, in chunks that are valid until the next one. @throws {RangeError} If the file ends early. */
export function* programBytes(
  file: ProgramFile,
  offset: number,
  sizeBytes: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const buffer = alloc(CHUNK_BYTES);
  for (let at = 0; at < sizeBytes;) {
    const got = file.readAt(offset + at, buffer.subarray(0, Math.min(CHUNK_BYTES, sizeBytes - at)));
    if (got === 0) throw new RangeError("this program's file is shorter than it was");
    yield buffer.subarray(0, got);
    at += got;
  }
}
