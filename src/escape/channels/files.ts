/** Channels over a file: its locks, its watchers, its times, and its pages. */
import { addressOf, alloc, AT_FDCWD, cstr, type Linux, O } from "../../linux/libc.ts";
import {
  type Channel,
  type Done,
  done,
  NOTHING,
  pageOf,
  pause,
  type Seen,
  seen,
  type Side,
  unseen,
} from "./channel.ts";

const EAGAIN = 11;
const LOCK_TYPE = { read: 0, write: 1, unlock: 2 } as const;
const PAGE_BYTES = 4096;

/** struct flock: l_type s16, l_whence s16, l_start s64 @8, l_len s64 @16 (0: to the end), l_pid s32 @24. */
function flockOf(type: number): Uint8Array<ArrayBuffer> {
  const out = alloc(32);
  new DataView(out.buffer).setInt16(0, type, true);
  return out;
}

/** @param commands F_GETLK and F_SETLK, or those of open file descriptions. */
function rangeLock(name: string, commands: { get: number; set: number }): Channel {
  return {
    name,
    object: "locks on ranges of a file",
    send({ linux, fd }, bit) {
      const type = bit ? LOCK_TYPE.read : LOCK_TYPE.unlock;
      return done("fcntl", linux.call("fcntl", fd, commands.set, flockOf(type)));
    },
    receive({ linux, fd }) {
      const lock = flockOf(LOCK_TYPE.write);
      const result = linux.call("fcntl", fd, commands.get, lock);
      if (result < 0) return unseen("fcntl", result);
      return seen("fcntl", new DataView(lock.buffer).getInt16(0, true) !== LOCK_TYPE.unlock);
    },
  };
}

const flock: Channel = {
  name: "file lock (flock)",
  object: "the lock of a file",
  send({ linux, fd }, bit) {
    return done("flock", linux.call("flock", fd, bit ? 1 /* LOCK_SH */ : 8 /* LOCK_UN */));
  },
  receive({ linux, fd }) {
    const result = linux.call("flock", fd, 2 | 4 /* LOCK_EX | LOCK_NB */);
    if (result === -EAGAIN) return seen("flock", true);
    if (result < 0) return unseen("flock", result);
    linux.call("flock", fd, 8);
    return seen("flock", false);
  },
};

/** The receiver looks by asking to open the file for writing, which a lease for reading is in the way of. */
const lease: Channel = {
  name: "lease on a file",
  object: "the leases of a file",
  sameUser: true, // only the file's owner may have one
  send({ linux, fd }, bit) {
    const [F_SETSIG, F_SETLEASE, SIGURG] = [10, 1024, 23];
    // What a broken lease sends ends a process by default; this signal does not.
    const signal = linux.call("fcntl", fd, F_SETSIG, SIGURG);
    if (signal < 0) return done("fcntl", signal);
    const result = linux.call("fcntl", fd, F_SETLEASE, bit ? LOCK_TYPE.read : LOCK_TYPE.unlock);
    return done("fcntl", !bit && result === -EAGAIN ? 0 : result);
  },
  receive({ linux, file }) {
    const flags = O.writeOnly | O.nonBlock | O.closeOnExec;
    const fd = linux.call("openat", AT_FDCWD, cstr(file), flags, 0);
    if (fd === -EAGAIN) return seen("openat", true);
    if (fd < 0) return unseen("openat", fd);
    linux.call("close", fd);
    return seen("openat", false);
  },
};

const watched: Channel = {
  name: "a file is opened (inotify)",
  object: "the watches on a file",
  arm({ linux, file, memory }) {
    if (memory["watch"] === undefined) {
      const watch = linux.call("inotify_init1", O.nonBlock | O.closeOnExec);
      if (watch < 0) return done("inotify_init1", watch);
      const IN_OPEN = 0x20;
      const added = linux.call("inotify_add_watch", watch, cstr(file), IN_OPEN);
      if (added < 0) return done("inotify_add_watch", added);
      memory["watch"] = watch;
    }
    return NOTHING;
  },
  send({ linux, file }, bit) {
    if (!bit) return NOTHING;
    const fd = linux.call("openat", AT_FDCWD, cstr(file), O.readOnly | O.closeOnExec, 0);
    if (fd >= 0) linux.call("close", fd);
    return done("openat", fd);
  },
  receive({ linux, memory }) {
    const result = linux.call("read", memory["watch"] as number, alloc(4096), 4096);
    return result === -EAGAIN
      ? seen("read", false)
      : result < 0
      ? unseen("read", result)
      : seen("read", true);
  },
};

