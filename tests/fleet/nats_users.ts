/** Who may do what in the NATS of these tests, and a connection that says to it what no store of ours would. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { natsPermissions } from "../../src/fleet/nats_permissions.ts";
import { natsIdentity } from "../../src/fleet/nkey.ts";
import { HANG_MS } from "../support/patience.ts";

/** The issuer's, two hosts', and of somebody who may do all: what an administrator of NATS sees. */
export const seeds = [1, 2, 3, 4].map((byte) => new Uint8Array(32).fill(byte));
/** Of the two hosts. */
export const hids = ["a1", "b2"].map((byte) => byte.repeat(16));
/** As lines of NATS' configuration. */
export const users = JSON.stringify({
  authorization: {
    users: [
      natsPermissions(natsIdentity(seeds[0]!).user, "issuer"),
      ...hids.map((hid, i) => natsPermissions(natsIdentity(seeds[i + 1]!).user, { hid })),
      {
        nkey: natsIdentity(seeds[3]!).user,
        permissions: { publish: ">", subscribe: ">" },
      },
    ],
  },
}).slice(1, -1);

/** A connection that says to NATS what nobody's store would. */
export async function raw(nats: { servers: readonly string[]; ca: string }, who: number) {
  const { user, authenticator } = natsIdentity(seeds[who]!);
  const connection: NatsConnection = await connect({
    ...{ servers: [...nats.servers], authenticator, inboxPrefix: `_INBOX_${user}` },
    tls: { ca: nats.ca },
  });
  return {
    connection,
    // deno-lint-ignore no-explicit-any
    ask: async (what: string, body = ""): Promise<any> =>
      (await connection.request(`$JS.API.${what}`, body, { timeout: HANG_MS })).json(),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}
