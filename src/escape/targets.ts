/** The targets of an attack as they come with a boot message. */
import { integer, nullable, object, type Read, text } from "../api/strict_json.ts";
import type { AttackTargets, LoopbackTargets } from "./types.ts";

const port = integer(1, 65_535);
const name = text(200);

/** @throws {SecLlamaError} `pipe-broken`. */
export const attackTargets: Read<AttackTargets> = object((o) => ({
  tcp4: o.get("tcp4", port),
  mptcp: o.get("mptcp", nullable(port)),
  tcp6: o.get("tcp6", nullable(port)),
  mapped: o.get("mapped", nullable(port)),
  udp: o.get("udp", port),
  abstractStream: o.get("abstractStream", name),
  abstractDatagram: o.get("abstractDatagram", name),
  pathStream: o.get("pathStream", name),
  pathDatagram: o.get("pathDatagram", name),
  pairDatagram: o.get("pairDatagram", name),
}));

/** @throws {SecLlamaError} `pipe-broken`. */
export const loopbackTargets: Read<LoopbackTargets> = object((o) => ({
  tcp4: o.get("tcp4", port),
  tcp6: o.get("tcp6", nullable(port)),
  udp: o.get("udp", port),
  pathStream: o.get("pathStream", nullable(name)),
}));
