/**
 * Attempts to reach the gateway's listeners by native calls, over each way that a process has out of itself. The same code
 * runs in two places: in the gateway, unconfined, to show that each listener can be reached; and in the runner, where each
 * must fail. What counts is what the listeners saw, not what is returned here.
 */
import { errnoName } from "../linux/errno.ts";
import { alloc, type Argument, type Linux } from "../linux/libc.ts";
import type { AttackResult, AttackTargets, TargetName } from "./types.ts";
import { AF, IPPROTO_MPTCP, ipv4, ipv6Loopback, SOCK, unixAddress } from "../linux/sockets.ts";

/** Attacks every target once, or only those named; at most a few milliseconds. Never throws for a refusal. */
export function attackByLinux(
  linux: Linux,
  targets: AttackTargets,
  only?: readonly TargetName[],
): AttackResult[] {
  const results: AttackResult[] = [];
  const add = (target: TargetName, attempt: (() => Outcome) | null) => {
    if (only && !only.includes(target)) return;
    if (attempt === null) {
      results.push({ target, outcome: "not run", step: "", errno: "" });
      return;
    }
    const { step, result } = attempt();
    const refused = result < 0 && !IN_PROGRESS.has(-result);
    const errno = refused ? errnoName(-result) : "";
    results.push({ target, outcome: refused ? "blocked" : "out", step, errno });
  };
  const tcp = (family: number, protocol: number, address: Uint8Array) => () =>
    connect(linux, [family, SOCK.stream, protocol], address);
  const { tcp6, mapped, mptcp } = targets;
  add("tcp4", tcp(AF.inet, 0, ipv4("127.0.0.1", targets.tcp4)));
  add("tcp6", tcp6 === null ? null : tcp(AF.inet6, 0, ipv6Loopback(tcp6)));
  add("mapped", mapped === null ? null : tcp(AF.inet6, 0, ipv6Loopback(mapped, [127, 0, 0, 1])));
  add("mptcp", mptcp === null ? null : tcp(AF.inet, IPPROTO_MPTCP, ipv4("127.0.0.1", mptcp)));
  add("udp", () => send(linux, [AF.inet, SOCK.datagram, 0], ipv4("127.0.0.1", targets.udp)));
  for (const name of ["abstractStream", "pathStream"] as const) {
    add(name, () => connect(linux, [AF.unix, SOCK.stream, 0], unixAddress(targets[name])));
  }
  for (const name of ["abstractDatagram", "pathDatagram"] as const) {
    add(name, () => send(linux, [AF.unix, SOCK.datagram, 0], unixAddress(targets[name])));
  }
  add("pairDatagram", () => sendThroughPair(linux, unixAddress(targets.pairDatagram)));
  return results;
}

interface Outcome {
  readonly step: string;
  readonly result: number;
}

/** A non-blocking connect is under way: not a refusal. */
const IN_PROGRESS = new Set([115 /* EINPROGRESS */]);

type SocketArguments = readonly [family: number, type: number, protocol: number];

function openSocket(linux: Linux, [family, type, protocol]: SocketArguments): number {
  return linux.call("socket", family, type | SOCK.nonBlock | SOCK.closeOnExec, protocol);
}

function connect(linux: Linux, socket: SocketArguments, address: Uint8Array): Outcome {
  const fd = openSocket(linux, socket);
  if (fd < 0) return { step: "socket", result: fd };
  const result = linux.call("connect", fd, address, address.length);
  linux.call("close", fd);
  return { step: "connect", result };
}

const PAYLOAD = "secllama probe";

function sendTo(linux: Linux, fd: number, address: Uint8Array): number {
  const data: Argument = new TextEncoder().encode(PAYLOAD);
  return linux.call("sendto", fd, data, PAYLOAD.length, 0, address, address.length);
}

function send(linux: Linux, socket: SocketArguments, address: Uint8Array): Outcome {
  const fd = openSocket(linux, socket);
  if (fd < 0) return { step: "socket", result: fd };
  const result = sendTo(linux, fd, address);
  linux.call("close", fd);
  return { step: "sendto", result };
}

function sendThroughPair(linux: Linux, address: Uint8Array): Outcome {
  const pair = alloc(8);
  const made = linux.call(
    "socketpair",
    AF.unix,
    SOCK.datagram | SOCK.nonBlock | SOCK.closeOnExec,
    0,
    pair,
  );
  if (made < 0) return { step: "socketpair", result: made };
  const view = new DataView(pair.buffer);
  const result = sendTo(linux, view.getInt32(0, true), address);
  linux.call("close", view.getInt32(0, true));
  linux.call("close", view.getInt32(4, true));
  return { step: "sendto", result };
}