/** stx_mtime: seconds s64 @112, nanoseconds u32 @120. */
function modified(linux: Linux, file: string): bigint | number {
  const statx = alloc(256);
  const STATX_MTIME = 0x40;
  const result = linux.call("statx", AT_FDCWD, cstr(file), 0, STATX_MTIME, statx);
  if (result < 0) return result;
  const view = new DataView(statx.buffer);
  return view.getBigInt64(112, true) * 1_000_000_000n + BigInt(view.getUint32(120, true));
}

const times: Channel = {
  name: "times of a file",
  object: "a file's times",
  arm({ linux, file, memory }) {
    const before = modified(linux, file);
    if (typeof before === "number") return done("statx", before);
    memory["modified"] = before;
    return NOTHING;
  },
  send({ linux, file }, bit) {
    if (!bit) return NOTHING;
    // The clock of file systems ticks some hundred times a second: the time is to be another one.
    pause(linux, 20);
    return done("utimensat", linux.call("utimensat", AT_FDCWD, cstr(file), null, 0));
  },
  receive({ linux, file, memory }) {
    const now = modified(linux, file);
    if (typeof now === "number") return unseen("statx", now);
    return seen("statx", now !== memory["modified"]);
  },
};

/** struct iovec */
function iovec(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = alloc(16);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, addressOf(bytes), true);
  view.setBigUint64(8, BigInt(bytes.length), true);
  return out;
}

/** Whether this bit's page is in memory: a read that must not wait. It asks for the page: a second look would find it. */
function cachedByRead(side: Side): Seen {
  const RWF_NOWAIT = 8;
  const byte = alloc(1);
  const result = side.linux.call("preadv2", side.fd, iovec(byte), 1, pageOf(side), 0, RWF_NOWAIT);
  if (result === -EAGAIN) return seen("preadv2", false);
  return result < 0 ? unseen("preadv2", result) : seen("preadv2", true);
}

function inCore(side: Side): Seen {
  const state = alloc(1);
  const result = side.linux.call("mincore", side.at + pageOf(side), PAGE_BYTES, state);
  return result < 0 ? unseen("mincore", result) : seen("mincore", (state[0]! & 1) === 1);
}

/** A page that was asked for may still be on its way from the disk. */
function cachedByMincore(side: Side): Seen {
  let last = inCore(side);
  for (let tries = 0; tries < 20 && !last.bit && last.errno === ""; tries++) {
    pause(side.linux, 2);
    last = inCore(side);
  }
  return last;
}

/** Takes this bit's page out of the mapping again: a page that is mapped cannot be evicted for the next try. */
function unmapPage(side: Side): Done {
  const MADV_DONTNEED = 4;
  const at = side.at + pageOf(side);
  return done("madvise", side.linux.call("madvise", at, PAGE_BYTES, MADV_DONTNEED));
}

/** Brings this bit's page into memory if the bit is set. */
function pageIn(
  name: string,
  bring: (side: Side) => Done,
  receive: (side: Side) => Seen,
): Channel {
  return {
    name: `page cache: ${name}`,
    object: "which pages of a file are in memory",
    evict: true,
    send: (side, bit) => bit ? bring(side) : NOTHING,
    receive,
  };
}

const pages: readonly Channel[] = [
  pageIn(
    "fadvise, mincore",
    (side) => {
      const { linux, fd } = side;
      const POSIX_FADV_WILLNEED = 3;
      const at = pageOf(side);
      return done("fadvise64", linux.call("fadvise64", fd, at, PAGE_BYTES, POSIX_FADV_WILLNEED));
    },
    cachedByMincore,
  ),
  pageIn(
    "readahead, mincore",
    (side) => done("readahead", side.linux.call("readahead", side.fd, pageOf(side), PAGE_BYTES)),
    cachedByMincore,
  ),
  pageIn(
    "madvise, RWF_NOWAIT",
    (side) => {
      const MADV_POPULATE_READ = 22;
      const at = side.at + pageOf(side);
      const result = side.linux.call("madvise", at, PAGE_BYTES, MADV_POPULATE_READ);
      unmapPage(side);
      return done("madvise", result);
    },
    cachedByRead,
  ),
  pageIn(
    "pread, RWF_NOWAIT",
    (side) => done("pread64", side.linux.call("pread64", side.fd, alloc(1), 1, pageOf(side))),
    cachedByRead,
  ),
];

