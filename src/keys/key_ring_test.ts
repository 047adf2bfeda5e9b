/** What a ring gives and to whom, at the size of one client and of ten thousand. */
import assert from "node:assert/strict";
import { toHex } from "../bytes.ts";
import { openRenewal } from "../sealed/renewal.ts";
import type { PairedClient } from "./clients/client_list.ts";
import { corruptList } from "./clients/client_list.ts";
import { LiveClients } from "./clients/live_clients.ts";
import type { ClientRegistry } from "./clients/registry.ts";
import { KeyRing } from "./key_ring.ts";

const [NEW, OLD] = ["ff00112233445566", "00112233445566ff"];
const RN = new Uint8Array(32).fill(3);
const idOf = (i: number) => i.toString(16).padStart(32, "0");
const clientOf = (i: number): PairedClient => ({
  ...{ id: idOf(i), name: `c${i}`, created: "", revoked: null, kid: OLD! },
});

/** Clients that can be looked up and not gone through. */
class Unlistable extends Map<string, PairedClient> {
  override [Symbol.iterator](): never {
    throw new Error("the clients were gone through");
  }
  override entries = this[Symbol.iterator];
  override keys = this[Symbol.iterator];
  override values = this[Symbol.iterator];
  override forEach = this[Symbol.iterator];
}

function ringOf(count: number): KeyRing {
  const clients = new Unlistable();
  for (let i = 0; i < count; i++) clients.set(idOf(i), clientOf(i));
  return new KeyRing({
    hid: new Uint8Array(16).fill(1),
    gen: 3,
    keys: [
      { kid: NEW!, transport: new Uint8Array(32).fill(1), active: true, createdMs: 2 },
      {
        kid: OLD!,
        transport: new Uint8Array(32).fill(2),
        active: false,
        createdMs: 1,
        retiredMs: 1_000,
      },
    ],
    clients,
    roles: new Map(),
    graceMs: 500,
    now: () => new Date(1_400),
  });
}

Deno.test("ring: what one client's request needs is found without going through ten thousand", async () => {
  for (const count of [1, 10_000]) {
    using ring = ringOf(count);
    const last = idOf(count - 1);
    const [older, newer] = [OLD, NEW].map((kid) => `client.${kid}.${last}`) as [string, string];
    assert.deepEqual(ring.idsOf(last), [newer, older]);
    assert.equal(ring.holders, count + 1);
    assert.deepEqual([ring.has(older), ring.hasClient(last), ring.isUnconfirmed(newer)], [
      ...[true, true, true],
    ]);
    assert.equal(ring.proofKey(older)!.length, 32);
    assert.equal(ring.runnerPsk(older, RN)!.length, 32);
    const about = { rn: RN, model: "demo", challenge: new Uint8Array(16) };
    assert.equal(ring.attest(older, about)!.length, 32);
    assert.equal(ring.newer(older), newer);
    const { psk } = ring.credentials(last)!;
    const sealed = ring.renewal(older)!;
    assert.equal(ring.renewal(newer), undefined);
    assert.ok(!toHex(sealed).includes(toHex(psk)), "it would be readable");
    // By the old key, and by none that a runner has.
    const held = [ring.runnerPsk(older, RN)!, ring.runnerPsk(newer, RN)!, psk];
    for (const key of held) assert.equal(await openRenewal(sealed, key, ring.hid), undefined);
  }
});

Deno.test("ring: nobody is known by another's id, another key, or after the grace", () => {
  using ring = ringOf(2);
  for (
    const pskId of [
      `client.${NEW}.${idOf(9)}`,
      `client.0000000000000000.${idOf(1)}`,
      "local.0000000000000000",
      `client.${NEW}.${idOf(1)}x`,
      "",
    ]
  ) {
    assert.deepEqual(
      [ring.has(pskId), ring.proofKey(pskId), ring.runnerPsk(pskId, RN), ring.renewal(pskId)],
      [false, undefined, undefined, undefined],
    );
  }
  assert.equal(ring.credentials(idOf(9)), undefined);
  // Each client, runner and host has a key of its own.
  const keys = [idOf(0), idOf(1)].flatMap((id) =>
    [RN, new Uint8Array(32)].map((rn) => toHex(ring.runnerPsk(`client.${NEW}.${id}`, rn)!))
  );
  keys.push(toHex(ring.runnerPsk(`local.${NEW}`, RN)!), toHex(ring.credentials()!.psk));
  assert.equal(new Set(keys).size, 6);
  ring[Symbol.dispose]();
  assert.equal(toHex(ring.credentials()!.psk), toHex(ringOfZeroes()), "its keys are gone");
});

function ringOfZeroes() {
  using ring = new KeyRing({
    ...{ hid: new Uint8Array(16), gen: 1, clients: new Map(), graceMs: 0, now: () => new Date() },
    roles: new Map(),
    keys: [{ kid: NEW!, transport: new Uint8Array(32), active: true, createdMs: 0 }],
  });
  return ring.credentials()!.psk;
}

Deno.test("ring: the list of clients is read again when it was replaced, not for each request", async () => {
  let [reads, fingerprint] = [0, "1"];
  const registry = {
    fingerprint: () => fingerprint,
    read: () => {
      reads++;
      return Promise.resolve({ rev: reads, hid: "", clients: [clientOf(1)] });
    },
  } as unknown as ClientRegistry;
  const live = new LiveClients(registry);
  const first = await live.read();
  for (let i = 0; i < 100; i++) assert.equal(await live.read(), first);
  assert.equal(reads, 1);
  fingerprint = "2";
  assert.notEqual(await live.read(), first);
  assert.equal(reads, 2);
});

Deno.test("ring: while no list has verified nobody knows what a role forbids; one that did verify holds", async () => {
  const list = {
    rev: 1,
    hid: "",
    clients: [clientOf(1)],
    roles: [{ name: "default", models: ["demo"] }, { name: "few", requestsPerDay: 1 }],
  };
  let [fingerprint, damaged] = ["1", true];
  const registry = {
    fingerprint: () => fingerprint,
    read: () =>
      damaged ? Promise.reject(corruptList("is not complete JSON")) : Promise.resolve(list),
  } as unknown as ClientRegistry;
  const live = new LiveClients(registry);
  const ring = async () => {
    const clients = await live.read();
    return new KeyRing({
      ...{ hid: new Uint8Array(16), gen: 1, graceMs: 0, now: () => new Date() },
      keys: [{ kid: NEW!, transport: new Uint8Array(32), active: true, createdMs: 0 }],
      ...{ clients, roles: live.roles, problem: live.problem },
    });
  };
  {
    using unknown = await ring();
    for (const name of [undefined, "few"]) {
      assert.throws(() => unknown.role(name), { code: "limits-failed" });
    }
    assert.match(unknown.problem!.message, /is not complete JSON/);
    assert.equal(unknown.hasAmounts, false);
  }
  damaged = false;
  {
    using known = await ring();
    assert.deepEqual(known.role()?.models, ["demo"]);
    assert.equal(known.problem, undefined);
    assert.equal(known.hasAmounts, true);
  }
  [fingerprint, damaged] = ["2", true];
  {
    using later = await ring();
    assert.deepEqual(later.role()?.models, ["demo"]);
    assert.equal(later.hasClient(idOf(1)), false, "and no client comes");
    assert.notEqual(later.problem, undefined);
  }
  fingerprint = "1";
  using again = await ring();
  assert.equal(again.problem, undefined, "put back as it was");
  assert.equal(again.hasClient(idOf(1)), true);
});
