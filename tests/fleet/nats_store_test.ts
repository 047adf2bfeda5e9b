/** The store of a fleet in a real NATS, and what NATS keeps each host from. */
import assert from "node:assert/strict";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { natsIdentity } from "../../src/fleet/nkey.ts";
import { natsPermissions } from "../../src/fleet/nats_permissions.ts";
import { NatsStore } from "../../src/fleet/nats_store.ts";
import { RECORDS } from "../../src/fleet/bundle.ts";
import { MemoryFleetStore } from "../../src/fleet/store.ts";
import type { FleetStore } from "../../src/fleet/store.ts";
import { HANG_MS, settled } from "../support/patience.ts";
import { noNats, startNats } from "./nats.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.log("skipped: NATS under load and floods; set SECLLAMA_FULL=1");
if (noNats) console.log(`skipped: NATS; ${noNats}`);

/** The issuer's, two hosts', and of somebody who may do all: what an administrator of NATS sees. */
const seeds = [1, 2, 3, 4].map((byte) => new Uint8Array(32).fill(byte));
const hids = ["a1", "b2"].map((byte) => byte.repeat(16));
const users = JSON.stringify({
  authorization: {
    users: [
      natsPermissions(natsIdentity(seeds[0]!).user, "issuer"),
      ...hids.map((hid, i) => natsPermissions(natsIdentity(seeds[i + 1]!).user, { hid })),
      {
        nkey: natsIdentity(seeds[3]!).user,
        permissions: { publish: ">", subscribe: ">" },
      },
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

/** A connection that says to NATS what nobody's store would. */
async function raw(nats: { servers: readonly string[]; ca: string }, who: number) {
  const { user, authenticator } = natsIdentity(seeds[who]!);
  const connection: NatsConnection = await connect({
    ...{ servers: [...nats.servers], authenticator, inboxPrefix: `_INBOX_${user}` },
    tls: { ca: nats.ca },
  });
  return {
    connection,
    // deno-lint-ignore no-explicit-any
    ask: async (what: string, body = ""): Promise<any> =>
      (await connection.request(`$JS.API.${what}`, body, { timeout: HANG_MS })).json(),
    [Symbol.asyncDispose]: () => connection.close(),
  };
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
    if (Deno.env.get("SECLLAMA_FULL") !== "1") return end();
    // It takes NATS' library ten seconds to notice. Did the liar know the name:
    told = Promise.withResolvers();
    assert.equal((await liar.ask(`CONSUMER.DELETE.KV_secllama.${name}`)).success, true);
    await issuer.put(head, "two");
    assert.equal(await told.promise, "two");
    end();
  },
});

Deno.test({
  name: "NATS: a lost connection is made anew, by whoever has wiped what it was opened with",
  ignore: noNats !== undefined,
  fn: async () => {
    await using nats = await startNats(users);
    const { servers, ca } = nats;
    const back = Promise.withResolvers<void>();
    const seed = seeds[0]!.slice();
    await using issuer = await NatsStore.open({
      ...{ servers, ca, seed, replicas: 1 },
      onReached: (isThere) => isThere && back.resolve(),
    });
    seed.fill(0);
    const head = RECORDS.head(hids[0]!);
    await issuer.put(head, "one");
    await nats.kill(0);
    await assert.rejects(issuer.put(head, "two"), { code: "fleet-unreachable" });
    await nats.start(0);
    await settled(back.promise, "it is there again");
    await issuer.put(head, "three");
    assert.equal(await issuer.get(head), "three");
  },
});

Deno.test({
  name:
    "NATS: where nothing comes through any more a connection is given up, and made anew with its watches",
  ignore: noNats !== undefined || !FULL,
  fn: async () => {
    await using nats = await startNats(users);
    const { servers, ca } = nats;
    const reached: boolean[] = [];
    let changed = Promise.withResolvers<void>();
    await using issuer = await NatsStore.open({
      ...{ servers, ca, seed: seeds[0]!, replicas: 1 },
      onReached(isThere) {
        reached.push(isThere);
        changed.resolve();
      },
    });
    const head = RECORDS.head(hids[0]!);
    let told = Promise.withResolvers<string | undefined>();
    const end = await issuer.watch(head, (_, text) => told.resolve(text));
    await issuer.put(head, "one");
    assert.equal(await told.promise, "one");
    // As a network that is cut: no answer, no end.
    Deno.kill(nats.pids[0]!, "SIGSTOP");
    await changed.promise;
    assert.deepEqual(reached, [false]);
    await assert.rejects(issuer.put(head, "two"), { code: "fleet-unreachable" });
    changed = Promise.withResolvers();
    told = Promise.withResolvers();
    Deno.kill(nats.pids[0]!, "SIGCONT");
    await changed.promise;
    assert.deepEqual(reached, [false, true]);
    // What is there is told again, whether it was missed or not.
    assert.equal(await told.promise, "one");
    told = Promise.withResolvers();
    await issuer.put(head, "three");
    assert.equal(await told.promise, "three");
    end();
  },
});

Deno.test({
  name: "NATS: a watch whose node is cut off is made anew before the library would notice",
  ignore: noNats !== undefined || !FULL,
  fn: async () => {
    // NATS may move a watch between the look at where it is and the cut: such a try says nothing.
    for (const _try of [1, 2, 3]) if (await isAnewFirst()) return;
    assert.fail("the library's watch was told first, or as soon, three times");
  },
});

/** Whether a watch of ours, whose node is cut off, is told of a change while the library's own is still silent. */
async function isAnewFirst(): Promise<boolean> {
  await using nats = await startNats(users, 3);
  const { servers, ca } = nats;
  await using issuer = await NatsStore.open({
    servers,
    ca,
    seed: seeds[0]!,
    replicas: 3,
    leaderMs: HANG_MS,
  });
  await using admin = await raw(nats, 3);
  const head = RECORDS.head(hids[0]!);
  await issuer.put(head, "one");
  const leader: string = (await admin.ask("STREAM.INFO.KV_secllama")).cluster.leader;
  const alive = [servers[Number(leader.slice(1))]!];
  // Both of the leader, so that no question of theirs fails; their watches are where NATS puts them.
  await using ours = await NatsStore.open({ servers: alive, ca, seed: seeds[0]! });
  await using theirs = await raw({ servers: alive, ca }, 3);
  const bucket = await new Kvm(theirs.connection).open("secllama");
  const told = { ours: 0, theirs: 0 };
  const [isTold, isTheirs] = [Promise.withResolvers<"ours">(), Promise.withResolvers<"theirs">()];
  const ends: (() => void)[] = [];
  const at = { ours: new Map<string, number>(), theirs: new Map<string, number>() };
  const count = async () => {
    const { consumers } = await admin.ask("CONSUMER.LIST.KV_secllama");
    for (const whose of [at.ours, at.theirs]) whose.clear();
    const own = `_INBOX_${natsIdentity(seeds[0]!).user}`;
    for (const { config, cluster } of consumers) {
      const whose = config.deliver_subject.startsWith(own) ? at.ours : at.theirs;
      whose.set(cluster.leader, (whose.get(cluster.leader) ?? 0) + 1);
    }
  };
  let victim: string | undefined;
  while (victim === undefined) {
    ends.push(
      await ours.watch(head, (_, text) => {
        if (text === "two" && ++told.ours === ends.length / 2) isTold.resolve("ours");
      }),
    );
    const entries = await bucket.watch({ key: head });
    ends.push(() => entries.stop());
    void (async () => {
      for await (const entry of entries) {
        if (entry.string() !== "two") continue;
        if (++told.theirs === ends.length / 2) isTheirs.resolve("theirs");
      }
    })();
    await count();
    victim = [...at.ours.keys()].find((node) => node !== leader && at.theirs.has(node));
  }
  // As a network that is cut: no answer, no end.
  Deno.kill(nats.pids[Number(victim.slice(1))]!, "SIGSTOP");
  await issuer.put(head, "two").catch(() => ours.put(head, "two"));
  const first = await Promise.race([isTold.promise, isTheirs.promise]);
  await theirs.connection.flush();
  const isSilent = told.theirs < ends.length / 2;
  for (const end of ends) end();
  return first === "ours" && isSilent;
}

Deno.test({
  name: "NATS: a node that is cut off from the others, and still there, is left for another one",
  ignore: noNats !== undefined || !FULL,
  fn: async () => {
    await using nats = await startNats(users, 3);
    const { servers, ca } = nats;
    await using store = await NatsStore.open({
      servers,
      ca,
      seed: seeds[0]!,
      replicas: 3,
      leaderMs: HANG_MS,
    });
    const head = RECORDS.head(hids[0]!);
    await store.put(head, "one");
    const { node } = store.stats();
    const index = servers.findIndex((server) => server.endsWith(node.split(":")[1]!));
    // The same by the library alone, at the same node: its pings are answered.
    const { user, authenticator } = natsIdentity(seeds[0]!);
    const theirs = await connect({
      servers: [servers[index]!, ...servers],
      noRandomize: true,
      ...{ authenticator, inboxPrefix: `_INBOX_${user}`, tls: { ca } },
      ...{ pingInterval: 2_000, maxPingOut: 2 },
    });
    const bucket = await new Kvm(theirs).open("secllama");
    let isOver = false;
    const putBy = async (put: () => Promise<unknown>) => {
      while (!isOver) {
        const isPut = await put().then(() => true, () => false);
        if (isPut) return true;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return false;
    };
    nats.isolate(index, true);
    try {
      const first = await Promise.race([
        putBy(() => store.put(head, "two")).then(() => "ours"),
        putBy(() => bucket.put(head, "three")).then(() => "theirs"),
      ]);
      assert.equal(first, "ours");
      assert.notEqual(store.stats().node, node);
    } finally {
      isOver = true;
      nats.isolate(index, false);
      await theirs.close();
    }
  },
});
