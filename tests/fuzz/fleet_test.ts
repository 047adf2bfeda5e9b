/**
 * A store that lies, by generation: it shows a host any mixture of what two issuers ever wrote for two hosts, at any place, whole or
 * changed. Whatever it shows, the host has exactly what its own issuer had once given it, and never goes back. The oracle is what
 * the issuer's list said at each number.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { fromBase64Url, fromHex, toHex } from "../../src/bytes.ts";
import { RECORDS } from "../../src/fleet/bundle.ts";
import { FleetMember } from "../../src/fleet/host.ts";
import { enrolHost, fleetHosts, initIssuer, removeHost } from "../../src/fleet/issuer.ts";
import { Publisher } from "../../src/fleet/publisher.ts";
import { MemoryFleetStore, StoreSource } from "../../src/fleet/store.ts";
import { HOUR, machine, withFleet } from "../../src/fleet/testing.ts";
import { SEED } from "../support/seeds.ts";

const RUNS = Deno.env.get("SECLLAMA_FULL") === "1" ? 300 : 25;
const NAMES = ["a", "b", "c"];

/** What a store had after a writing. */
type Snapshot = ReadonlyMap<string, string>;

async function snapshotOf(store: MemoryFleetStore): Promise<Snapshot> {
  const names = await store.list("");
  return new Map(
    await Promise.all(names.map(async (name) => [name, (await store.get(name))!] as const)),
  );
}

/** Another text: one character of one field, or a number in the clear part, or what is no record. */
function changed(text: string, at: number, how: number): string {
  const fields = JSON.parse(text);
  const name = ["clear", "sealed", "signature"][how % 3]!;
  const value: string = fields[name];
  const where = at % value.length;
  const other = name === "clear"
    ? value.replace(/\d+(?=[,}])/g, (number) => String(Number(number) + (at % 3) - 1))
    : value.slice(0, where) + (value[where] === "A" ? "B" : "A") + value.slice(where + 1);
  return how % 7 === 6 ? text.slice(0, where) : JSON.stringify({ ...fields, [name]: other });
}

