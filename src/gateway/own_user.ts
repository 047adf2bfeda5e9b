/** Whether a connection is this machine's and this user's own. */
import { ownUid, peerUid } from "../http/peer.ts";
import { isLoopback } from "../loopback.ts";

/** One end of a connection. */
export interface End {
  readonly hostname: string;
  readonly port: number;
}

/** By what the kernel says. Other systems have no such check: there any user of the machine counts. */
export function isOwnConnection(peer: End, local: End): boolean {
  if (!isLoopback(peer.hostname)) return false;
  if (Deno.build.os !== "linux") return true;
  const tcp = { transport: "tcp" } as const;
  return peerUid({ ...tcp, ...peer }, { ...tcp, ...local }) === ownUid();
}
