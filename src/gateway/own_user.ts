/** Whether who asks is this machine's and this user's own. */
import { ownUid, peerUid } from "../http/peer.ts";
import { isLoopback } from "../loopback.ts";

/** One end of a connection. */
export interface End {
  readonly hostname: string;
  readonly port: number;
}

/** Both ends, as far as the listener saw them. */
export interface Ends {
  readonly peer?: End;
  readonly local?: End;
}

/**
 * Whether a request is of the host's own user.
 * @param remote At an address for other machines none is: behind a reverse proxy or a tunnel of this user's, a paired client's
 * connection comes from this user on loopback too.
 */
export function isOwnUsers(
  ends: Ends | undefined,
  remote: boolean,
  isOwn = isOwnConnection,
): boolean {
  const { peer, local } = ends ?? {};
  return !remote && peer !== undefined && local !== undefined && isOwn(peer, local);
}

/** By what the kernel says. Other systems have no such check: there any user of the machine counts. */
export function isOwnConnection(peer: End, local: End): boolean {
  if (!isLoopback(peer.hostname)) return false;
  if (Deno.build.os !== "linux") return true;
  const tcp = { transport: "tcp" } as const;
  return peerUid({ ...tcp, ...peer }, { ...tcp, ...local }) === ownUid();
}
