/** A limit over three hosts with a real NATS between them: what one counts the others refuse; while NATS is away each gives its share. */
import assert from "node:assert/strict";
import { RECORDS, USAGE_PARTS } from "../../src/fleet/bundle.ts";
import { natsPermissions } from "../../src/fleet/nats_permissions.ts";
import { NatsStore } from "../../src/fleet/nats_store.ts";
import { natsIdentity } from "../../src/fleet/nkey.ts";
import { FleetUsage } from "../../src/fleet/usage.ts";
import { Limiter, type Usage } from "../../src/firm/limiter.ts";
import { toHex } from "../../src/bytes.ts";
import { until } from "../support/patience.ts";
import { noNats, startNats } from "./nats.ts";

if (noNats) console.log(`skipped: limits over hosts with NATS; ${noNats}`);

const HOSTS = [1, 2, 3];
const ID = "ab".repeat(16);
const CLIENT = `client ${ID}`;
const seedOf = (i: number) => new Uint8Array(32).fill(i);
const hidOf = (i: number) => new Uint8Array(16).fill(i);

Deno.test({
  name: "limits over three hosts and NATS",
  ignore: noNats !== undefined,
  fn: async () => {
    const users = [
      natsPermissions(natsIdentity(seedOf(0)).user, "issuer"),
      ...HOSTS.map((i) => natsPermissions(natsIdentity(seedOf(i)).user, { hid: toHex(hidOf(i)) })),
    ];
    await using nats = await startNats(JSON.stringify({ authorization: { users } }).slice(1, -1));
    const { servers, ca } = nats;
    await using stack = new AsyncDisposableStack();
    const open = async (i: number, replicas?: number) =>
      stack.use(
        await NatsStore.open({ servers, ca, seed: seedOf(i), replicas }),
      );
    await open(0, 1);
    const member = (i: number) => ({
      ...{ hid: hidOf(i), reportKey: seedOf(99), hosts: HOSTS.length },
      hasClient: (id: string) => id === ID,
    });
    const hosts = await Promise.all(HOSTS.map(async (i) => {
      const store = await open(i);
      const usage = stack.use(
        new FleetUsage({
          ...{ member: member(i), store: () => store, isThere: () => true },
          kept: () => new Map(),
          onUnread: () => {},
        }),
      );
      usage.start();
      const kept = new Map<string, Usage>();
      const file = {
        load: (client: string) => kept.get(client),
        save: (client: string, usage: Usage) => void kept.set(client, usage),
      };
      return { store, usage, limiter: new Limiter(file, Date.now, usage) };
    }));
    // One day, whenever this runs: a limit of the day could be whole again in the middle.
    const role = { name: "r", tokensPerDay: 90, atOnce: 90 };
    const left = (i: number) => hosts[i]!.limiter.admit(CLIENT, role);
    const tokens = (i: number) => {
      const ticket = left(i);
      ticket.end();
      return ticket.limits()[0]!.remaining;
    };
    // Control: before anything is heard, each has the whole limit.
    const ticket = left(0);
    ticket.used(60);
    await until(() => tokens(1) === 30 && tokens(2) === 30, "the others count them");
    left(1).used(30);
    for (const i of [0, 1, 2]) {
      await until(() => {
        try {
          hosts[i]!.limiter.check(CLIENT, role);
          return false;
        } catch (error) {
          return (error as { code: string }).code === "rate-limited";
        }
      }, `host ${i} refuses`);
    }
    // A host that lies for another one is refused by NATS.
    const others = RECORDS.usage(toHex(hidOf(2)), 0);
    await assert.rejects(hosts[0]!.store.put(others, "x"), { code: "fleet-unreachable" });
    // And one more part of its own than there are.
    const more = RECORDS.usage(toHex(hidOf(0)), USAGE_PARTS);
    await assert.rejects(hosts[0]!.store.put(more, "x"), { code: "fleet-unreachable" });

    await nats.kill(0);
    const day = { at: Math.floor(Date.now() / 86_400_000), requests: 0, tokens: 0 };
    const about = (i: number) => hosts[i]!.usage.of(CLIENT, { minute: { ...day, at: 0 }, day })!;
    assert.equal(about(2).sharedBy, 1);
    hosts[2]!.limiter.admit(CLIENT, { ...role, tokensPerDay: 900 }).used(5);
    await until(() => about(2).sharedBy === 3, "host 3 knows that it is alone");
    await nats.start(0);
    await until(() => about(2).sharedBy === 1 && about(0).day.tokens === 35, "it is heard again");
    ticket.end();
  },
});
