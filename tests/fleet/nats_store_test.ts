/** The store of a fleet in a real NATS, and what NATS keeps each host from. */
import assert from "node:assert/strict";
import { natsIdentity } from "../../src/fleet/nkey.ts";
import { natsPermissions, NatsStore } from "../../src/fleet/nats_store.ts";
import { RECORDS } from "../../src/fleet/bundle.ts";
import { MemoryFleetStore } from "../../src/fleet/store.ts";
import type { FleetStore } from "../../src/fleet/store.ts";
import { noNats, startNats } from "./nats.ts";

if (noNats) console.log(`skipped: NATS; ${noNats}`);

const seeds = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte));
const hids = ["a1", "b2"].map((byte) => byte.repeat(16));
const users = JSON.stringify({
  authorization: {
    users: [
      natsPermissions(natsIdentity(seeds[0]!).user, "issuer"),
      ...hids.map((hid, i) => natsPermissions(natsIdentity(seeds[i + 1]!).user, { hid })),
    ],
  },
}).slice(1, -1);

/** What any store does. */
async function keepsRecords(store: FleetStore): Promise<void> {
  const name = RECORDS.head(hids[0]!);
  assert.equal(await store.get(name), undefined);
  const told = new Map<string, number>();
  const waiting = new Map<string, () => void>();
  const end = await store.watch(RECORDS.of(hids[0]!), (name) => {
    told.set(name, (told.get(name) ?? 0) + 1);
    waiting.get(name)?.();
  });
  const isTold = (name: string) => new Promise<void>((resolve) => waiting.set(name, resolve));
  const first = isTold(name);
  await store.put(name, "one");
  await first;
  assert.equal(await store.get(name), "one");
  const second = isTold(name);
  await store.put(RECORDS.head(hids[1]!), "another's");
  await store.put(name, "two");
  await second;
  assert.equal(await store.get(name), "two");
  assert.deepEqual([...told], [[name, 2]]);
  assert.deepEqual((await store.list("bundle.")).sort(), hids.map(RECORDS.head));
  await store.remove(name);
  await store.remove(name);
  assert.equal(await store.get(name), undefined);
  assert.deepEqual(await store.list(RECORDS.of(hids[0]!)), []);
  end();
}

Deno.test("a fleet's store in memory keeps records, and tells of them", async () => {
  await using store = new MemoryFleetStore();
  await keepsRecords(store);
});

Deno.test({
  name: "a fleet's store in NATS: the same, and each host writes what is its own",
  ignore: noNats !== undefined,
  fn: async () => {
    await using nats = await startNats(users);
    const { servers, ca } = nats;
    await using issuer = await NatsStore.open({ servers, ca, seed: seeds[0]!, replicas: 1 });
    await keepsRecords(issuer);
    await using host = await NatsStore.open({ servers, ca, seed: seeds[1]! });
    await using other = await NatsStore.open({ servers, ca, seed: seeds[2]! });
    // Control: its own report it may write, and others see it.
    const own = RECORDS.report(hids[0]!);
    const { promise, resolve } = Promise.withResolvers<string>();
    const end = await other.watch(RECORDS.reports, resolve);
    await host.put(own, "here");
    assert.equal(await promise, own);
    end();
    assert.equal(await other.get(own), "here");
    for (const name of [RECORDS.report(hids[1]!), RECORDS.head(hids[0]!)]) {
      await issuer.put(name, "right");
      await assert.rejects(host.put(name, "wrong"), { code: "fleet-unreachable" }, name);
      await assert.rejects(host.remove(name), { code: "fleet-unreachable" }, name);
      assert.equal(await issuer.get(name), "right");
    }
    // Nobody without a key, nor one that it was not told of, nor without the right certificate.
    const stranger = new Uint8Array(32).fill(9);
    await assert.rejects(NatsStore.open({ servers, ca, seed: stranger }), {
      code: "fleet-unreachable",
    });
    await assert.rejects(NatsStore.open({ servers, seed: seeds[1]! }), {
      code: "fleet-unreachable",
    });
  },
});
