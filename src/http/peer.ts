/**
 * Which user owns the other end of a loopback connection, asked of the kernel by sock_diag(7): one socket by its
 * addresses, in microseconds however many connections the machine has. Where that is forbidden, `/proc/net/tcp` (proc(5))
 * is read instead. Both by libc, since Deno has neither.
 */
import { addressBytes } from "../loopback.ts";
import { type Linux, linux } from "../linux/libc.ts";
import { overflowUid } from "../linux/overflow_uid.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const NLMSG_ERROR = 2;
const NLMSG_ERROR_BYTES = 20;
const ENOENT = 2;
const IPPROTO_TCP = 6;
const MSG_DONTWAIT = 0x40;
const TCP_LISTEN = 10;
const REQUEST_BYTES = 72;

/** Effective uid of this process. */
export function ownUid(): number {
  return linux().call("geteuid");
}

/** Whether the kernel has told a user by sock_diag before: what it does not find then is not there. */
let netlinkTells = false;

/** The uid of the socket whose own address is `remote` and whose peer is `local`; undefined if there is none, or no telling. */
export function peerUid(remote: Deno.NetAddr, local: Deno.NetAddr): number | undefined {
  const ends = [addressBytes(remote.hostname), addressBytes(local.hostname)] as const;
  const told = uidByNetlink(linux(), ends, remote.port, local.port);
  if (typeof told === "number") netlinkTells = true;
  // The table is as long as the machine has connections: whoever closes at once must not have it read for each.
  const mustRead = told === "no telling" || told === "none" && !netlinkTells;
  const uid = mustRead ? uidByProc(remote, local) : told === "none" ? undefined : told;
  return uid === overflowUid() ? undefined : uid;
}

/**
 * ```
 * request: nlmsghdr 16 | family u8, protocol u8, ext u8, pad u8 | states u32 | id 48
 * id:      sport be16, dport be16 | src 16 | dst 16 | interface u32 | cookie u64
 * answer:  nlmsghdr 16 | family u8, state u8, timer u8, retrans u8 | id 48 | expires, rqueue, wqueue, uid, inode u32
 * ```
 */
function uidByNetlink(
  os: Linux,
  [from, to]: readonly [Uint8Array, Uint8Array],
  fromPort: number,
  toPort: number,
): number | "none" | "no telling" {
  const fd = os.call("socket", AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return "no telling";
  try {
    const request = new Uint8Array(new ArrayBuffer(REQUEST_BYTES));
    const out = new DataView(request.buffer);
    out.setUint32(0, REQUEST_BYTES, true);
    out.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
    out.setUint16(6, NLM_F_REQUEST, true);
    request[16] = from.length === 4 ? AF_INET : AF_INET6;
    request[17] = IPPROTO_TCP;
    out.setUint32(20, 0xffffffff, true);
    out.setUint16(24, fromPort);
    out.setUint16(26, toPort);
    request.set(from, 28);
    request.set(to, 44);
    request.fill(0xff, 64); // INET_DIAG_NOCOOKIE
    if (os.call("sendto", fd, request, REQUEST_BYTES, 0, null, 0) !== REQUEST_BYTES) {
      return "no telling";
    }
    const answer = new Uint8Array(new ArrayBuffer(512));
    const got = os.call("recvfrom", fd, answer, answer.length, MSG_DONTWAIT, null, null);
    const view = new DataView(answer.buffer);
    if (got < NLMSG_ERROR_BYTES) return "no telling";
    const type = view.getUint16(4, true);
    // ENOENT: there is no such socket, or no such module of the kernel.
    if (type === NLMSG_ERROR && view.getInt32(16, true) === -ENOENT) return "none";
    if (got < 88 || type !== SOCK_DIAG_BY_FAMILY) return "no telling";
    // A listener on the same port is found when the connection is gone already: not the one we asked for.
    if (answer[17] === TCP_LISTEN) return "none";
    if (view.getUint16(20) !== fromPort || view.getUint16(22) !== toPort) return "none";
    // Closed at its end already: kernels before 6.17 then say root, whoever it was.
    if (view.getUint32(84, true) === 0) return "none";
    return view.getUint32(80, true);
  } finally {
    os.call("close", fd);
  }
}

function uidByProc(remote: Deno.NetAddr, local: Deno.NetAddr): number | undefined {
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    try {
      const uid = uidInTable(linux().readText(table, 64 << 20), remote, local);
      if (uid !== undefined) return uid;
    } catch {
      // Not there: IPv6 may be off.
    }
  }
  return undefined;
}

/** The uid of the row whose own end is `from` and whose other end is `to`. */
export function uidInTable(
  table: string,
  from: Deno.NetAddr,
  to: Deno.NetAddr,
): number | undefined {
  const [own, other] = [from, to].map((a) =>
    new RegExp(
      `^(?:0{16}FFFF0000)?${tableAddress(a.hostname)}:${
        a.port.toString(16).toUpperCase().padStart(4, "0")
      }$`,
    )
  );
  for (const line of table.split("\n").slice(1)) {
    const columns = line.trim().split(/\s+/);
    // Inode 0: closed at its end already, and then listed as root's.
    if (own!.test(columns[1] ?? "") && other!.test(columns[2] ?? "") && columns[9] !== "0") {
      return Number(columns[7]);
    }
  }
  return undefined;
}

/**
 * The uids of those who listen on `port` where a connection to 127.0.0.1 may end. Linux only.
 * @throws {SystemCallError} If the kernel's table cannot be read.
 */
export function listenerUids(port: number): number[] {
  const tables = [linux().readText("/proc/net/tcp", 64 << 20)];
  try {
    tables.push(linux().readText("/proc/net/tcp6", 64 << 20));
  } catch {
    // IPv6 may be off.
  }
  return tables.flatMap((table) => listenerUidsInTable(table, port));
}

/** The uids of a table's rows that listen on `port` of 127.0.0.1 or of every address. */
export function listenerUidsInTable(table: string, port: number): number[] {
  const end = port.toString(16).toUpperCase().padStart(4, "0");
  const address = new RegExp(`^(?:0{8}|0100007F|0{32}|0{16}FFFF0000(?:0{8}|0100007F)):${end}$`);
  return table.split("\n").slice(1).map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[3] === "0A" && address.test(columns[1] ?? ""))
    .map((columns) => Number(columns[7]));
}

/** An address as the kernel prints it: 32-bit words in the machine's byte order (little-endian where we run). */
function tableAddress(hostname: string): string {
  const bytes = addressBytes(hostname);
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    text += bytes.slice(at, at + 4).reverse().toHex().toUpperCase();
  }
  return text;
}
