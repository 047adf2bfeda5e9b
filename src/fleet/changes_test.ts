/** What hosts are given piece by piece, and what happens when a piece is kept back. */
import assert from "node:assert/strict";
import { toHex } from "../bytes.ts";
import { parseHead, RECORDS } from "./bundle.ts";
import { ClientTable } from "./client_table.ts";
import { FleetMember } from "./host.ts";
import { removeHost } from "./issuer.ts";
import { Publisher } from "./publisher.ts";
import { MemoryFleetStore, StoreSource } from "./store.ts";
import { HOUR, type Machine, refused, withFleet } from "./testing.ts";

/** A host that follows a store in memory, beside a publisher that goes on. */
async function following(
  { issuer, hosts, clock }: { issuer: Machine; hosts: readonly Machine[]; clock: { now: number } },
  hide: (name: string) => boolean = () => false,
) {
  const store = new MemoryFleetStore();
  const shown = new MemoryFleetStore();
  await store.watch("", async (name) => {
    const text = await store.get(name);
    if (hide(name)) return;
    await (text === undefined ? shown.remove(name) : shown.put(name, text));
  });
  const publisher = new Publisher(issuer.state, issuer.keys, store);
  const { state, keys } = hosts[0]!;
  const source = await StoreSource.watching(shown, RECORDS.head(toHex(keys.hid)));
  const refusals: string[] = [];
  const fleet = new FleetMember(state, keys, {
    ...{ source, now: () => clock.now },
    onRefused: ({ message }) => void refusals.push(message),
  });
  return {
    ...{ store, fleet, refusals },
    publish: async (by = publisher) => {
      await by.publish({ now: clock.now, lifeMs: HOUR });
      // The host is told after what is under way.
      await new Promise((resolve) => setTimeout(resolve));
    },
  };
}

Deno.test("fleet: a change costs a record of what changed, and comes at once", async () => {
  await withFleet(async (made) => {
    const { issuer, laptop, hosts } = made;
    const { store, fleet, publish, refusals } = await following(made);
    for (let i = 0; i < 40; i++) {
      await issuer.keys.clients().add(`c${i}`, { replace: false, may: [] });
    }
    await publish();
    using ring = await fleet.ring();
    assert.ok(ring.has(laptop.pskId));
    const hid = toHex(hosts[0]!.keys.hid);
    const small = async (name: string) => (await store.get(name))!.length;
    const base = fleet.version;
    const all = await small(RECORDS.base(hid, base, 0));
    // Nothing changed: a head, for its time.
    await publish();
    assert.deepEqual((await store.list(RECORDS.of(hid))).length, 2);
    const added = await issuer.keys.clients().add("new", { replace: false, may: [] });
    await publish();
    await issuer.keys.clients().revoke("laptop");
    await publish();
    const changes = [1, 2].map((at) => RECORDS.change(hid, base, at));
    for (const name of changes) assert.ok(await small(name) < all / 5, name);
    const before = await fleet.changes();
    using after = await fleet.ring();
    assert.ok(
      after.hasClient(added.id) && !after.has(laptop.pskId) && !after.hasClient(laptop.pskId),
    );
    assert.equal(after.holders, 1 + 41);
    assert.equal(await fleet.changes(), before);
    // A host that comes anew reads the base and both changes.
    const { state, keys } = hosts[0]!;
    const source = await StoreSource.watching(store, RECORDS.head(hid));
    const anew = new FleetMember(state, keys, { source, now: () => made.clock.now });
    using same = await anew.ring();
    assert.ok(same.hasClient(added.id) && !same.has(laptop.pskId));
    assert.deepEqual(refusals, []);
  });
});

Deno.test("fleet: two that publish for one issuer, in turn: each host goes on", async () => {
  await withFleet(async (made) => {
    const { issuer, laptop } = made;
    const { store, fleet, publish, refusals } = await following(made);
    using other = new Publisher(issuer.state, issuer.keys, store);
    for (const by of [undefined, other, undefined, other, undefined]) {
      await publish(by);
      using ring = await fleet.ring();
      assert.ok(ring.has(laptop.pskId));
    }
    await issuer.keys.clients().revoke("laptop");
    await publish();
    using ring = await fleet.ring();
    assert.ok(!ring.has(laptop.pskId));
    assert.deepEqual(refusals, []);
  });
});

