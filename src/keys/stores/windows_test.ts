/** The Credential Manager store against a fake at the FFI boundary (fake_advapi32.ts); the real one runs on Windows only. */
import assert from "node:assert/strict";
import { utf8 } from "../../bytes.ts";
import { FakeAdvapi32 } from "./fake_advapi32.ts";
import { WindowsStore } from "./windows.ts";
import { code, managerAt, withFolder } from "../testing.ts";

const storeOf = (fake: FakeAdvapi32, profile = "default") =>
  new WindowsStore({
    env: { SystemRoot: "C:\\Windows", SECRET: "x" },
    profile,
    ffi: () => fake,
    run: fake.cmdkey,
  });

Deno.test("Windows (fake FFI): a whole life, nothing secret to cmdkey, every read freed", () =>
  withFolder(async (folder) => {
    const fake = new FakeAdvapi32();
    const manager = managerAt(folder, storeOf(fake));
    const { kid } = await manager.init();
    const record = await manager.storage().wrap(utf8("k"), "c");
    await manager.rotate();
    assert.deepEqual(await manager.storage().unwrap(record, "c"), utf8("k"));
    const value = new TextDecoder().decode(fake.items.get(`SecLlama:default:${kid}`));
    assert.match(value, /^sl1:.{44}$/);
    await manager.delete(kid);
    assert.ok(!fake.items.has(`SecLlama:default:${kid}`));
    const status = await manager.status();
    assert.deepEqual([status.exitCode, status.orphans], [0, []]);
    assert.ok(fake.seen.length > 0 && !fake.seen.some((line) => line.includes("sl1:")));
    assert.ok(fake.freed > 5);
  }));

Deno.test("Windows (fake FFI): only 1168 means missing; 0 is unknown", async () => {
  const fake = new FakeAdvapi32();
  const store = storeOf(fake);
  assert.equal(await store.get("head"), undefined);
  for (
    const [error, reason] of [[1312, /no logon session/], [0, /no reason/], [5, /error 5/]] as const
  ) {
    fake.broken = error;
    await assert.rejects(store.get("head"), { code: "key-store-unavailable", message: reason });
    assert.equal(await code(store.put("head", utf8("x"))), "key-store-unavailable");
    assert.equal(await code(store.remove("head")), "key-store-unavailable");
    const status = await store.probe();
    assert.deepEqual([status.reachable, reason.test(status.reason!)], [false, true]);
  }
});

Deno.test("Windows (fake FFI): a blob over 2,560 bytes is refused here, profiles are apart", async () => {
  const fake = new FakeAdvapi32();
  const store = storeOf(fake);
  await assert.rejects(store.put("head", new Uint8Array(2_561)), { code: "internal" });
  await store.put("head", new Uint8Array(2_560).fill(65));
  assert.equal((await store.get("head"))!.length, 2_560);
  await store.put("0123456789abcdef", new Uint8Array(0));
  assert.equal((await store.get("0123456789abcdef"))!.length, 0);
  assert.deepEqual(await storeOf(fake, "work").list(), []);
  assert.deepEqual((await store.list()).sort(), ["0123456789abcdef", "head"]);
});
