/**
 * Live listeners of the gateway's, there to be attacked by a runner before it gets keys. They take connections in the kernel's
 * queue, which `hits` empties: no event loop is involved, so a hit is there once the attack has returned. Before they are
 * used, the gateway reaches each of them itself: a listener that cannot be reached proves nothing.
 */
import { SecLlamaError } from "../errors.ts";
import { attackByLinux } from "./linux.ts";
import type { AttackResult, AttackTargets, TargetName } from "./types.ts";
import { alloc, AT_FDCWD, cstr, type Linux, linux, SystemCallError } from "../linux/libc.ts";
import { AF, IPPROTO_MPTCP, ipv4, ipv6Loopback, SOCK, unixAddress } from "../linux/sockets.ts";
import { plural } from "../plural.ts";

export type HitCounts = { readonly [name in TargetName]?: number };

interface Listener {
  readonly target: TargetName;
  readonly fd: number;
  readonly kind: "stream" | "datagram";
}

/** Ways without which the proof would be worth nothing; the others depend on the kernel's configuration. */
const REQUIRED: readonly TargetName[] = [
  "tcp4",
  "udp",
  "abstractStream",
  "abstractDatagram",
  "pathStream",
  "pathDatagram",
  "pairDatagram",
];

export class ProbeListeners {
  readonly #linux: Linux;
  readonly #folder: string;
  readonly #listeners: Listener[] = [];
  #targets!: AttackTargets;

  private constructor(system: Linux, folder: string) {
    this.#linux = system;
    this.#folder = folder;
  }

  /**
   * Opens them on loopback and in a new folder under `parent`, and reaches each once.
   * @throws {SecLlamaError} `sandbox-failed` if one that must be there cannot be opened or reached.
   */
  static open(options: { parent?: string } = {}): ProbeListeners {
    const id = crypto.randomUUID();
    const probe = new ProbeListeners(linux(), `${options.parent ?? "/tmp"}/secllama-probe-${id}`);
    try {
      probe.#open(id);
      return probe;
    } catch (cause) {
      probe.close();
      const reason = cause instanceof SystemCallError ? cause.message : "one was not reached";
      throw new SecLlamaError(
        "sandbox-failed",
        `the listeners that test the sandbox could not be opened: ${reason}`,
        { hint: "check that /tmp is writable and loopback is up", cause },
      );
    }
  }

  get targets(): AttackTargets {
    return this.#targets;
  }

  /** How often each was reached since the last call. */
  hits(): HitCounts {
    const counts: { [name in TargetName]?: number } = {};
    for (const listener of this.#listeners) {
      counts[listener.target] = (counts[listener.target] ?? 0) + this.#drain(listener);
    }
    return counts;
  }

  /**
   * What speaks against a runner that reported `results`: a hit, an attack that was not made, one that nothing refused.
   * Empty: it is confined. Takes the hits, and afterwards reaches every listener again, to show that they still count.
   */
  judge(results: readonly AttackResult[]): string[] {
    const problems: string[] = [];
    for (const [target, count] of Object.entries(this.hits())) {
      if (count! > 0) {
        problems.push(`${target}: the listener was reached ${plural(count!, "time")}`);
      }
    }
    for (const { target } of this.#listeners) {
      const outcome = results.find((r) => r.target === target)?.outcome ?? "not run";
      if (outcome === "not run") problems.push(`${target}: was not attacked`);
      else if (outcome !== "blocked") problems.push(`${target}: nothing refused the attack`);
    }
    const missed = this.#unreached();
    if (missed.length > 0) problems.push(`${missed.join(", ")}: the listener no longer counts`);
    return problems;
  }