Deno.test("fuzz: whatever a store shows, a host has what its issuer once said, and never goes back", async () => {
  await withFleet(async ({ issuer, hosts, clock, folder }) => {
    const { state, keys } = hosts[0]!;
    const hid = toHex(keys.hid);
    const snapshots: Snapshot[] = [];
    /** By number, who is there; and the newest number. */
    const said = new Map<number, string>([[0, ""]]);
    const ids = new Map<string, string>();
    const write = async (
      machine: typeof issuer,
      publisher: Publisher,
      store: MemoryFleetStore,
      edit?: () => Promise<unknown>,
    ) => {
      await edit?.();
      clock.now += 1_000;
      await publisher.publish({ now: clock.now, lifeMs: 1_000 * HOUR });
      snapshots.push(await snapshotOf(store));
      if (machine !== issuer) return;
      const { at } = JSON.parse(JSON.parse((await store.get(RECORDS.head(hid)))!).clear);
      const { clients } = await machine.keys.clients().read();
      const there = clients.filter(({ revoked }) => revoked === null);
      said.set(at, there.map(({ name }) => name).filter((name) => NAMES.includes(name)).join());
    };
    const own = new MemoryFleetStore();
    using publisher = new Publisher(issuer.state, issuer.keys, own);
    const add = (name: string) => async () => {
      const { id } = await issuer.keys.clients().add(name, { replace: false, may: [] });
      ids.set(id, name);
    };
    const revoke = (name: string) => () => issuer.keys.clients().revoke(name);
    for (const edit of [undefined, add("a"), add("b"), revoke("a"), undefined, add("c")]) {
      await write(issuer, publisher, own, edit);
    }
    // A new base, by one that begins anew; and the other host is taken out.
    using anew = new Publisher(issuer.state, issuer.keys, own);
    await write(issuer, anew, own, revoke("b"));
    await write(issuer, anew, own, () => removeHost(issuer.state, "gpu-2"));
    // A forger: it has all that is no secret, the fleet's id and the hosts' public keys, and signs by a key of its own.
    const liar = await machine(folder, "liar");
    await initIssuer(liar.state, liar.keys);
    for (const { label, hid, pk, audit, nats } of await fleetHosts(issuer.state)) {
      await enrolHost(liar.state, {
        ...{ label, nats, hid: fromHex(hid), pk: fromBase64Url(pk), audit: fromBase64Url(audit) },
      });
    }
    const foreign = new MemoryFleetStore();
    const { keys: theirs } = liar;
    using forger = new Publisher(
      liar.state,
      {
        hid: issuer.keys.hid,
        ring: () => theirs.ring(),
        clients: () => theirs.clients(),
        changes: () => theirs.changes(),
      },
      foreign,
    );
    for (let i = 0; i < 2; i++) await write(liar, forger, foreign);

    const newest = Math.max(...said.keys());
    const genuine = snapshots[7]!;
    const pool = snapshots.flatMap((records) => [...records.values()]);
    const places = [...new Set(snapshots.flatMap((records) => [...records.keys()]))]
      .filter((name) => name.startsWith(RECORDS.of(hid)));
    const step = fc.record({
      /** A whole snapshot, of which some records are others. */
      base: fc.nat(snapshots.length - 1),
      swaps: fc.oneof(
        fc.constant([]),
        fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat(13)), {
          minLength: 1,
          maxLength: 3,
        }),
      ),
      head: fc.oneof(
        { weight: 3, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fc.nat(snapshots.length - 1) },
      ),
    });
    const begun = await Deno.readTextFile(state.path);
    let [accepted, refusals] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 8 }), async (steps) => {
        await Deno.writeTextFile(state.path, begun);
        const shown = new MemoryFleetStore();
        const source = await StoreSource.watching(shown, RECORDS.head(hid));
        const member = new FleetMember(state, keys, {
          ...{ source, now: () => clock.now },
          onRefused: () => void refusals++,
        });
        const show = async (records: Snapshot) => {
          for (const name of await shown.list("")) {
            if (!records.has(name)) await shown.remove(name);
          }
          for (const [name, text] of records) {
            if (!name.endsWith(".head")) await shown.put(name, text);
          }
          // The head is what it is told of.
          const head = records.get(RECORDS.head(hid));
          if (head !== undefined) await shown.put(RECORDS.head(hid), head);
        };
        let last = 0;
        const look = async () => {
          using ring = await member.ring();
          const { version } = member;
          assert.ok(version >= last, `it went back from ${last} to ${version}`);
          if (version > last) accepted++;
          last = version;
          const has = [...ids].filter(([id]) => ring.hasClient(id)).map(([, name]) => name).join();
          assert.equal(has, said.get(version), `at ${version}`);
        };
        for (const { base, swaps, head: other } of steps) {
          const records = new Map(snapshots[base]!);
          const head = other === undefined ? undefined : snapshots[other]!.get(RECORDS.head(hid));
          if (head !== undefined) records.set(RECORDS.head(hid), head);
          for (const [place, what, at, how] of swaps) {
            const text = pool[what % pool.length]!;
            const name = places[place % places.length]!;
            records.set(
              name,
              how < 7 ? text : changed(snapshots[base]!.get(name) ?? text, at, how),
            );
          }
          await show(records);
          await look();
        }
        // What is right is taken, whatever was shown before.
        await show(genuine);
        await look();
        assert.equal(last, newest);
        source.close();
      }),
      { seed: SEED, numRuns: RUNS },
    );
    // Control: lies were told, and some of what was shown was right.
    assert.ok(refusals > RUNS / 2 && accepted > RUNS, `${refusals} ${accepted}`);
    liar.keys[Symbol.dispose]();
  });
});
