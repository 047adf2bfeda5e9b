/** The store of a fleet in a real NATS, and what NATS keeps each host from. */
import assert from "node:assert/strict";
import { Kvm } from "@nats-io/kv";
import { natsIdentity } from "../../src/fleet/nkey.ts";
import { NatsStore } from "../../src/fleet/nats_store.ts";
import { RECORDS } from "../../src/fleet/bundle.ts";
import { MemoryFleetStore } from "../../src/fleet/store.ts";
import type { FleetStore } from "../../src/fleet/store.ts";
import { HANG_MS, settled } from "../support/patience.ts";
import { noNats, startNats } from "./nats.ts";
import { hids, raw, seeds, users } from "./nats_users.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.log("skipped: a watch that another host ends; set SECLLAMA_FULL=1");
if (noNats) console.log(`skipped: NATS; ${noNats}`);

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
    // More copies than there are nodes: said at once, and not waited for.
    await assert.rejects(
      NatsStore.open({ servers, ca, seed: seeds[0]!, replicas: 3, leaderMs: 10 * HANG_MS }),
      { code: "fleet-unreachable", hint: /--replicas/ },
    );
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
    // One host's report of any bytes, or one that its listener cannot take, hides nobody else's.
    const heard = Promise.withResolvers<string>();
    const endHeard = await issuer.watch(RECORDS.reports, (name, text) => {
      if (text === "odd") throw new Error("it cannot be taken");
      if (name !== own) heard.resolve(name);
    });
    {
      await using liar = await raw(nats, 1);
      await liar.connection.request(`$KV.secllama.${own}`, Uint8Array.of(0xff, 0xfe));
      await host.put(own, "odd");
      await liar.connection.request(`$KV.secllama.${own}`, Uint8Array.of(0xff, 0xfe));
    }
    await other.put(RECORDS.report(hids[1]!), "there");
    assert.equal(await settled(heard.promise, "the other's is heard"), RECORDS.report(hids[1]!));
    endHeard();
    assert.equal(typeof await issuer.get(own), "string");
    // What is removed leaves nothing: the stream has a message for each record that there is.
    await using admin = await raw(nats, 3);
    const size = async () => (await admin.ask("STREAM.INFO.KV_secllama")).state.messages;
    for (let i = 0; i < 20; i++) await issuer.put(RECORDS.change(hids[0]!, 1, i), "x");
    const full = await size();
    for (let i = 0; i < 20; i++) await issuer.remove(RECORDS.change(hids[0]!, 1, i));
    assert.equal(await size(), full - 20);
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

Deno.test({
  name: "NATS: a host finds nobody else's watch, and one that is ended is made anew",
  ignore: noNats !== undefined,
  fn: async () => {
    await using nats = await startNats(users);
    const { servers, ca } = nats;
    await using issuer = await NatsStore.open({ servers, ca, seed: seeds[0]!, replicas: 1 });
    await using victim = await NatsStore.open({ servers, ca, seed: seeds[2]! });
    await using admin = await raw(nats, 3);
    await using liar = await raw(nats, 1);
    const head = RECORDS.head(hids[1]!);
    let told = Promise.withResolvers<string | undefined>();
    const end = await victim.watch(head, (_, text) => told.resolve(text));
    await issuer.put(head, "one");
    assert.equal(await told.promise, "one");
    // Control: whoever may do all finds it.
    const { consumers: [name] } = await admin.ask("CONSUMER.NAMES.KV_secllama");
    assert.match(name, /./);
    const refused = [
      ...["CONSUMER.NAMES.KV_secllama", "CONSUMER.LIST.KV_secllama", "STREAM.NAMES", "STREAM.LIST"],
      ...["STREAM.PURGE.KV_secllama", "STREAM.DELETE.KV_secllama", "STREAM.UPDATE.KV_secllama"],
      ...["STREAM.MSG.DELETE.KV_secllama", "STREAM.SNAPSHOT.KV_secllama", "STREAM.CREATE.other"],
      ...["CONSUMER.DURABLE.CREATE.KV_secllama.x", "CONSUMER.MSG.NEXT.KV_secllama.x"],
    ];
    for (const what of refused) await assert.rejects(liar.ask(what, "{}"), /[Pp]ermissions/, what);
    // Nor what is said to others, and of them.
    for (
      const subject of [">", "$JS.EVENT.>", "$KV.>", `_INBOX_${natsIdentity(seeds[2]!).user}.>`]
    ) {
      const heard = liar.connection.subscribe(subject);
      await assert.rejects(
        async () => {
          for await (const _ of heard) assert.fail("it hears");
        },
        /[Pp]ermissions/,
        subject,
      );
    }
    // Where our store looks whether NATS still has a watch is the library's own.
    const bucket = await new Kvm(admin.connection).open("secllama");
    const entries = await bucket.watch({ key: head });
    const { _data: consumer } = entries as { _data?: { info?: unknown } };
    assert.equal(typeof consumer?.info, "function");
    entries.stop();
    if (!FULL) return end();
    // It takes NATS' library ten seconds to notice. Did the liar know the name:
    told = Promise.withResolvers();
    assert.equal((await liar.ask(`CONSUMER.DELETE.KV_secllama.${name}`)).success, true);
    await issuer.put(head, "two");
    assert.equal(await told.promise, "two");
    end();
  },
});