  /** Closes all and removes the folder. */
  close(): void {
    for (const { fd } of this.#listeners.splice(0)) this.#linux.call("close", fd);
    for (const name of ["stream", "datagram", "pair"]) {
      this.#linux.call("unlinkat", AT_FDCWD, cstr(`${this.#folder}/${name}`), 0);
    }
    this.#linux.call("unlinkat", AT_FDCWD, cstr(this.#folder), 0x200 /* AT_REMOVEDIR */);
  }

  #open(id: string): void {
    // Others may pass through and connect: the sandbox is to stop the runner, not the mode of a folder.
    this.#linux.must("make a folder", "mkdirat", AT_FDCWD, cstr(this.#folder), 0o711);
    const loopback = ipv4("127.0.0.1", 0);
    const optional = (open: () => number): number | null => {
      try {
        return open();
      } catch (error) {
        if (error instanceof SystemCallError) return null;
        throw error;
      }
    };
    const path = (name: string) => `${this.#folder}/${name}`;
    const unix = (target: TargetName, kind: "stream" | "datagram", name: string) => {
      this.#listen(target, kind, AF.unix, 0, unixAddress(name));
      if (!name.startsWith("@")) {
        this.#linux.must("open it to all", "fchmodat", AT_FDCWD, cstr(name), 0o777);
      }
      return name;
    };
    this.#targets = {
      tcp4: this.#listen("tcp4", "stream", AF.inet, 0, loopback),
      udp: this.#listen("udp", "datagram", AF.inet, 0, loopback),
      mptcp: optional(() => this.#listen("mptcp", "stream", AF.inet, IPPROTO_MPTCP, loopback)),
      tcp6: optional(() => this.#listen("tcp6", "stream", AF.inet6, 0, ipv6Loopback(0))),
      mapped: this.#listen("mapped", "stream", AF.inet, 0, loopback),
      abstractStream: unix("abstractStream", "stream", `@secllama-probe-${id}-s`),
      abstractDatagram: unix("abstractDatagram", "datagram", `@secllama-probe-${id}-d`),
      pathStream: unix("pathStream", "stream", path("stream")),
      pathDatagram: unix("pathDatagram", "datagram", path("datagram")),
      pairDatagram: unix("pairDatagram", "datagram", path("pair")),
    };
    this.#dropUnreachable();
  }

  /** Opens a listener; returns its port (0 for Unix). @throws {SystemCallError} If the kernel has no such socket. */
  #listen(
    target: TargetName,
    kind: "stream" | "datagram",
    family: number,
    protocol: number,
    address: Uint8Array,
  ): number {
    const type = (kind === "stream" ? SOCK.stream : SOCK.datagram) | SOCK.nonBlock |
      SOCK.closeOnExec;
    const fd = this.#linux.must(`${target}: socket`, "socket", family, type, protocol);
    this.#listeners.push({ target, fd, kind });
    try {
      this.#linux.must(`${target}: bind`, "bind", fd, address, address.length);
      if (kind === "stream") this.#linux.must(`${target}: listen`, "listen", fd, 128);
    } catch (error) {
      this.#listeners.pop();
      this.#linux.call("close", fd);
      throw error;
    }
    const name = alloc(128);
    const length = alloc(4);
    new DataView(length.buffer).setUint32(0, name.length, true);
    this.#linux.must(`${target}: getsockname`, "getsockname", fd, name, length);
    return new DataView(name.buffer).getUint16(2);
  }

  #drain(listener: Listener): number {
    const flags = SOCK.nonBlock | SOCK.closeOnExec;
    const buffer = alloc(256);
    for (let count = 0;; count++) {
      const result = listener.kind === "stream"
        ? this.#linux.call("accept4", listener.fd, null, null, flags)
        : this.#linux.call("recvfrom", listener.fd, buffer, buffer.length, 0, null, null);
      if (result < 0) return count;
      if (listener.kind === "stream") this.#linux.call("close", result);
    }
  }

  /** Targets that this process itself cannot reach now. */
  #unreached(): TargetName[] {
    this.hits();
    attackByLinux(this.#linux, this.#targets);
    const hits = this.hits();
    return this.#listeners.map((l) => l.target).filter((target) => (hits[target] ?? 0) === 0);
  }

  #dropUnreachable(): void {
    for (const target of this.#unreached()) {
      if (REQUIRED.includes(target)) {
        throw new Error(`${target} was not reached`);
      }
      const at = this.#listeners.findIndex((l) => l.target === target);
      for (const { fd } of this.#listeners.splice(at, 1)) this.#linux.call("close", fd);
      this.#targets = { ...this.#targets, [target]: null };
    }
  }
}
