import assert from "node:assert/strict";
import { utf8 } from "../../bytes.ts";
import { managerAt, withFolder } from "../testing.ts";
import { kidOfWrapped } from "./wrap.ts";

const secret = utf8("thirty-two bytes of conversation");

Deno.test("wrap: opens under its context and no other, and every changed byte fails", () =>
  withFolder(async (folder) => {
    const manager = managerAt(folder);
    const { kid } = await manager.init();
    const storage = manager.storage();
    const wrapped = await storage.wrap(secret, "a");
    assert.equal(kidOfWrapped(wrapped), kid);
    assert.deepEqual(await storage.unwrap(wrapped, "a"), secret);
    const fails = (bytes: Uint8Array, context = "a") =>
      assert.rejects(storage.unwrap(bytes, context), {
        code: "decrypt-failed",
        message: "failed to decrypt message",
      });
    await fails(wrapped, "b");
    for (let i = 0; i < wrapped.length; i++) {
      const changed = wrapped.slice();
      changed[i]! ^= 1;
      await fails(changed);
    }
    for (const length of [0, 3, 12, 39, wrapped.length - 1]) await fails(wrapped.slice(0, length));
    await fails(new Uint8Array([...wrapped, 0]));
  }));

Deno.test("wrap: the same secret twice gives two ciphertexts, and counts", () =>
  withFolder(async (folder) => {
    const manager = managerAt(folder);
    const { kid } = await manager.init();
    const storage = manager.storage();
    assert.notDeepEqual(await storage.wrap(secret, "a"), await storage.wrap(secret, "a"));
    await storage.flush();
    await storage.flush();
    const wraps = async () => (await manager.status()).keys[0]!.wraps;
    assert.equal(await wraps(), 2);
    for (let i = 0; i < 256; i++) await storage.wrap(secret, "a");
    assert.equal(await wraps(), 258, "written without being asked");
    assert.equal((await manager.status()).active, kid);
    await assert.rejects(storage.wrap(new Uint8Array(1025), "a"), RangeError);
  }));

Deno.test("wrap: a store that is away is not called a failed decryption", () =>
  withFolder(async (folder) => {
    const manager = managerAt(folder);
    await manager.init();
    const wrapped = await manager.storage().wrap(secret, "a");
    const { SecLlamaError } = await import("../../errors.ts");
    manager.store.get = () => Promise.reject(new SecLlamaError("key-locked", "locked"));
    await assert.rejects(manager.storage().unwrap(wrapped, "a"), { code: "key-locked" });
  }));

Deno.test("wrap: rewraps 200 keys after a rotation", () =>
  withFolder(async (folder) => {
    const manager = managerAt(folder);
    await manager.init();
    const storage = manager.storage();
    const records = await Promise.all(
      Array.from({ length: 200 }, (_, i) => storage.wrap(utf8(`key ${i}`), `c${i}`)),
    );
    const { kid, previous } = await manager.rotate();
    for (const [i, record] of records.entries()) {
      const renewed = await storage.rewrap(record, `c${i}`);
      assert.equal(kidOfWrapped(renewed), kid);
      assert.deepEqual(await storage.unwrap(renewed, `c${i}`), utf8(`key ${i}`));
    }
    await manager.delete(previous);
    assert.equal((await manager.status()).exitCode, 0);
  }));
