/** How many copies NATS keeps of a fleet's store: as the issuer says, also where it said otherwise before. */
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import { askStream, isNotLetIn } from "../../src/fleet/nats_link.ts";
import { natsPermissions } from "../../src/fleet/nats_permissions.ts";
import { type NatsOptions, NatsStore } from "../../src/fleet/nats_store.ts";
import { natsIdentity } from "../../src/fleet/nkey.ts";
import { HANG_MS } from "../support/patience.ts";
import { noNats, startNats } from "./nats.ts";

if (noNats) console.log(`skipped: NATS; ${noNats}`);

const [issuer, host, stranger, older] = [1, 2, 3, 4].map((byte) =>
  new Uint8Array(32).fill(byte)
) as [
  ...[Uint8Array, Uint8Array, Uint8Array, Uint8Array],
];
/** The issuer's lines of an earlier version. */
const olderLines = JSON.parse(
  JSON.stringify(natsPermissions(natsIdentity(older).user, "issuer")).replace(
    /"[^"]+STREAM\.UPDATE[^"]+",/,
    "",
  ),
);
const users = JSON.stringify({
  authorization: {
    users: [
      natsPermissions(natsIdentity(issuer).user, "issuer"),
      natsPermissions(natsIdentity(host).user, { hid: "a1".repeat(16) }),
      olderLines,
    ],
  },
}).slice(1, -1);

Deno.test({
  name: "NATS: copies of the store are what the issuer says, of as many nodes as there are",
  ignore: noNats !== undefined,
  fn: async () => {
    await using nats = await startNats(users, 3);
    const { servers, ca } = nats;
    const way = { servers, ca, leaderMs: HANG_MS };
    const { user, authenticator } = natsIdentity(issuer);
    const connection = await connect({
      ...{ servers: [...servers], authenticator, inboxPrefix: `_INBOX_${user}`, tls: { ca } },
    });
    const copies = async () => (await askStream(connection, "INFO", {})).config?.num_replicas;
    /** Opens it, writes and reads. */
    const used = async (o: Pick<NatsOptions, "replicas">, seed = issuer) => {
      await using store = await NatsStore.open({ ...way, seed, ...o });
      if (seed === issuer) await store.put("bundle.x", "kept");
      return await store.get("bundle.x");
    };
    try {
      // This waits until the nodes have chosen who leads.
      await assert.rejects(used({ replicas: 5 }), { message: /fewer nodes/, hint: /--replicas/ });
      // It is there, and empty; and who is not of the fleet is told that.
      await assert.rejects(used({}, host), { message: /nothing in it yet/, hint: /fleet publish/ });
      await assert.rejects(used({}, stranger), (error: Error) => {
        assert.match(error.message, /does not know this machine/);
        return isNotLetIn(error);
      });
      await assert.rejects(used({}, host), (error) => !isNotLetIn(error));
      for (
        const [replicas, kept] of [
          [{ atFirst: 1 }, 1],
          [3, 3],
          [{ atFirst: 1 }, 3],
          [1, 1],
        ] as const
      ) {
        assert.equal(await used({ replicas }), "kept");
        assert.equal(await copies(), kept);
        assert.equal(await used({}, host), "kept");
      }
      await assert.rejects(used({ replicas: 5 }), { message: /fewer nodes/ });
      await assert.rejects(used({ replicas: 3 }, older), {
        message: /does not let this machine do that/,
        hint: /secllama fleet nats/,
      });
      assert.equal(await copies(), 1);
    } finally {
      await connection.close();
    }
  },
});
