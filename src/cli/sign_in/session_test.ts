/** Going on with sessions: one after the other at one gateway, and beside one another at several. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { isOurs } from "../../app/places.ts";
import { MemoryStore } from "../../keys/stores/testing_memory.ts";
import { code, withFolder } from "../../keys/testing.ts";
import { goOn } from "./session.ts";

/** A store whose first answer waits. */
class SlowStore extends MemoryStore {
  readonly asked = Promise.withResolvers<void>();
  readonly answer = Promise.withResolvers<void>();
  times = 0;

  override async get(account: string) {
    this.times++;
    this.asked.resolve();
    await this.answer.promise;
    return await super.get(account);
  }
}

Deno.test("session: one that waits holds up its own gateway's, and no other's", () =>
  withFolder(async (dataDir) => {
    const { signal } = new AbortController();
    const connection = {} as Parameters<typeof goOn>[0]["connection"];
    const place = (name: string, store: MemoryStore) => ({ dataDir, store, name, connection });
    const [slow, second] = [new SlowStore(), new SlowStore()];
    const first = code(goOn(place("https://a.example:1/ä", slow), signal));
    await slow.asked.promise;
    // There is no session: that is said once its turn has come.
    assert.equal(
      await code(goOn(place("https://b.example:1/", new MemoryStore()), signal)),
      "not-found",
    );
    second.answer.resolve();
    const stop = new AbortController();
    const waiting = code(goOn(place("https://a.example:1/ä", second), stop.signal));
    stop.abort();
    assert.equal(await waiting, "cancelled");
    assert.equal(second.times, 0, "it had a turn beside the first");
    slow.answer.resolve();
    assert.equal(await first, "not-found");
    assert.equal(await code(goOn(place("https://a.example:1/ä", second), signal)), "not-found");
    const lock = Array.from(Deno.readDirSync(dataDir), ({ name }) => join(dataDir, name))[0]!;
    await Deno.remove(lock);
    await Deno.mkdir(lock);
    const asked = ["https://a.example:1/ä", "https://b.example:1/"].map((name) =>
      code(goOn(place(name, new MemoryStore()), signal))
    );
    assert.deepEqual((await Promise.all(asked)).sort(), ["key-io", "not-found"]);
    const left = Array.from(Deno.readDirSync(dataDir), ({ name }) => name);
    assert.equal(left.length, 2, "one for each gateway");
    assert.ok(left.every(isOurs), `uninstall leaves ${left}`);
  }));
