/** The keychain store against a fake `security` (fake_security.ts); the real one runs on macOS only. */
import assert from "node:assert/strict";
import { utf8 } from "../../bytes.ts";
import { FakeSecurity } from "./fake_security.ts";
import { encodeKey, newKey } from "../keyset/kid.ts";
import { MacosStore } from "./macos.ts";
import { code, managerAt, withFolder } from "../testing.ts";

const env = { HOME: "/Users/x", SECRET: "not passed on" };
const storeOf = (security: FakeSecurity) =>
  new MacosStore({ env, profile: "default", interactive: false, run: security.run, timeoutMs: 50 });

Deno.test("macOS (fake security): a whole life, and no value in argv or environment", () =>
  withFolder(async (folder) => {
    const security = new FakeSecurity();
    const manager = managerAt(folder, storeOf(security));
    const { kid } = await manager.init();
    const record = await manager.storage().wrap(utf8("k"), "c");
    await manager.rotate();
    assert.deepEqual(await manager.storage().unwrap(record, "c"), utf8("k"));
    assert.equal((await manager.status()).exitCode, 0);
    const value = security.items.get(`secllama\0${kid}`)!;
    assert.match(value, /^sl1:.{44}$/);
    assert.ok(!security.seen.some((line) => line.includes(value) || line.includes("not passed")));
    await manager.delete(kid);
    assert.ok(!security.items.has(`secllama\0${kid}`));
    assert.deepEqual((await manager.status()).orphans, []);
  }));

Deno.test("macOS (fake security): each exit code is told apart", async () => {
  const security = new FakeSecurity();
  const store = storeOf(security);
  const value = encodeKey(newKey());
  assert.equal(await store.get("head"), undefined, "44");
  await store.put("head", value);
  for (
    const [state, expected] of [
      ["locked", "key-locked"],
      ["refuses", "key-locked"],
      ["cancels", "key-cancelled"],
      ["no-keychain", "key-store-unavailable"],
    ] as const
  ) {
    security.state = state;
    assert.equal(await code(store.get("head")), expected, state);
    assert.equal(await code(store.get("0123456789abcdef")), expected, `${state}: never "missing"`);
    assert.equal(await code(store.put("head", value)), expected, state);
    assert.equal(await code(store.remove("head")), expected, state);
  }
  security.state = "unlocked";
  security.installed = false;
  assert.equal(await code(store.get("head")), "key-store-unavailable");
  assert.equal((await store.probe()).reachable, false);
});

Deno.test("macOS (fake security): the traps of security -i are real, and a put does not fall into them", async () => {
  const security = new FakeSecurity();
  const store = storeOf(security);
  const add = (line: string) =>
    security.run("/usr/bin/security", ["-i"], { stdin: utf8(line), env: {}, timeoutMs: 50 });
  const unterminated = await add("add-generic-password -U -a a -s secllama -w x");
  assert.deepEqual(
    [unterminated.code, security.items.size],
    [0, 0],
    "dropped, and reported as done",
  );
  const long = await add(`add-generic-password -U -a a -s secllama -w ${"x".repeat(5_000)}\n`);
  assert.equal(long.code, 0);
  assert.ok(security.items.get("secllama\0a")!.length < 5_000, "cut, and reported as done");

  await assert.rejects(store.put("head", utf8("x".repeat(4_090))), { code: "internal" });
  for (const injection of ["x\ndelete-generic-password", "x -A", 'x"', "x'", "x\\", "é"]) {
    await assert.rejects(store.put("head", utf8(injection)), { code: "internal" });
  }
  // A store that drops what it was given is caught by reading back.
  const dropping = new MacosStore({
    env,
    profile: "default",
    interactive: false,
    run: (path, args, options) =>
      args[0] === "-i"
        ? security.run(path, args, { ...options, stdin: options.stdin!.slice(0, -1) })
        : security.run(path, args, options),
  });
  assert.equal(await code(dropping.put("head", utf8("sl1h:1:0"))), "key-store-unavailable");
});
