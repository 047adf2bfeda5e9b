/**
 * What the runner on macOS tries by native calls before it is given a key: the gateway's listeners, and what the profile must
 * refuse. Each is harmless if it passes. Never run on macOS.
 */
import type { AttackResult, LoopbackTargets } from "./types.ts";
import { cstr, type Macos } from "../macos/libc.ts";

const AF = { unix: 1, inet: 2, inet6: 30 } as const;
const SOCK = { stream: 1, datagram: 2 } as const;
type Bytes = Uint8Array<ArrayBuffer>;

/** Attacks each target once. Never throws for a refusal. */
export function attackByMacos(system: Macos, targets: LoopbackTargets): AttackResult[] {
  const results: AttackResult[] = [];
  const add = (target: keyof LoopbackTargets, { step, errno }: Outcome) =>
    results.push({
      target,
      outcome: errno === 0 ? "out" : "blocked",
      step,
      errno: errno === 0 ? "" : `errno ${errno}`,
    });
  add("tcp4", connect(system, AF.inet, inet(targets.tcp4)));
  if (targets.tcp6 !== null) add("tcp6", connect(system, AF.inet6, inet6(targets.tcp6)));
  add("udp", send(system, inet(targets.udp)));
  if (targets.pathStream !== null) {
    add("pathStream", connect(system, AF.unix, unix(targets.pathStream)));
  }
  return results;
}

interface OwnLayer {
  readonly layer: string;
  readonly enforced: boolean;
  readonly observed: string;
}

/** A file that everyone may read, and a folder where everyone may write: only a sandbox refuses them. */
const READABLE = "/private/etc/passwd";
const WRITABLE = "/private/tmp";
const PROGRAM = "/usr/bin/true";

/** Reads, writes and starts what any program may, and says what was refused. */
export function tryProfile(system: Macos): OwnLayer[] {
  const layer = (name: string, result: number, what: string): OwnLayer => ({
    layer: name,
    enforced: result !== 0,
    observed: result === 0 ? `${what} was possible` : `${what}: errno ${result}`,
  });
  const opened = system.open(cstr(READABLE), 0);
  const read = opened < 0 ? system.errno() : 0;
  if (opened >= 0) system.close(opened);
  const path = cstr(`${WRITABLE}/secllama-${crypto.randomUUID()}`);
  const made = system.creat(path, 0o600);
  const write = made < 0 ? system.errno() : 0;
  if (made >= 0) {
    system.close(made);
    system.unlink(path);
  }
  return [
    layer("private files", read, `open ${READABLE}`),
    layer("no writes", write, `create in ${WRITABLE}`),
    layer("no other program", spawn(system), `posix_spawn ${PROGRAM}`),
  ];
}

/** posix_spawn(2) returns its error. */
function spawn(system: Macos): number {
  const program = cstr(PROGRAM);
  const argv = new Uint8Array(new ArrayBuffer(16)); // the program, and a null
  const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(program));
  new DataView(argv.buffer).setBigUint64(0, address, true);
  const pid = new Uint8Array(new ArrayBuffer(4));
  const none = new Uint8Array(new ArrayBuffer(8));
  const result = system.posix_spawn(pid, program, null, null, argv, none);
  if (result === 0) {
    system.waitpid(new DataView(pid.buffer).getInt32(0, true), new Uint8Array(4), 0);
  }
  return result;
}

interface Outcome {
  readonly step: string;
  /** 0: nothing refused it. */
  readonly errno: number;
}

/** To loopback a connect is answered at once. */
function connect(system: Macos, family: number, address: Bytes): Outcome {
  const fd = system.socket(family, SOCK.stream, 0);
  if (fd < 0) return { step: "socket", errno: system.errno() || -1 };
  const errno = system.connect(fd, address, address.length) < 0 ? system.errno() || -1 : 0;
  system.close(fd);
  return { step: "connect", errno };
}

function send(system: Macos, address: Bytes): Outcome {
  const fd = system.socket(AF.inet, SOCK.datagram, 0);
  if (fd < 0) return { step: "socket", errno: system.errno() || -1 };
  const data = new Uint8Array(new ArrayBuffer(8));
  const sent = system.sendto(fd, data, 8n, 0, address, address.length);
  const errno = Number(sent) < 0 ? system.errno() || -1 : 0;
  system.close(fd);
  return { step: "sendto", errno };
}

/** Socket addresses of macOS begin with their length and the family, a byte each. */
function socketAddress(size: number, family: number): Bytes {
  const address = new Uint8Array(new ArrayBuffer(size));
  address[0] = size;
  address[1] = family;
  return address;
}

function inet(port: number): Bytes {
  const address = socketAddress(16, AF.inet);
  new DataView(address.buffer).setUint16(2, port);
  address.set([127, 0, 0, 1], 4);
  return address;
}

function inet6(port: number): Bytes {
  const address = socketAddress(28, AF.inet6);
  new DataView(address.buffer).setUint16(2, port);
  address[23] = 1;
  return address;
}

/** @throws {TypeError} If the path has over 103 bytes. */
function unix(path: string): Bytes {
  const name = cstr(path);
  if (name.length > 104) throw new TypeError("a Unix socket's path is over 103 bytes");
  const address = socketAddress(2 + name.length, AF.unix);
  address.set(name, 2);
  return address;
}
