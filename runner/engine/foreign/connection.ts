/**
 * A stream over a Unix socket, by system calls. Deno's own sockets would need three permissions more, of a process that has none
 * for any network; what is waited for is waited for on a thread of the runtime's.
 */
import { addressOf, alloc, cstr, type Linux, linux } from "../../../src/linux/libc.ts";
import { errnoName } from "../../../src/linux/errno.ts";

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0x80001;
const SHUT_RDWR = 2;
const CHUNK_BYTES = 64 * 1024;
/** `sun_path` of unix(7), with the zero that ends it. */
const MOST_PATH = 108;
const EINTR = 4;

/** Why there is no connection: an error of the kernel's, by its name. */
export class ConnectionError extends Error {
  /** "ECONNREFUSED". */
  readonly errno: string;

  constructor(step: string, errno: number) {
    super(`${step}: ${errnoName(errno)}`);
    this.name = "ConnectionError";
    this.errno = errnoName(errno);
  }
}

/** One connection. */
export class Connection implements Disposable {
  readonly #system: Linux;
  readonly #fd: number;
  #open = true;
  #reading: Promise<unknown> = Promise.resolve();
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(system: Linux, fd: number) {
    this.#system = system;
    this.#fd = fd;
  }

  /** @throws {ConnectionError} If nobody listens there. */
  static open(path: string, system: Linux = linux()): Connection {
    const name = cstr(path);
    if (name.length > MOST_PATH) throw new RangeError("the path of a socket is too long");
    const address = alloc(2 + name.length);
    new DataView(address.buffer).setUint16(0, AF_UNIX, true);
    address.set(name, 2);
    const fd = system.call("socket", AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
    if (fd < 0) throw new ConnectionError("socket", -fd);
    const result = system.call("connect", fd, address, address.length);
    if (result < 0) {
      system.call("close", fd);
      throw new ConnectionError("connect", -result);
    }
    return new Connection(system, fd);
  }

  /** Sends all of it. @throws {ConnectionError} */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (!this.#open) throw new ConnectionError("write", 32);
      const part = bytes.subarray(at);
      // Only what fits is taken at once; what the other end is slow to take must not stop this thread.
      const writing = this.#system.writeAside(this.#fd, part);
      this.#writing = writing;
      const sent = await writing;
      if (sent <= 0) throw new ConnectionError("write", 32);
      at += sent;
    }
  }

  /** What has come, at least one byte; undefined: the other end has closed, or this one. */
  async read(): Promise<Uint8Array | undefined> {
    if (!this.#open) return undefined;
    const buffer = alloc(CHUNK_BYTES);
    for (;;) {
      const reading = this.#system.callAside("read", this.#fd, addressOf(buffer), buffer.length);
      this.#reading = reading;
      const got = await reading;
      if (got > 0) return buffer.subarray(0, got);
      if (got < 0 && this.#open && this.#interrupted()) continue;
      return undefined;
    }
  }

  /** A read that failed says no reason: asked again here, where there is one, it does. */
  #interrupted(): boolean {
    const MSG_PEEK_DONTWAIT = 0x42;
    const result = this.#system.call(
      "recvfrom",
      this.#fd,
      alloc(1),
      1,
      MSG_PEEK_DONTWAIT,
      null,
      null,
    );
    const EAGAIN = 11;
    return result > 0 || result === -EAGAIN || result === -EINTR;
  }

  /** Ends it both ways; a read that waits comes back. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#system.call("shutdown", this.#fd, SHUT_RDWR);
    // Its number may be another's as soon as it is closed: not while a thread still uses it.
    void Promise.allSettled([this.#reading, this.#writing])
      .then(() => this.#system.call("close", this.#fd));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