Deno.test("fleet: whoever keeps a change back keeps the head back: nothing newer is believed without it", async () => {
  await withFleet(async (made) => {
    const { issuer, laptop, clock } = made;
    const { fleet, publish, refusals } = await following(made, (name) => name.includes(".change."));
    await publish();
    using ring = await fleet.ring();
    assert.ok(ring.has(laptop.pskId));
    await issuer.keys.clients().revoke("laptop");
    clock.now += HOUR / 2;
    await publish();
    using still = await fleet.ring();
    assert.ok(still.has(laptop.pskId), "it cannot know");
    assert.deepEqual(refusals, ["the fleet's file is not whole"]);
    // The head that was kept back would have been good for an hour; the old one ends.
    clock.now += HOUR / 2;
    using over = await fleet.ring();
    assert.ok(!over.has(laptop.pskId) && !still.has(laptop.pskId));
  });
});

Deno.test("fleet: what ended is overwritten in the host's memory", async () => {
  await withFleet(async (made) => {
    const { clock, laptop } = made;
    const { fleet, publish } = await following(made);
    await publish();
    const seen: Uint8Array[] = [];
    using ring = await fleet.ring();
    assert.ok(ring.proofKey(laptop.pskId));
    const key = ClientTable.prototype.key;
    ClientTable.prototype.key = function (id) {
      const found = key.call(this, id);
      if (found) seen.push(found.psk);
      return found;
    };
    try {
      ring.proofKey(laptop.pskId);
    } finally {
      ClientTable.prototype.key = key;
    }
    assert.ok(seen[0]!.some((byte) => byte !== 0));
    clock.now += HOUR;
    using _after = await fleet.ring();
    assert.ok(seen[0]!.every((byte) => byte === 0));
    // The next head, and all is there again.
    await publish();
    using again = await fleet.ring();
    assert.ok(again.has(laptop.pskId));
  });
});

Deno.test("fleet: the issuer's roles hold at hosts, beside those of the host", async () => {
  await withFleet(async (made) => {
    const { issuer, hosts, laptop } = made;
    const roles = (machine: Machine) => machine.keys.clients();
    await roles(issuer).setRole({ name: "default", models: ["demo"], requestsPerMinute: 3 });
    await roles(issuer).setRole({ name: "guest", models: ["small"] });
    await roles(hosts[0]!).setRole({ name: "guest", models: ["*"] });
    const { fleet, publish } = await following(made);
    const id = laptop.pskId.split(".")[2]!;
    await publish();
    using ring = await fleet.ring();
    const roleOf = (ring: Awaited<ReturnType<FleetMember["ring"]>>) =>
      ring.role(ring.client(id)!.role);
    assert.deepEqual(roleOf(ring)?.models, ["demo"]);
    await roles(issuer).assign("laptop", { role: "guest" });
    await publish();
    using after = await fleet.ring();
    assert.deepEqual(roleOf(after)?.models, ["small"]);
    assert.deepEqual(after.role("guest")?.models, ["*"]);
  });
});

Deno.test("fleet: a role of a later issuer's lets nobody in, and a head that is none is not taken up", async () => {
  await withFleet(async (made) => {
    const { issuer, laptop } = made;
    const id = laptop.pskId.split(".")[2]!;
    const guest: object = { name: "guest", models: ["small"] };
    let roles: object[] = [{ name: "default" }, guest];
    // An issuer that says what this version does not know.
    const { keys } = issuer;
    const clients = () => ({ read: async () => ({ ...await keys.clients().read(), roles }) });
    const later = {
      hid: keys.hid,
      ring: () => keys.ring(),
      clients,
      changes: () => keys.changes(),
    };
    const { fleet, publish, refusals } = await following({
      ...made,
      issuer: { ...issuer, keys: later as unknown as typeof keys },
    });
    /** Its role's name, and whether there is one of it: the gateway lets nobody in under one that is not there. */
    const roleNow = async () => {
      await publish();
      using ring = await fleet.ring();
      const { role } = ring.client(id)!;
      return [role, ring.role(role) !== undefined];
    };
    assert.deepEqual(await roleNow(), ["fleet/default", true]);
    roles = [{ name: "default", colour: "red" }, guest];
    assert.deepEqual(await roleNow(), ["fleet/default", false]);
    await keys.clients().setRole({ name: "guest", models: ["small"] });
    await keys.clients().assign("laptop", { role: "guest" });
    assert.deepEqual(await roleNow(), ["fleet/guest", true]);
    roles = [{ name: "default" }, { ...guest, colour: "red" }];
    assert.deepEqual(await roleNow(), ["fleet/guest", false]);
    assert.deepEqual(refusals, []);
    roles = [{ ...guest, name: "" }];
    assert.deepEqual(await roleNow(), ["fleet/guest", false], "the last good head counts");
    assert.match(refusals.join(), /a head that this version does not understand/);
    assert.equal(fleet.hosts, 2);
  });
});

