/** The store of a fleet in a real NATS, when connections to it, nodes of it, or all that comes through are lost. */
import assert from "node:assert/strict";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { RECORDS } from "../../src/fleet/bundle.ts";
import { NatsStore } from "../../src/fleet/nats_store.ts";
import { natsIdentity } from "../../src/fleet/nkey.ts";
import { HANG_MS, settled } from "../support/patience.ts";
import { noNats, startNats } from "./nats.ts";
import { hids, raw, seeds, users } from "./nats_users.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.log("skipped: NATS whose nodes are cut off; set SECLLAMA_FULL=1");
if (noNats) console.log(`skipped: NATS; ${noNats}`);

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
