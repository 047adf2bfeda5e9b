/**
 * The runner's attack on live listeners, by Winsock: what native code inside could do. A connection that is dropped in silence
 * counts as refused after a while; what is counted is what the listeners saw. Never run on Windows.
 */
import type { AttackResult, LoopbackTargets } from "./types.ts";

const AF = { inet: 2, inet6: 23 } as const;
const SOCK = { stream: 1, datagram: 2 } as const;
const INVALID_SOCKET = 0xFFFFFFFFFFFFFFFFn;
const FIONBIO = 0x8004667E | 0;
const WSAEWOULDBLOCK = 10035;
const POLLWRNORM = 0x10;
const SOL_SOCKET = 0xFFFF;
const SO_ERROR = 0x1007;
const CONNECT_MS = 1_000;

const WS2_32 = {
  WSAStartup: { parameters: ["u16", "buffer"], result: "i32" },
  WSAGetLastError: { parameters: [], result: "i32" },
  WSAPoll: { parameters: ["buffer", "u32", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "u64" },
  connect: { parameters: ["u64", "buffer", "i32"], result: "i32" },
  sendto: { parameters: ["u64", "buffer", "i32", "i32", "buffer", "i32"], result: "i32" },
  ioctlsocket: { parameters: ["u64", "i32", "buffer"], result: "i32" },
  getsockopt: { parameters: ["u64", "i32", "i32", "buffer", "buffer"], result: "i32" },
  closesocket: { parameters: ["u64"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What this needs of ws2_32.dll; tests put a fake here. */
export type Winsock = Deno.StaticForeignLibraryInterface<typeof WS2_32>;

export function openWinsock(): Winsock {
  return Deno.dlopen("C:\\Windows\\System32\\ws2_32.dll", WS2_32).symbols;
}

/** Attacks each target once. Never throws for a refusal. */
export function attackByWindows(winsock: Winsock, targets: LoopbackTargets): AttackResult[] {
  const started = winsock.WSAStartup(0x0202, bytes(512)); // WSADATA has 408
  const results: AttackResult[] = [];
  const add = (target: "tcp4" | "tcp6" | "udp", attempt: () => Outcome) => {
    // Without Winsock nothing is tried, which the judge holds against the runner.
    if (started !== 0) {
      results.push({ target, outcome: "not run", step: "", errno: "" });
    } else {
      const { step, error } = attempt();
      results.push({
        target,
        outcome: error === 0 ? "out" : "blocked",
        step,
        errno: error === 0 ? "" : `WSA ${error}`,
      });
    }
  };
  add("tcp4", () => connect(winsock, AF.inet, inet(targets.tcp4)));
  const { tcp6 } = targets;
  if (tcp6 !== null) add("tcp6", () => connect(winsock, AF.inet6, inet6(tcp6)));
  add("udp", () => send(winsock, inet(targets.udp)));
  return results;
}

interface Outcome {
  readonly step: string;
  /** 0: nothing refused it. */
  readonly error: number;
}

function connect(winsock: Winsock, family: number, address: Bytes): Outcome {
  const socket = winsock.socket(family, SOCK.stream, 0);
  if (socket === INVALID_SOCKET) return { step: "socket", error: lastError(winsock) };
  try {
    const on = bytes(4);
    on[0] = 1;
    if (winsock.ioctlsocket(socket, FIONBIO, on) !== 0) return failed(winsock, "ioctlsocket");
    if (winsock.connect(socket, address, address.length) === 0) {
      return { step: "connect", error: 0 };
    }
    const error = lastError(winsock);
    if (error !== WSAEWOULDBLOCK) return { step: "connect", error };
    const poll = bytes(16); // WSAPOLLFD: fd u64, events i16 @8, revents i16 @10
    const view = new DataView(poll.buffer);
    view.setBigUint64(0, socket, true);
    view.setUint16(8, POLLWRNORM, true);
    if (winsock.WSAPoll(poll, 1, CONNECT_MS) === 0) return { step: "connect", error: 10060 };
    const value = bytes(4);
    const size = bytes(4);
    size[0] = 4;
    if (winsock.getsockopt(socket, SOL_SOCKET, SO_ERROR, value, size) !== 0) {
      return failed(winsock, "getsockopt");
    }
    return { step: "connect", error: new DataView(value.buffer).getInt32(0, true) };
  } finally {
    winsock.closesocket(socket);
  }
}

function send(winsock: Winsock, address: Bytes): Outcome {
  const socket = winsock.socket(AF.inet, SOCK.datagram, 0);
  if (socket === INVALID_SOCKET) return { step: "socket", error: lastError(winsock) };
  const data = bytes(8);
  const sent = winsock.sendto(socket, data, data.length, 0, address, address.length);
  const outcome = sent < 0 ? failed(winsock, "sendto") : { step: "sendto", error: 0 };
  winsock.closesocket(socket);
  return outcome;
}

/** A refusal that left no reason is one all the same. */
function lastError(winsock: Winsock): number {
  return winsock.WSAGetLastError() || -1;
}

function failed(winsock: Winsock, step: string): Outcome {
  return { step, error: lastError(winsock) };
}

type Bytes = Uint8Array<ArrayBuffer>;

function bytes(size: number): Bytes {
  return new Uint8Array(new ArrayBuffer(size));
}

/** `struct sockaddr_in` of 127.0.0.1. */
function inet(port: number): Bytes {
  const address = bytes(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF.inet, true);
  view.setUint16(2, port);
  address.set([127, 0, 0, 1], 4);
  return address;
}

/** `struct sockaddr_in6` of ::1. */
function inet6(port: number): Bytes {
  const address = bytes(28);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF.inet6, true);
  view.setUint16(2, port);
  address[23] = 1;
  return address;
}
