/** Ways out over sockets, beyond those of src/escape/linux.ts. */
import { attackByLinux } from "../linux.ts";
import type { TargetName } from "../types.ts";
import { alloc, type Linux } from "../../linux/libc.ts";
import { AF, ipv4, SOCK } from "../../linux/sockets.ts";
import { type Attack, byDeno, byResult, type Outcome } from "./attack.ts";

const TARGETS: readonly TargetName[] = [
  "tcp4",
  "tcp6",
  "mapped",
  "mptcp",
  "udp",
  "abstractStream",
  "abstractDatagram",
  "pathStream",
  "pathDatagram",
  "pairDatagram",
];

const LABEL: Record<TargetName, string> = {
  tcp4: "TCP over IPv4",
  tcp6: "TCP over IPv6",
  mapped: "TCP to an IPv4-mapped address",
  mptcp: "MPTCP",
  udp: "UDP (DNS)",
  abstractStream: "abstract Unix stream",
  abstractDatagram: "abstract Unix datagram",
  pathStream: "Unix stream by path",
  pathDatagram: "Unix datagram by path",
  pairDatagram: "datagram socketpair, sendto",
};

/** Names of the attacks that a listener counts, with the listener. */
export const COUNTED: ReadonlyMap<string, TargetName> = new Map([
  ...TARGETS.map((target) => [LABEL[target], target] as const),
  ["io_uring connect", "tcp4"],
  ["Deno.connect", "tcp4"],
  ["fetch", "tcp4"],
  ["Deno.resolveDns", "udp"],
]);

function socketOf(name: string, family: number, type: number, protocol = 0): Attack {
  return {
    name,
    run(linux) {
      const fd = linux.call("socket", family, type | SOCK.closeOnExec, protocol);
      if (fd >= 0) linux.call("close", fd);
      return byResult("socket", fd);
    },
  };
}

const IORING_OP = { connect: 16, socket: 45 } as const;
const RING = { submissions: 0, completions: 0x8000000, entries: 0x10000000 } as const;

/** A ring with one entry; makes one request and returns its result. */
function ringRequest(linux: Linux, fill: (entry: DataView, linux: Linux) => void): Outcome {
  const params = alloc(120); // struct io_uring_params: sq_off @40, cq_off @80
  const ring = linux.call("io_uring_setup", 4, params);
  if (ring < 0) return byResult("io_uring_setup", ring);
  const p = new DataView(params.buffer);
  const map = (offset: number, size: number) =>
    linux.call("mmap", null, size, 3, 1, /* MAP_SHARED */ ring, offset);
  const at = (base: number, size: number) =>
    new DataView(
      Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(BigInt(base))!, size),
    );
  const submissions = at(map(RING.submissions, 4096), 4096);
  const entries = at(map(RING.entries, 4096), 4096);
  fill(new DataView(entries.buffer, 0, 64), linux);
  submissions.setUint32(p.getUint32(40 + 24, true), 0, true); // array[0] = 0
  submissions.setUint32(p.getUint32(40 + 4, true), 1, true); // tail = 1
  const entered = linux.call("io_uring_enter", ring, 1, 1, 1, /* GETEVENTS */ null, 0);
  if (entered < 0) return byResult("io_uring_enter", entered);
  const completions = at(map(RING.completions, 4096), 4096);
  const result = completions.getInt32(p.getUint32(80 + 20, true) + 8, true);
  linux.call("close", ring);
  return byResult("io_uring", result);
}

const uringConnect: Attack = {
  name: "io_uring connect",
  run(linux, field) {
    let fd = -1;
    const made = ringRequest(linux, (entry) => {
      // struct io_uring_sqe: opcode u8 @0, fd s32 @4, off u64 @8, addr u64 @16, len u32 @24
      entry.setUint8(0, IORING_OP.socket);
      entry.setInt32(4, AF.inet, true);
      entry.setBigUint64(8, BigInt(SOCK.stream), true);
    });
    if (!made.out) return made;
    fd = linux.readDirectory("/proc/self/fd").map(Number).sort((a, b) => b - a)
      .find((n) => linux.readLink(`/proc/self/fd/${n}`).startsWith("socket:")) ?? -1;
    const address = ipv4("127.0.0.1", field.targets.tcp4);
    return ringRequest(linux, (entry) => {
      entry.setUint8(0, IORING_OP.connect);
      entry.setInt32(4, fd, true);
      entry.setBigUint64(8, BigInt(address.length), true);
      entry.setBigUint64(
        16,
        Deno.UnsafePointer.value(Deno.UnsafePointer.of(address)),
        true,
      );
    });
  },
};

/**
 * Who is not answered for so long was not refused either. A refusal comes at once, but for a machine with much to do, on which a shorter
 * time would be taken for a way out.
 */
const UNANSWERED_MS = 2_000;

export const NETWORK: readonly Attack[] = [
  ...TARGETS.map((target): Attack => ({
    name: LABEL[target],
    run(linux, field) {
      const result = attackByLinux(linux, field.targets, [target])[0]!;
      return { out: result.outcome === "out", step: result.step, errno: result.errno };
    },
  })),
  { ...socketOf("raw IP socket", AF.inet, SOCK.raw, 1), privileged: true },
  { ...socketOf("packet socket", AF.packet, SOCK.raw), privileged: true },
  socketOf("netlink socket", AF.netlink, SOCK.raw),
  socketOf("vsock socket", AF.vsock, SOCK.stream),
  uringConnect,
  {
    name: "Deno.connect",
    run: (_linux, field) =>
      byDeno("Deno.connect", async () => {
        (await Deno.connect({ hostname: "127.0.0.1", port: field.targets.tcp4 })).close();
      }),
  },
  {
    name: "fetch",
    run: (_linux, field) =>
      byDeno("fetch", () => {
        // The listener never answers: that the connection was made is what counts.
        const connected = fetch(`http://127.0.0.1:${field.targets.tcp4}/`, {
          signal: AbortSignal.timeout(UNANSWERED_MS),
        });
        return connected.then(() => {}, (error: Error) => {
          if (error.name !== "TimeoutError") throw error;
        });
      }),
  },
  {
    name: "Deno.resolveDns",
    run: (_linux, field) =>
      byDeno("Deno.resolveDns", () =>
        Deno.resolveDns("example.com", "A", {
          nameServer: { ipAddr: "127.0.0.1", port: field.targets.udp },
          signal: AbortSignal.timeout(UNANSWERED_MS),
        }).catch((error: Error) => {
          if (error.name !== "TimeoutError") throw error;
        })),
  },
];
