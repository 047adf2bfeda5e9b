/** What a host makes of a store that has nothing for it yet, or that is written while it reads; and by which label it is known. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { toHex } from "../bytes.ts";
import { RECORDS } from "./bundle.ts";
import { FleetMember } from "./host.ts";
import { joinFleet } from "./join.ts";
import { Publisher } from "./publisher.ts";
import { FileSource, MemoryFleetStore, type RecordSource } from "./store.ts";
import { HOUR, withFleet } from "./testing.ts";

/** Of a store that is looked at as it is. */
function sourceOf(store: MemoryFleetStore, mayCome = true): RecordSource {
  return {
    mayCome,
    version: () => Promise.resolve(`${store.written.records}`),
    get: (name) => store.get(name),
  };
}

Deno.test("fleet: a store that has nothing yet is waited for, a file that has nothing is refused", async () => {
  await withFleet(async ({ hosts, clock }) => {
    const { state, keys } = hosts[0]!;
    const now = () => clock.now;
    for (const [mayCome, code] of [[true, "fleet-silent"], [false, "key-refused"]] as const) {
      const source = sourceOf(new MemoryFleetStore(), mayCome);
      await assert.rejects(new FleetMember(state, keys, { source, now }).read(), { code });
    }
  });
});

Deno.test("fleet: what is written anew while a host reads is no fault", async () => {
  await withFleet(async ({ issuer, hosts, clock, laptop }) => {
    const store = new MemoryFleetStore();
    const write = () =>
      // One that begins writes each host a new base, and removes the one before it.
      new Publisher(issuer.state, issuer.keys, store).publish({ now: clock.now, lifeMs: HOUR });
    await write();
    const { state, keys } = hosts[0]!;
    const name = RECORDS.head(toHex(keys.hid));
    let [left, missed] = [0, 0];
    const source = {
      ...sourceOf(store),
      async get(asked: string) {
        if (asked !== name && left-- > 0) await write();
        const text = await store.get(asked);
        if (text === undefined) missed++;
        return text;
      },
    };
    const options = { source, now: () => clock.now };
    for (const times of [1, 3]) {
      [left, missed] = [times, 0];
      const fleet = new FleetMember(state, keys, options);
      await fleet.read();
      using ring = await fleet.ring();
      assert.ok(ring.has(laptop.pskId));
      // Control: it was so that what the head led to was gone.
      assert.equal(missed, times);
    }
    // Who writes without end is not followed without end.
    left = 1_000;
    await assert.rejects(new FleetMember(state, keys, options).read(), { code: "key-refused" });
    assert.ok(left > 990);
  });
});

Deno.test("fleet: a host is called what its issuer enrolled it as, and before that what it joined as", async () => {
  await withFleet(async ({ pin, hosts, publish, member }) => {
    const { state, keys } = hosts[0]!;
    const label = async () => {
      const there = await state.read();
      return there?.role === "host" ? there.label : undefined;
    };
    assert.equal(await label(), "gpu-1");
    const [file] = await publish();
    const fleet = await member(0, file);
    await fleet.read();
    assert.equal(fleet.label, "gpu-1");
    // Joined once more as another one: that is nobody's word as long as the issuer has not heard it.
    const audit = new Uint8Array(32);
    await joinFleet(state, { pin, label: "gpu-7", hid: keys.hid, audit });
    assert.equal(await label(), "gpu-7");
    const again = await member(0);
    await again.read();
    assert.equal(again.label, "gpu-1");
    assert.equal(await label(), "gpu-1");
  });
});

/** What may have become of a file, by name; all of them leave something else at its path. */
const FAULTS: Readonly<Record<string, (path: string, good: Uint8Array) => Promise<void>>> = {
  zeros: (path, good) => Deno.writeFile(path, new Uint8Array(good.length)),
  cut: (path, good) => Deno.truncate(path, good.length / 2),
  empty: (path) => Deno.truncate(path),
  "no JSON": (path) => Deno.writeTextFile(path, "hello"),
  null: (path) => Deno.writeTextFile(path, "null"),
  "JSON of another kind": (path) => Deno.writeTextFile(path, '{"v":1,"role":"host","key":"AAAA"}'),
  "a newer version's": (path) => Deno.writeTextFile(path, '{"v":9}'),
  "a folder": async (path) => {
    await Deno.remove(path);
    await Deno.mkdir(path);
  },
  away: (path) => Deno.remove(path),
};

Deno.test("fleet: what came while a host's own part was damaged is taken up when that is put right; each fault is told once", async () => {
  await withFleet(async ({ issuer, hosts, clock, publish, laptop, folder }) => {
    const { state, keys } = hosts[0]!;
    const path = join(folder, "gpu-1.fleet");
    const records = new FileSource(path);
    // A file's own stamp differs by itself while the file is young.
    let version = 0;
    const write = async () => {
      await Deno.writeTextFile(path, (await publish())[0]!);
      version++;
    };
    await write();
    const told: string[] = [];
    const options = {
      source: {
        mayCome: false,
        version: () => Promise.resolve(`${version}`),
        get: (name: string) => records.get(name),
      },
      now: () => clock.now,
      onRefused: ({ message }: Error) => told.push(message),
    };
    const fleet = new FleetMember(state, keys, options);
    await fleet.read();
    /** As the gateway looks: whenever something may have changed. */
    let seen = "";
    const look = async () => {
      const changes = await fleet.changes();
      if (changes === seen) return;
      using ring = await fleet.ring();
      seen = changes;
      assert.ok(ring.has(laptop.pskId));
    };
    const file = state.path;
    const faults = Object.entries(FAULTS);
    for (const [fault, damage] of faults) {
      const good = await Deno.readFile(file);
      await damage(file, good);
      const before = fleet.version;
      await write();
      for (let i = 0; i < 5; i++) await look();
      assert.equal(fleet.version, before, fault);
      await Deno.remove(file, { recursive: true }).catch(() => {});
      await Deno.writeFile(file, good);
      await look();
      assert.ok(fleet.version > before, `${fault}: what came meanwhile was passed over`);
    }
    assert.equal(told.length, faults.length, told.join("\n"));
    // The records' own file: the last good one counts meanwhile, and the same fault is told again when it comes again.
    for (let round = 1; round <= 2; round++) {
      for (const [fault, damage] of faults) {
        told.length = 0;
        const good = await Deno.readFile(path);
        await damage(path, good);
        version++;
        for (let i = 0; i < 5; i++) await look();
        assert.equal(told.length, 1, `${fault}, time ${round}: ${told.join("\n")}`);
        await Deno.remove(path, { recursive: true }).catch(() => {});
        await Deno.writeFile(path, good);
        const client = await issuer.keys.clients().add(fault.replace("'", ""), { replace: true });
        await write();
        await look();
        using ring = await fleet.ring();
        assert.ok(ring.hasClient(client.id), `${fault} is put right`);
      }
    }
  });
});
