/** What a key store hands out and is given: each array is zero once the call that used it is over, whatever came of it. */
import assert from "node:assert/strict";
import type { Bytes } from "../bytes.ts";
import { openKeySource } from "./source.ts";
import type { KeyStore } from "./stores/store.ts";
import { MemoryStore } from "./stores/testing_memory.ts";
import { managerAt, Steps, withFolder } from "./testing.ts";

/** A store that remembers every array of a key that crosses its interface, and can damage or lose what it hands out. */
class Watched extends MemoryStore {
  readonly seen: { account: string; value: Uint8Array }[] = [];
  damage: (account: string, value: Bytes) => Bytes | undefined = (_, value) => value;

  override async get(account: string): Promise<Bytes | undefined> {
    const value = await super.get(account);
    const given = value && this.damage(account, value);
    if (given) this.seen.push({ account, value: given });
    return given;
  }

  override put(account: string, value: Uint8Array): Promise<void> {
    this.seen.push({ account, value });
    return super.put(account, value);
  }

  /** The keys that are still readable in memory, and how many were seen. */
  left(): [left: string[], seen: number] {
    const keys = this.seen.filter(({ account }) => /^[0-9a-f]{16}$/.test(account));
    const left = keys.filter(({ value }) => value.some((byte) => byte !== 0));
    this.seen.length = 0;
    return [left.map(({ account }) => account), keys.length];
  }
}

/** Everything that is done with keys, one after another; what fails is passed over. */
async function doAll(folder: string, store: KeyStore, steps = new Steps()): Promise<void> {
  const manager = managerAt(folder, steps.store(store), steps.fileSystem());
  const later = async (what: () => Promise<unknown>) => void await what().catch(() => {});
  await later(() => manager.init());
  const first = (await manager.manifest().catch(() => undefined))?.active ?? "0".repeat(16);
  await later(() => manager.rotate());
  await later(() => manager.clients().add("laptop"));
  await later(() => manager.rotateTo(first));
  await later(() => manager.rotate({ compromised: true }));
  await later(() => manager.status());
  await later(() => manager.storage().wrap(new Uint8Array(32), "a test"));
  await later(async () => {
    const source = await openKeySource({ env: {}, interactive: false, dataDir: folder, store });
    try {
      using _ring = await source.ring();
      using _audit = await source.auditKeys();
    } finally {
      source[Symbol.dispose]();
    }
  });
  await later(() => manager.delete(first));
  await later(() => manager.rebuild());
}

Deno.test("keys: no array that crosses the store's interface keeps a key", () =>
  withFolder(async (folder) => {
    const store = new Watched();
    await doAll(folder, store);
    const [left, seen] = store.left();
    assert.ok(seen > 20, `only ${seen} were seen`);
    assert.deepEqual(left, []);
  }));

Deno.test("keys: nor one that is damaged, or where a step fails", async () => {
  const damages: Watched["damage"][] = [
    (account, value) => account === "head" ? value : value.slice(0, 20),
    (account, value) => account === "head" ? value : value.with(30, value[30]! ^ 1),
  ];
  for (const damage of damages) {
    await withFolder(async (folder) => {
      const store = new Watched();
      await managerAt(folder, store).init();
      store.left();
      store.damage = damage;
      await doAll(folder, store);
      const [left, seen] = store.left();
      assert.ok(seen > 3, `only ${seen} were seen`);
      assert.deepEqual(left, []);
    });
  }
  for (const at of [4, 9, 14, 19, 24, 29]) {
    await withFolder(async (folder) => {
      const [store, steps] = [new Watched(), new Steps()];
      steps.failAt(at);
      await doAll(folder, store, steps);
      assert.deepEqual(store.left()[0], [], `step ${at}: ${steps.names[at]}`);
    });
  }
});
