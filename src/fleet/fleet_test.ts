/** A fleet whose hosts, and whoever carries their files, lie: each lie first where nothing stands against it, then where it does. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fromBase64Url, toBase64Url, toHex } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { Nonces } from "../gateway/nonces.ts";
import { PROOF_NONCES, ProofGate } from "../gateway/proof.ts";
import { ManifestFile } from "../keys/mod.ts";
import { type FleetPin, verifyMember } from "../sealed/member.ts";
import { makeProof } from "../sealed/proof.ts";
import { deriveHostPsk, deriveProofKey } from "../sealed/psk.ts";
import { openRenewal } from "../sealed/renewal.ts";
import { FleetMember } from "./host.ts";
import { enrolHost, fleetHosts, initIssuer, removeHost } from "./issuer.ts";
import { joinFleet } from "./join.ts";
import { parseEnrolment, parsePin } from "./lines.ts";
import { FileSource, packRecords } from "./store.ts";
import { openReport, sealReport } from "./report.ts";
import { edited, filesOf, HOUR, LABEL, machine, refused, withFleet } from "./testing.ts";

const GET = { method: "GET", target: "/api/tags", body: new Uint8Array(0) };

Deno.test("fleet: each host has what the client derives for it, and nothing of another's", async () => {
  await withFleet(async ({ publish, member, laptop, hosts }) => {
    const texts = await publish();
    for (const [i, text] of texts.entries()) {
      const fleet = await member(i, text);
      await fleet.read();
      using ring = await fleet.ring();
      assert.ok(ring.has(laptop.pskId));
      const ours = deriveHostPsk(laptop.psk, hosts[i]!.keys.hid);
      assert.equal(toHex(ring.proofKey(laptop.pskId)!), toHex(deriveProofKey(ours)));
      // Nothing in clear, of any client.
      for (const secret of [laptop.psk, ours]) {
        assert.ok(!text.includes(toBase64Url(secret).slice(0, 20)));
      }
      assert.ok(!text.includes("laptop"));
    }
  });
});

Deno.test("fleet: who is enrolled once more is told what the fleet has it as", async () => {
  await withFleet(async ({ issuer, hosts, folder, pin }) => {
    const enrol = async ({ state, keys }: (typeof hosts)[number], label: string) => {
      const line = await joinFleet(state, {
        ...{ pin, label, hid: keys.hid, audit: new Uint8Array(32) },
      });
      await enrolHost(issuer.state, await parseEnrolment(line, LABEL));
    };
    const [one] = hosts as [(typeof hosts)[number]];
    const stranger = await machine(folder, "stranger");
    await refused(enrol(one, "gpu-1"), /^gpu-1 is in the fleet already$/);
    await refused(enrol(one, "gpu-9"), /^this host is in the fleet already, as gpu-1$/);
    await refused(enrol(one, "gpu-2"), /^this host is in the fleet already, as gpu-1$/);
    await refused(enrol(stranger, "gpu-2"), /^another host is in the fleet as gpu-2$/);
    await removeHost(issuer.state, "gpu-1");
    await enrol(one, "gpu-9");
    await enrol(stranger, "gpu-1");
    stranger.keys[Symbol.dispose]();
  });
});

Deno.test("fleet: an older file, a forged one, a foreign one and a changed one are refused", async () => {
  await withFleet(async ({ issuer, publish, member, laptop, folder, clock, pin }) => {
    const old = (await publish())[0]!;
    await issuer.keys.clients().revoke("laptop");
    const [newest, foreign] = await publish();
    // Control: to a host that has seen nothing newer, the old file makes the revoked client welcome.
    const fresh = await member(0, old);
    await fresh.read();
    using before = await fresh.ring();
    assert.ok(before.has(laptop.pskId));

    const host = await member(0, newest!);
    await host.read();
    await refused((await member(0, old)).read(), /older than what was seen/);
    await refused((await member(0, foreign!)).read(), /nothing for this host/);
    const [own, its] = (await fleetHosts(issuer.state)).map(({ hid }) => hid);
    const renamed = edited(foreign!, (name, text) => [name.replace(its!, own!), text]);
    await refused((await member(0, renamed)).read(), /for another host/);
    const passedOff = edited(foreign!, (name, text) => [
      name.replace(its!, own!),
      text.replace(its!, own!),
    ]);
    await refused((await member(0, passedOff)).read(), /not signed by the fleet's issuer/);

    // Another issuer, who knows all that is public.
    const forger = await machine(folder, "forger");
    await initIssuer(forger.state, forger.keys);
    await forger.keys.clients().add("thief", { replace: false, may: [] });
    const target = (await fleetHosts(issuer.state))[0]!;
    const hid = Uint8Array.fromHex(target.hid);
    const { label, nats } = target;
    const keys = { pk: fromBase64Url(target.pk), audit: fromBase64Url(target.audit) };
    await enrolHost(forger.state, { label, hid, ...keys, nats });
    const [forged] = await filesOf(forger, clock.now);
    await refused((await member(0, forged!)).read(), /not signed by the fleet's issuer/);
    forger.keys[Symbol.dispose]();

    // Each field of each record, changed; and one record in the place of another.
    const names = Object.keys(JSON.parse(newest!).records);
    assert.equal(names.length, 2);
    for (const victim of names) {
      for (const field of ["clear", "sealed", "signature"]) {
        const changed = edited(newest!, (name, text) => {
          const fields = JSON.parse(text);
          const value = field === "clear"
            ? fields.clear.replace(/"base":/, '"base":1')
            : fields[field].slice(0, -8) + "AAAAAAAA";
          return [name, name === victim ? JSON.stringify({ ...fields, [field]: value }) : text];
        });
        await refused((await member(0, changed)).read(), /not signed/);
      }
      const other = names.find((name) => name !== victim)!;
      const swapped = edited(newest!, (name, text) => [
        name,
        name === victim ? JSON.parse(newest!).records[other] : text,
      ]);
      await refused((await member(0, swapped)).read(), /has no head|mixed up/);
      const without = packRecords(
        new Map(
          Object.entries<string>(JSON.parse(newest!).records).filter(([name]) => name !== victim),
        ),
      );
      await refused((await member(0, without)).read(), /nothing for this host|not whole/);
    }
    // What was refused changes nothing of what was taken up.
    using ring = await host.ring();
    assert.ok(!ring.has(laptop.pskId));
    assert.ok(host.isFresh);
    assert.equal(pin.issuer.length, 32);
  });
});

Deno.test("fleet: a proof that one host was shown is nothing at another, nor can it make one", async () => {
  await withFleet(async ({ publish, member, laptop, hosts, clock }) => {
    const texts = await publish();
    const gateOf = async (i: number) => {
      const fleet = await member(i, texts[i]!);
      await fleet.read();
      const ring = await fleet.ring();
      const proofKey = (id: string) => {
        const key = ring.proofKey(id);
        return Promise.resolve(key && { key, hid: ring.hid });
      };
      return {
        gate: new ProofGate({ nonces: new Nonces(PROOF_NONCES), proofKey, now: () => clock.now }),
        ring,
      };
    };
    const [a, b] = [await gateOf(0), await gateOf(1)];
    const { hid } = hosts[0]!.keys;
    for (const named of [true, false]) {
      const shown = makeProof(GET, { ...laptop, hid, now: clock.now, named });
      await a.gate.check(shown, GET);
      // The second host has not seen this nonce, and would take it from the client.
      await assert.rejects(b.gate.check(shown, GET), { code: named ? "other-host" : "auth" });
    }
    // Control: with the client's own key a proof for the second host is taken there.
    const own = makeProof(GET, { ...laptop, hid: hosts[1]!.keys.hid, now: clock.now, named: true });
    await b.gate.check(own, GET);
    // All that the first host has of this client.
    const stolen = deriveHostPsk(laptop.psk, hid);
    const forged = makeProof(GET, {
      ...{ psk: stolen, pskId: laptop.pskId, hid: hosts[1]!.keys.hid },
      ...{ now: clock.now + 1, named: true },
    });
    await assert.rejects(b.gate.check(forged, GET), { code: "auth" });
  });
});

Deno.test("fleet: a membership is its host's, its fleet's and of its time", async () => {
  await withFleet(async ({ publish, member, hosts, pin, clock, issuer }) => {
    const fleet = await member(0, (await publish())[0]!);
    await fleet.read();
    const word = fleet.member!;
    const { hid } = hosts[0]!.keys;
    await verifyMember(word, pin, { hid, now: clock.now });
    const code = (promise: Promise<unknown>) =>
      promise.then(() => "ok", (error: SecLlamaError) => error.code);
    const check = (change: Partial<FleetPin>, about: { hid?: Uint8Array; now?: number } = {}) =>
      code(verifyMember(word, { ...pin, ...change }, { hid, now: clock.now, ...about }));
    assert.equal(await check({}, { hid: hosts[1]!.keys.hid }), "auth");
    assert.equal(await check({ fid: hosts[1]!.keys.hid }), "auth");
    assert.equal(await check({ issuer: crypto.getRandomValues(new Uint8Array(32)) }), "auth");
    assert.equal(await check({}, { now: clock.now + 3 * HOUR }), "clock");
    assert.equal(await check({}, { now: clock.now - 3 * HOUR }), "clock");
    const bytes = fromBase64Url(word);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 1;
      assert.equal(
        await code(verifyMember(toBase64Url(changed), pin, { hid, now: clock.now })),
        "auth",
      );
    }
    for (const text of ["", "x", word.slice(1), word + word]) {
      assert.equal(await code(verifyMember(text, pin, { hid, now: clock.now })), "auth");
    }
    // Taken out, it gets no further file, and its own goes stale: it has no word for anybody.
    await removeHost(issuer.state, "gpu-1");
    assert.equal((await publish()).length, 1);
    clock.now += HOUR;
    assert.equal(fleet.member, undefined);
    using ring = await fleet.ring();
    assert.deepEqual([ring.holders, fleet.isFresh], [1, false]);
  });
});

Deno.test("fleet: who was taken out and does not listen has its own time, and no word to the others", async () => {
  await withFleet(async ({ publish, member, hosts, pin, clock, issuer, laptop }) => {
    const files = await publish();
    const [liar, other] = [await member(0, files[0]!), await member(1, files[1]!)];
    for (const each of [liar, other]) await each.read();
    const { hid } = hosts[0]!.keys;
    const report = {
      ...{ label: "gpu-1", version: "0.1.0", head: 1, active: 0, parallel: 1 },
      ...{ at: clock.now, models: [], loaded: [] },
    };
    const said = () => sealReport(report, liar.reportKey!, toHex(hid));
    const isHeard = () => openReport(said(), other.reportKey!, toHex(hid)) !== undefined;
    assert.ok(isHeard(), "control");
    await removeHost(issuer.state, "gpu-1");
    const [newest] = await publish();
    const now = await member(1, newest!);
    await now.read();
    // A client that is led to it accepts it until its time is over, and an hour more.
    using ring = await liar.ring();
    assert.ok(ring.has(laptop.pskId));
    const word = liar.member!;
    const accepted = (at: number) =>
      verifyMember(word, pin, { hid, now: clock.now + at }).then(() => true, () => false);
    assert.ok(await accepted(2 * HOUR - 1));
    assert.ok(!await accepted(2 * HOUR));
    // The hosts have another key: nobody hears what it says of itself, nor it the others.
    const key = now.reportKey!;
    assert.equal(openReport(said(), key, toHex(hid)), undefined);
    const theirs = sealReport(report, key, toHex(hosts[1]!.keys.hid));
    assert.equal(openReport(theirs, liar.reportKey!, toHex(hosts[1]!.keys.hid)), undefined);
  });
});

Deno.test("fleet: a client whose time is over is refused by hosts whose file is still good", async () => {
  await withFleet(async ({ issuer, publish, member, laptop, clock }) => {
    const expires = new Date(clock.now + HOUR / 2).toISOString();
    await issuer.keys.clients().assign("laptop", { expires });
    const fleet = await member(0, (await publish())[0]!);
    await fleet.read();
    using ring = await fleet.ring();
    const id = laptop.pskId.split(".")[2]!;
    assert.ok(ring.has(laptop.pskId));
    assert.equal(ring.client(id)?.expires, expires);
    clock.now += HOUR / 2;
    assert.ok(fleet.isFresh && !ring.has(laptop.pskId));
    assert.equal(ring.proofKey(laptop.pskId), undefined);
    assert.equal(ring.runnerPsk(laptop.pskId, new Uint8Array(32)), undefined);
  });
});

Deno.test("fleet: a newer file that came while the key store was locked is taken up afterwards", async () => {
  await withFleet(async ({ issuer, hosts, publish, laptop, folder, clock }) => {
    const path = join(folder, "gpu-1.fleet");
    await Deno.writeTextFile(path, (await publish())[0]!);
    const { keys, state } = hosts[0]!;
    let locked = false;
    const read = state.read.bind(state);
    state.read = () => locked ? Promise.reject(new SecLlamaError("key-locked", "locked")) : read();
    const told: string[] = [];
    const onRefused = ({ code }: SecLlamaError) => void told.push(code);
    const source = new FileSource(path);
    const fleet = new FleetMember(state, keys, { source, now: () => clock.now, onRefused });
    await fleet.read();
    await issuer.keys.clients().revoke("laptop");
    await Deno.writeTextFile(path, (await publish())[0]!);
    locked = true;
    const before = await fleet.changes();
    using old = await fleet.ring();
    assert.ok(old.has(laptop.pskId));
    using _again = await fleet.ring();
    locked = false;
    assert.notEqual(await fleet.changes(), before, "or nobody asks for the ring again");
    using ring = await fleet.ring();
    assert.ok(!ring.has(laptop.pskId));
    assert.deepEqual(told, ["key-locked"]);
  });
});

Deno.test("fleet: after a rotation the hosts pass on the client's new key, and cannot read it", async () => {
  await withFleet(async ({ issuer, publish, member, laptop, pin }) => {
    const { KeyManager } = await import("../keys/keyset/manager.ts");
    const manager = new KeyManager({ file: new ManifestFile(issuer.dataDir), store: issuer.store });
    await manager.rotate();
    const fleet = await member(1, (await publish())[1]!);
    await fleet.read();
    using ring = await fleet.ring();
    const sealed = ring.renewal(laptop.pskId)!;
    const renewal = await openRenewal(sealed, laptop.psk, pin.fid);
    assert.ok(renewal && renewal.pskId === ring.newer(laptop.pskId));
    assert.ok(renewal.gen >= ring.genOf(laptop.pskId));
    assert.ok(ring.has(renewal.pskId), "the new key is good at once");
    const derived = deriveProofKey(deriveHostPsk(renewal.psk, ring.hid));
    assert.equal(toHex(ring.proofKey(renewal.pskId)!), toHex(derived));
    for (const own of [ring.proofKey(laptop.pskId)!, new Uint8Array(32)]) {
      assert.equal(await openRenewal(sealed, own, pin.fid), undefined);
    }
  });
});

Deno.test("fleet: what is written in the data folder cannot be made or changed by who has no key", async () => {
  await withFleet(async ({ issuer, hosts }) => {
    const text = JSON.parse(await Deno.readTextFile(issuer.state.path));
    const swapped = text.hosts.replace(/"pk":"..../, '"pk":"AAAA');
    assert.notEqual(swapped, text.hosts);
    await Deno.writeTextFile(issuer.state.path, JSON.stringify({ ...text, hosts: swapped }));
    await assert.rejects(fleetHosts(issuer.state), { code: "key-corrupt" });
    await Deno.copyFile(issuer.state.path, hosts[0]!.state.path);
    await assert.rejects(hosts[0]!.state.read(), { code: "decrypt-failed" });
    assert.throws(() => parsePin("secllama-fleet-1.short"), { code: "usage" });
    await assert.rejects(parseEnrolment("secllama-host-1.e30", LABEL), { code: "usage" });
  });
});