/** Reads a byte of mapped memory. */
function touch(at: number): number {
  return new Deno.UnsafePointerView(Deno.UnsafePointer.create(BigInt(at))!).getUint8();
}

/** A page that more than one process has mapped is not exclusively this one's: bit 56 of its entry in pagemap. */
const mapped: Channel = {
  name: "who has a page mapped",
  object: "how often a file's page is mapped",
  send(side, bit) {
    const { linux, fd, memory } = side;
    const before = memory["mapped"] as number | undefined;
    if (before !== undefined) {
      const result = linux.call("munmap", before, PAGE_BYTES);
      if (result < 0) return done("munmap", result);
      delete memory["mapped"];
    }
    if (!bit) return NOTHING;
    const [PROT_READ, MAP_SHARED] = [1, 1];
    const at = linux.call("mmap", null, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, pageOf(side));
    if (at < 0) return done("mmap", at);
    touch(at);
    memory["mapped"] = at;
    return NOTHING;
  },
  receive(side) {
    const { linux } = side;
    const at = side.at + pageOf(side);
    touch(at);
    const map = linux.call(
      "openat",
      AT_FDCWD,
      cstr("/proc/self/pagemap"),
      O.readOnly | O.closeOnExec,
      0,
    );
    if (map < 0) return unseen("open pagemap", map);
    const entry = alloc(8);
    const got = linux.call("pread64", map, entry, 8, at / PAGE_BYTES * 8);
    linux.call("close", map);
    unmapPage(side);
    if (got < 8) return unseen("pread64", got);
    return seen("pread64", (new DataView(entry.buffer).getBigUint64(0, true) >> 56n & 1n) === 0n);
  },
};

const WAIT_MS = 400;
/** struct timespec. Kept, as threads that wait point to it. */
const waitTime = alloc(16);
new DataView(waitTime.buffer).setBigInt64(8, BigInt(WAIT_MS) * 1_000_000n, true);

/** A futex in a mapped file is one for all who map it. The receiver waits for a while, on a thread of its own. */
const futex: Channel = {
  name: "futex in a file",
  object: "who waits at a file's page",
  arm(side) {
    const { linux, memory } = side;
    const [FUTEX_WAIT, CONTENT] = [0, 0];
    const at = side.at + pageOf(side);
    // With another content than there is it must not wait: whether it may is the question.
    const tried = linux.call("futex", at, FUTEX_WAIT, CONTENT + 1, waitTime);
    if (tried !== -EAGAIN) return done("futex", tried);
    memory["wait"] = linux.callAside("futex", at, FUTEX_WAIT, CONTENT, addressOf(waitTime));
    return NOTHING;
  },
  send(side, bit) {
    if (!bit) return NOTHING;
    const sent = wake(side);
    unmapPage(side);
    return sent;
  },
  async receive(side) {
    const woken = await side.memory["wait"] === 0;
    unmapPage(side);
    return seen("futex", woken);
  },
};

/** The receiver's thread may take a moment to get there. */
function wake({ linux, at, index }: Side): Done {
  const FUTEX_WAKE = 1;
  for (let tries = 0; tries < WAIT_MS; tries++) {
    const woken = linux.call("futex", at + pageOf({ index }), FUTEX_WAKE, 1);
    if (woken !== 0) return done("futex", woken);
    pause(linux, 1);
  }
  return NOTHING;
}

export const FILE_CHANNELS: readonly Channel[] = [
  rangeLock("byte-range lock", { get: 5, set: 6 }),
  rangeLock("byte-range lock of an open file", { get: 36, set: 37 }),
  flock,
  lease,
  watched,
  times,
  ...pages,
  mapped,
  futex,
];
