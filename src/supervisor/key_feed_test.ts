import assert from "node:assert/strict";
import type { KeySource } from "../keys/mod.ts";
import { silentLogger } from "../log.ts";
import { decodePsks } from "../pipe/messages.ts";
import { KeyFeed } from "./key_feed.ts";

const CLIENT = `client.00112233445566ff.${"01".repeat(16)}`;
const OTHER = `client.00112233445566ff.${"02".repeat(16)}`;
const LOCAL = "local.00112233445566ff";

/** A key source that can be told what to give, and runners that note the ids that they were given last. */
function world(runnerCount: number) {
  const source = {
    ids: [LOCAL, CLIENT],
    changes: "1",
    afterRead: () => {},
    fails: false,
    confirmed: 0,
  };
  const keys = {
    changes: () => Promise.resolve(source.changes),
    psks: () => {
      if (source.fails) return Promise.reject(new Error("the store is locked"));
      const entries = source.ids.map((pskId) => ({ pskId, psk: new Uint8Array(32).fill(1) }));
      source.afterRead();
      return Promise.resolve(entries);
    },
    clients: () => ({ confirm: () => Promise.resolve(void source.confirmed++) }),
  } as unknown as KeySource;
  const held: string[][] = Array.from({ length: runnerCount }, () => []);
  const feed = new KeyFeed({
    keys,
    give: (payload) => {
      for (const ids of held) ids.splice(0, ids.length, ...decodePsks(payload).keys());
    },
    logger: silentLogger,
  });
  const revoke = () => {
    source.ids = [LOCAL];
    source.changes = "2";
  };
  return { feed, source, held, revoke };
}

Deno.test("keys: a client that is revoked while the keys are on their way is gone from every runner at its next request", async () => {
  const { feed, source, held, revoke } = world(3);
  source.afterRead = () => {
    source.afterRead = () => {};
    revoke();
  };
  await feed.refresh();
  assert.ok(held.flat().includes(CLIENT), "the revocation did not come in between");
  await feed.refreshIfChanged();
  assert.deepEqual(held, [[LOCAL], [LOCAL], [LOCAL]]);
  assert.equal(await feed.proofKey(CLIENT), undefined);
  feed.stop();
});

Deno.test("keys: a runner that boots, and may fail, does not pass for all having been told", async () => {
  const { feed, held, revoke } = world(2);
  await feed.refresh();
  revoke();
  (await feed.frame()).fill(0); // for a third, which ends before it serves
  await feed.refreshIfChanged();
  assert.deepEqual(held, [[LOCAL], [LOCAL]]);
  feed.stop();
});

Deno.test("keys: a store that fails leaves the change to be seen again", async () => {
  const { feed, source, held, revoke } = world(2);
  await feed.refresh();
  revoke();
  source.fails = true;
  await assert.rejects(feed.refreshIfChanged());
  source.fails = false;
  await feed.refreshIfChanged();
  assert.deepEqual(held, [[LOCAL], [LOCAL]]);
  feed.stop();
});

Deno.test("keys: a runner that says without end that clients renewed causes one note, for those with an older key", async () => {
  const { feed, source } = world(1);
  source.ids = [LOCAL, CLIENT, CLIENT.replace("00112233445566ff", "ff00112233445566"), OTHER];
  await feed.refresh();
  await Promise.all(Array.from({ length: 1000 }, () => feed.confirm(CLIENT)));
  assert.equal(source.confirmed, 1);
  await Promise.all([LOCAL, OTHER, "client.x", ""].map((id) => feed.confirm(id)));
  assert.equal(source.confirmed, 1);
  feed.stop();
});

Deno.test("keys: a slow store is not asked once for each who waits, and nobody gets what was read before they came", async () => {
  const { feed, source, held, revoke } = world(1);
  let reads = 0;
  source.afterRead = () => void reads++;
  const first = feed.refresh();
  await Promise.resolve();
  revoke();
  await Promise.all([first, ...Array.from({ length: 1000 }, () => feed.refreshIfChanged())]);
  assert.ok(reads >= 2 && reads <= 3, `${reads} reads`);
  assert.deepEqual(held, [[LOCAL]]);
  feed.stop();
});