Deno.test("fleet: a head is what its issuer writes", () => {
  const good = {
    gen: 1,
    member: "AA",
    exp: 9,
    roles: [],
    hosts: 2,
    pulls: [{ model: "a", at: 1 }],
  };
  assert.deepEqual(parseHead(good), { ...good, closed: [] });
  const { hosts: _hosts, ...noHosts } = good;
  const { pulls: _pulls, ...noPulls } = good;
  const bad = [
    ...[undefined, null, [], "head", noHosts, noPulls, { ...good, hosts: 0 }],
    ...[{ ...good, hosts: "2" }, { ...good, hosts: 1.5 }, { ...good, exp: null }],
    ...[{ ...good, pulls: {} }, { ...good, pulls: [{ model: 1, at: 1 }] }],
    ...[{ ...good, roles: {} }, { ...good, roles: [null] }, { ...good, member: 1 }],
  ];
  for (const one of bad) assert.equal(parseHead(one), undefined, JSON.stringify(one));
});

Deno.test("fleet: a store that does not answer keeps nobody from changing keys and clients", async () => {
  await withFleet(async (made) => {
    const { issuer, hosts } = made;
    const { store, fleet, publish } = await following(made);
    await publish();
    const answer = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const { put, get } = store;
    store.put = async (...record) => {
      asked.resolve();
      await answer.promise;
      await put.apply(store, record);
    };
    const published = publish();
    await asked.promise;
    // As `clients revoke` does, and all other commands that change something.
    await issuer.keys.clients().revoke("laptop");
    await issuer.state.locked(() => Promise.resolve());
    // Control: another one that publishes waits.
    let isOver = false;
    const other = publish().then(() => isOver = true);
    await new Promise((resolve) => setTimeout(resolve));
    assert.ok(!isOver);
    answer.resolve();
    await Promise.all([published, other]);

    const heard = Promise.withResolvers<void>();
    const late = Promise.withResolvers<void>();
    const { state, keys } = hosts[0]!;
    const source = await StoreSource.watching(store, RECORDS.head(toHex(keys.hid)));
    store.get = async (name) => {
      heard.resolve();
      await late.promise;
      return await get.call(store, name);
    };
    const anew = new FleetMember(state, keys, { source, now: () => made.clock.now });
    const ring = anew.ring();
    await heard.promise;
    await state.locked(() => Promise.resolve());
    late.resolve();
    using _ring = await ring;
    assert.ok(anew.isFresh);
    using _other = await fleet.ring();
  });
});

Deno.test("fleet: what has ended is not read again until there is something newer", async () => {
  await withFleet(async (made) => {
    const { clock, hosts, laptop } = made;
    const { store, publish } = await following(made);
    await publish();
    const { state, keys } = hosts[0]!;
    const source = await StoreSource.watching(store, RECORDS.head(toHex(keys.hid)));
    let reads = 0;
    const get = source.get.bind(source);
    source.get = (name) => {
      reads++;
      return get(name);
    };
    const fleet = new FleetMember(state, keys, { source, now: () => clock.now });
    const has = async () => {
      using ring = await fleet.ring();
      return ring.has(laptop.pskId);
    };
    assert.ok(await has());
    const once = reads;
    clock.now += HOUR;
    for (let i = 0; i < 5; i++) assert.ok(!await has());
    assert.equal(reads, once);
    // A clock that was wrong and is right again.
    clock.now -= HOUR / 2;
    assert.ok(await has());
    assert.equal(reads, 2 * once);
    clock.now += HOUR / 2;
    assert.ok(!await has());
    await publish();
    assert.ok(await has());
  });
});

Deno.test("fleet: an issuer whose folder was put back from a backup is believed still", async () => {
  await withFleet(async ({ issuer, publish, member, clock }) => {
    const first = await publish();
    const backup = await Deno.readTextFile(issuer.state.path);
    for (let i = 0; i < 5; i++) {
      clock.now += 900_000;
      const fleet = await member(0, (await publish())[0]!);
      await fleet.read();
    }
    await removeHost(issuer.state, "gpu-2");
    assert.equal((await publish()).length, 1);
    await Deno.writeTextFile(issuer.state.path, backup);
    // Control: what was published then is refused.
    const old = await member(0, first[0]!);
    await refused(old.read(), /older/);
    clock.now += 1_000;
    const texts = await publish();
    const fleet = await member(0, texts[0]!);
    await fleet.read();
    assert.ok(fleet.isFresh);
    // What docs/fleet.md says is to be taken away once more.
    assert.equal(texts.length, 2);
    const taken = await member(1, texts[1]!);
    await taken.read();
    assert.ok(taken.isFresh);
  });
});
