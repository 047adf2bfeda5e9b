/** An issuer that looks at what is published before it publishes. */
import assert from "node:assert/strict";
import { toHex } from "../bytes.ts";
import { RECORDS } from "./bundle.ts";
import { FleetMember } from "./host.ts";
import { removeHost } from "./issuer.ts";
import { Publisher } from "./publisher.ts";
import { MemoryFleetStore, StoreSource } from "./store.ts";
import { HOUR, refused, withFleet } from "./testing.ts";

const OLDER = /this folder is older than what was published/;

Deno.test("fleet: an issuer's folder from a backup takes back no removal in silence", async () => {
  await withFleet(async ({ issuer, hosts, clock }) => {
    const store = new MemoryFleetStore();
    const publish = async (isRestored = false) => {
      clock.now += 1_000;
      // As a command that is given anew.
      using publisher = new Publisher(issuer.state, issuer.keys, store);
      return await publisher.publish({ now: clock.now, lifeMs: HOUR, isRestored });
    };
    const { state, keys } = hosts[1]!;
    const head = RECORDS.head(toHex(keys.hid));
    const source = await StoreSource.watching(store, head);
    const member = new FleetMember(state, keys, { source, now: () => clock.now });
    await publish();
    await member.read();
    assert.ok(member.isFresh);
    const backup = await Deno.readTextFile(issuer.state.path);
    await publish();
    await removeHost(issuer.state, "gpu-2");
    await publish();
    await member.read();
    assert.ok(!member.isFresh);
    const last = await store.get(head);
    await Deno.writeTextFile(issuer.state.path, backup);
    // It is refused each time, and changes nothing.
    for (let i = 0; i < 2; i++) await refused(publish(), OLDER);
    assert.equal(await store.get(head), last);
    assert.equal(await Deno.readTextFile(issuer.state.path), backup);
    // Control: this is what would have come back.
    assert.deepEqual((await publish(true)).map(({ label }) => label), ["gpu-1", "gpu-2"]);
    await member.read();
    assert.ok(member.isFresh);
    // Once is enough.
    await removeHost(issuer.state, "gpu-2");
    assert.equal((await publish()).length, 1);
    // What nobody signed says nothing.
    await store.put(RECORDS.head("ab".repeat(16)), "what nobody signed");
    await publish();
  });
});

Deno.test("fleet: a folder that knows none of today's hosts is known as old", async () => {
  await withFleet(async ({ issuer, clock }) => {
    const store = new MemoryFleetStore();
    const publish = async () => {
      clock.now += 1_000;
      using publisher = new Publisher(issuer.state, issuer.keys, store);
      return await publisher.publish({ now: clock.now, lifeMs: HOUR });
    };
    await removeHost(issuer.state, "gpu-2");
    const backup = await Deno.readTextFile(issuer.state.path);
    await publish();
    // All that the backup knows of is gone from the store, and another one is there.
    const text = (await issuer.state.read())!;
    assert.ok(text.role === "issuer");
    await issuer.state.locked(() =>
      issuer.state.write({
        ...text,
        hosts: text.hosts.map((host) => ({
          ...host,
          removed: host.removed === null ? new Date().toISOString() : null,
        })),
      })
    );
    await publish();
    await Deno.writeTextFile(issuer.state.path, backup);
    await refused(publish(), OLDER);
  });
});

Deno.test("fleet: a copy of the issuer's folder that publishes elsewhere is noticed by the one that goes on", async () => {
  await withFleet(async ({ issuer, clock }) => {
    const store = new MemoryFleetStore();
    using publisher = new Publisher(issuer.state, issuer.keys, store);
    const publish = async (by = publisher) => {
      clock.now += 1_000;
      await by.publish({ now: clock.now, lifeMs: HOUR });
    };
    await publish();
    const ours = await Deno.readTextFile(issuer.state.path);
    using copy = new Publisher(issuer.state, issuer.keys, store);
    await publish(copy);
    await Deno.writeTextFile(issuer.state.path, ours);
    await refused(publish(), OLDER);
  });
});

Deno.test("fleet: what a store has lost, or shows as it was before, is written anew", async () => {
  await withFleet(async ({ issuer, hosts, clock, laptop }) => {
    const store = new MemoryFleetStore();
    using publisher = new Publisher(issuer.state, issuer.keys, store);
    const publish = async () => {
      clock.now += 1_000;
      await publisher.publish({ now: clock.now, lifeMs: HOUR });
    };
    await issuer.keys.clients().add("later", { replace: false, may: [] });
    const { state, keys } = hosts[0]!;
    /** Of a host that comes anew. */
    const isWhole = async () => {
      const source = await StoreSource.watching(store, RECORDS.head(toHex(keys.hid)));
      const member = new FleetMember(state, keys, { source, now: () => clock.now });
      using ring = await member.ring();
      return ring.has(laptop.pskId);
    };
    await publish();
    const records = await store.list("");
    const snapshot = await Promise.all(
      records.map(async (name) => [name, (await store.get(name))!] as const),
    );
    await issuer.keys.clients().revoke("later");
    await publish();
    assert.ok(await isWhole());
    for (const name of await store.list("")) await store.remove(name);
    assert.ok(!await isWhole());
    await publish();
    assert.ok(await isWhole());
    // A snapshot of before is put back.
    for (const name of await store.list("")) await store.remove(name);
    for (const [name, text] of snapshot) await store.put(name, text);
    await publish();
    assert.ok(await isWhole());
  });
});
