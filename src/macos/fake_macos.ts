/**
 * A fake at the FFI boundary of macOS's C library: not macOS, but the same functions, with its errno. It stands for a process in
 * a sandbox that refuses everything, less what a test opens, and records what was called.
 */
import type { Macos, SandboxFilter } from "./libc.ts";

const EPERM = 1;

export interface FakeOptions {
  /** Calls that are not refused. */
  readonly allow?: readonly (keyof Macos)[];
  /** Answers of sandbox_check by operation ("none" for null); default 1, and 0 for the program that `readable` names. */
  readonly check?: { readonly [operation: string]: number };
  readonly readable?: string;
  readonly cache?: string;
}

export class FakeMacos implements Macos {
  readonly calls: string[] = [];
  readonly #o: FakeOptions;
  constructor(options: FakeOptions = {}) {
    this.#o = options;
  }

  #answer(name: keyof Macos, detail: string, good: number): number {
    this.calls.push(`${name} ${detail}`);
    return this.#o.allow?.includes(name) ? good : -1;
  }

  socket = (family: number, type: number) => this.#answer("socket", `${family} ${type}`, 3);
  connect = (_fd: number, address: unknown) =>
    this.#answer("connect", String([...address as Uint8Array].slice(0, 8)), 0);
  sendto = (_fd: number, _data: unknown, _size: unknown, _flags: number, address: unknown) =>
    BigInt(this.#answer("sendto", String([...address as Uint8Array].slice(0, 8)), 8));
  open = (path: unknown) => this.#answer("open", text(path), 4);
  creat = (path: unknown) => this.#answer("creat", text(path).replace(/-.*/, ""), 5);
  unlink = (path: unknown) => this.#answer("unlink", text(path).replace(/-.*/, ""), 0);
  close = (fd: number) => this.#answer("close", String(fd), 0);
  posix_spawn = (_pid: unknown, path: unknown) =>
    this.#answer("posix_spawn", text(path), 0) === 0 ? 0 : EPERM;
  waitpid = (pid: number) => this.#answer("waitpid", String(pid), pid);
  errno = () => EPERM;
  confstr = (_name: number, buffer: unknown) => {
    const { cache } = this.#o;
    if (cache === undefined) return 0n;
    (buffer as Uint8Array).set(new TextEncoder().encode(cache + "\0"));
    return BigInt(cache.length + 1);
  };
  sandboxCheck(_pid: number, operation: string | null, filter?: SandboxFilter): number {
    const name = operation ?? "none";
    this.calls.push(`sandbox_check ${name}${filter ? ` ${filter.value}` : ""}`);
    if (filter?.value === this.#o.readable && name === "file-read-data") {
      return this.#o.check?.["own file"] ?? 0;
    }
    return this.#o.check?.[name] ?? 1;
  }
}

function text(bytes: unknown): string {
  return new TextDecoder().decode(bytes as Uint8Array).replace(/\0$/, "");
}
