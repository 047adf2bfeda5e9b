/**
 * What a channel is: an object of the host's on which two processes that have nothing to do with each other see one another's effect.
 * One brings it into one of two states, the other looks which. Written as code inside a runner would do it, by native calls;
 * files were opened and mapped before the lockdown, as a model's loader could have done.
 */
import { errnoName } from "../../linux/errno.ts";
import { alloc, AT_FDCWD, cstr, type Linux, O } from "../../linux/libc.ts";
import type { WaitingThreads } from "../threads.ts";

/** What one side of a meeting knows. JSON. */
export interface Place {
  /** A file of the host's that both may read, as this side names it; of {@link FILE_BYTES} zeros. */
  readonly file: string;
}

const STRIDE_BYTES = 1 << 20;
/** One page of its own for each bit, far enough from the next that reading one does not bring it in. */
export const FILE_BYTES = 9 * STRIDE_BYTES;

/** One side of a meeting. */
export interface Side {
  readonly linux: Linux;
  readonly file: string;
  /** The file, opened for reading and mapped shared; negative errno if that was refused. */
  readonly fd: number;
  readonly at: number;
  /** The other process, as the host names it. In a pid namespace of one's own that is nobody. */
  readonly peer: number;
  /** Which bit it is: what is used once can be another each time. */
  readonly index: number;
  /** What the channel keeps between its calls. */
  readonly memory: {
    [name: string]: number | bigint | readonly number[] | Promise<number> | WaitingThreads;
  };
}

/** What was done: the call that was refused, or the last one. */
export interface Done {
  readonly step: string;
  /** "EACCES"; "" if nothing was refused. */
  readonly errno: string;
}

export interface Seen extends Done {
  readonly bit: boolean;
}

export interface Channel {
  readonly name: string;
  /** What both see. */
  readonly object: string;
  /** It is counted for a user: the ordinary process is one of the runner's own user. */
  readonly sameUser?: boolean;
  /** Only what a runner learns is an attack; why what it shows is none. */
  readonly intoRunnersOnly?: string;
  /** By the host, before each bit: puts the file's pages out of memory. */
  readonly evict?: boolean;
  /** The receiver gets ready for a bit; the sender has sent a zero before. */
  arm?(side: Side): Done;
  send(side: Side, bit: boolean): Done;
  receive(side: Side): Seen | Promise<Seen>;
}

export const NOTHING: Done = { step: "", errno: "" };

/** By a call's result. */
export function done(step: string, result: number): Done {
  return { step, errno: result < 0 ? errnoName(-result) : "" };
}

export function seen(step: string, bit: boolean): Seen {
  return { step, errno: "", bit };
}

/** A call that was refused tells nothing. */
export function unseen(step: string, result: number): Seen {
  return { ...done(step, result), bit: false };
}

/** Opens and maps the file: what the loader of a model could have done. */
export function openPlace(linux: Linux, { file }: Place): Pick<Side, "fd" | "at"> {
  const PROT_READ = 1;
  const MAP_SHARED = 1;
  const fd = linux.call("openat", AT_FDCWD, cstr(file), O.readOnly | O.closeOnExec, 0);
  if (fd < 0) return { fd, at: fd };
  return { fd, at: linux.call("mmap", null, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0) };
}

/** Waits on this thread. */
export function pause(linux: Linux, ms: number): void {
  const time = alloc(16); // struct timespec: seconds s64, nanoseconds s64
  new DataView(time.buffer).setBigInt64(8, BigInt(ms) * 1_000_000n, true);
  linux.call("nanosleep", time, null);
}

/** The offset of this bit's page. */
export function pageOf({ index }: Pick<Side, "index">): number {
  return (index + 1) * STRIDE_BYTES;
}

/** A small file by a path, as text; or the errno, negative. */
export function readText(linux: Linux, path: string): string | number {
  const fd = linux.call("openat", AT_FDCWD, cstr(path), O.readOnly | O.closeOnExec, 0);
  if (fd < 0) return fd;
  const chunks: string[] = [];
  const decoder = new TextDecoder();
  const buffer = alloc(65536);
  for (;;) {
    const got = linux.call("read", fd, buffer, buffer.length);
    if (got <= 0) break;
    chunks.push(decoder.decode(buffer.subarray(0, got), { stream: true }));
  }
  linux.call("close", fd);
  return chunks.join("");
}
