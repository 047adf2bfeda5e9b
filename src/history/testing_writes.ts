/**
 * What a process wrote, call by call, as strace saw it: the files that a kill -9 before any of these calls leaves, since the kernel keeps
 * what was written, and nothing else. And those that a power cut leaves, of which only what was synced is certain.
 */
import { join } from "node:path";

/** strace's options for a log that {@link readCalls} reads: all data, whole, in hexadecimal. */
export const WRITE_LOG = [
  ...["-y", "-xx", "-s", "16777216"],
  ...["-e", "trace=write,pwrite64,ftruncate,fsync,fdatasync,unlink"],
];

/** One call: a change of a file, a sync of one, or text on standard output. */
type WriteCall =
  | {
    readonly kind: "write";
    readonly path: string;
    readonly at: number;
    readonly data: Uint8Array;
  }
  | { readonly kind: "cut"; readonly path: string; readonly length: number }
  | { readonly kind: "sync" | "unlink"; readonly path: string }
  | { readonly kind: "said"; readonly text: string };

/** `\x61\x62` as bytes. */
function bytesOfHex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll("\\x", ""));
}

const text = (hex: string) => new TextDecoder().decode(bytesOfHex(hex));

/** The calls of a log below `folder`, and what was said between them. @throws {Error} For a line that is not understood. */
export function readCalls(log: string, folder: string): WriteCall[] {
  const calls: WriteCall[] = [];
  for (const line of log.split("\n")) {
    const removed = /^\d+ +unlink\("([^"]*)"/.exec(line);
    const [, name, fd, hexPath, data, rest] = removed
      ? []
      : /^\d+ +(\w+)\((\d+)<([^>]*)>(?:, "([^"]*)"(?!\.))?([^]*)/.exec(line) ?? [];
    const path = text((removed ? removed[1] : hexPath) ?? "");
    if (removed) {
      if (path.startsWith(folder)) calls.push({ kind: "unlink", path });
    } else if (fd === "1" && name === "write") calls.push({ kind: "said", text: text(data!) });
    else if (name !== undefined && path.startsWith(folder)) {
      const [first, second] = (rest!.match(/\d+/g) ?? []).map(Number);
      if (name === "pwrite64" && data !== undefined) {
        calls.push({ kind: "write", path, at: second!, data: bytesOfHex(data) });
      } else if (name === "ftruncate") calls.push({ kind: "cut", path, length: first! });
      else if (name === "fsync" || name === "fdatasync") calls.push({ kind: "sync", path });
      else throw new Error(`what is this: ${line.slice(0, 200)}`);
    }
  }
  return calls;
}

/** Files as they are after some calls. */
export class WrittenFiles {
  /** As the kernel has them. */
  readonly #now = new Map<string, Uint8Array>();
  /** As they were when they were last synced, and what came since. */
  readonly #synced = new Map<string, Uint8Array>();
  readonly #since = new Map<string, WriteCall[]>();

  apply(call: WriteCall): void {
    if (call.kind === "said") return;
    const { path } = call;
    if (call.kind === "sync") {
      this.#synced.set(path, this.#now.get(path)?.slice() ?? new Uint8Array());
      this.#since.set(path, []);
      return;
    }
    if (call.kind === "unlink") {
      // SQLite syncs the folder after it.
      for (const files of [this.#now, this.#synced, this.#since]) files.delete(path);
      return;
    }
    const since = this.#since.get(path) ?? [];
    since.push(call);
    this.#since.set(path, since);
    changed(this.#now, call);
  }

  /** What a kill leaves. */
  get killed(): ReadonlyMap<string, Uint8Array> {
    return this.#now;
  }

  /** What a power cut may leave: of what was not synced, some calls of chance, each whole or not at all. */
  cut(random: () => number): ReadonlyMap<string, Uint8Array> {
    const files = new Map([...this.#synced].map(([path, bytes]) => [path, bytes.slice()]));
    for (const calls of this.#since.values()) {
      for (const call of calls) if (random() < 0.5) changed(files, call);
    }
    return files;
  }
}

function changed(files: Map<string, Uint8Array>, call: WriteCall): void {
  if (call.kind === "unlink") files.delete(call.path);
  if (call.kind === "cut") {
    const bytes = new Uint8Array(call.length);
    bytes.set((files.get(call.path) ?? bytes).subarray(0, call.length));
    files.set(call.path, bytes);
  }
  if (call.kind === "write") {
    const { path, at, data } = call;
    let bytes = files.get(path) ?? new Uint8Array();
    if (bytes.length < at + data.length) {
      const longer = new Uint8Array(at + data.length);
      longer.set(bytes);
      bytes = longer;
      files.set(path, bytes);
    }
    bytes.set(data, at);
  }
}

/** Puts files of `from` into a new folder `to`. */
export function putFiles(files: ReadonlyMap<string, Uint8Array>, from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const [path, bytes] of files) Deno.writeFileSync(join(to, path.slice(from.length)), bytes);
}
