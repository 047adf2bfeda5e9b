/** The Secret Service store against the real gnome-keyring, in every state that it can be in. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import { KeyManager } from "../../src/keys/keyset/manager.ts";
import { ManifestFile } from "../../src/keys/keyset/manifest_file.ts";
import { openKeySource } from "../../src/keys/source.ts";
import { type RunProgram, runProgram } from "../../src/keys/stores/program.ts";
import { SecretServiceStore } from "../../src/keys/stores/linux.ts";
import { type Keyring, keyringIgnored, startKeyring, writePlaintextKeyring } from "./daemon.ts";
import { HANG_MS, settled } from "../support/patience.ts";

const ignore = keyringIgnored();
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `keyring: ${name}`, ignore, fn });

function storeOf(keyring: Keyring, options: { run?: RunProgram; timeoutMs?: number } = {}) {
  return new SecretServiceStore({
    env: keyring.env,
    profile: "default",
    interactive: false,
    ...options,
  });
}

function managerOf(keyring: Keyring, timeoutMs?: number) {
  return new KeyManager({
    file: new ManifestFile(`${keyring.dataHome}/secllama`),
    store: storeOf(keyring, timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SecLlamaError) return error.code;
    throw error;
  }
  return "ok";
}

async function manifestText(keyring: Keyring): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(`${keyring.dataHome}/secllama/keyset.json`);
  } catch {
    return undefined;
  }
}

const value = new TextEncoder().encode("sl1:a value that is not a key");

test("put, get, list and remove one item, and no other", async () => {
  await using keyring = await startKeyring();
  const store = storeOf(keyring);
  await store.put("0000000000000001", value);
  await store.put("0000000000000002", value);
  await keyring.tool("/usr/bin/secret-tool", [
    "store",
    "--label=x",
    "service",
    "other",
    "account",
    "0000000000000001",
  ], "other's");
  assert.deepEqual(await store.get("0000000000000001"), value);
  assert.equal(await store.get("0000000000000003"), undefined);
  assert.deepEqual((await store.list()).sort(), ["0000000000000001", "0000000000000002"]);
  await store.remove("0000000000000001");
  await store.remove("0000000000000001");
  assert.deepEqual(await store.list(), ["0000000000000002"]);
  const other = await keyring.tool("/usr/bin/secret-tool", [
    "lookup",
    "service",
    "other",
    "account",
    "0000000000000001",
  ]);
  assert.equal(new TextDecoder().decode(other.stdout), "other's");
  assert.deepEqual(await store.probe(), {
    reachable: true,
    locked: false,
    writable: true,
    encryptedAtRest: "yes",
  });
});

test("profiles do not see each other", async () => {
  await using keyring = await startKeyring();
  const work = new SecretServiceStore({ env: keyring.env, profile: "work", interactive: false });
  await work.put("0000000000000001", value);
  assert.deepEqual(await storeOf(keyring).list(), []);
  assert.deepEqual(await work.list(), ["0000000000000001"]);
});

test("keys survive a killed and restarted daemon", async () => {
  await using keyring = await startKeyring({ password: "pw" });
  const { kid } = await managerOf(keyring).init();
  await keyring.restartDaemon("pw");
  assert.equal((await managerOf(keyring).list())[0]!.kid, kid);
});

test("locked: init creates nothing, reads and delete say locked, no prompt is waited for", async () => {
  await using keyring = await startKeyring({ password: "pw" });
  const manager = managerOf(keyring);
  const { kid } = await manager.init();
  await manager.rotate();
  const before = await manifestText(keyring);
  await keyring.restartDaemon(null);
  // Nobody answers a prompt here: whoever waited for one would wait until the test gives up.
  const patient = () => managerOf(keyring, 2 * HANG_MS);
  for (
    const attempt of [
      (): Promise<unknown> => patient().read(),
      () => patient().rotate(),
      () => patient().delete(kid),
      () => patient().exportTo(new TextEncoder().encode("a passphrase")),
    ]
  ) assert.equal(await code(settled(attempt(), "an answer, without a prompt")), "key-locked");
  assert.equal(await manifestText(keyring), before);
  const status = await managerOf(keyring).status();
  assert.deepEqual(
    [status.reachable, status.locked, status.verified, status.active !== null, status.exitCode],
    [true, true, false, true, 4],
  );
  assert.deepEqual(status.keys.map((key) => key.item), ["unknown", "unknown"]);

  // The same store without a manifest: still locked, still nothing made, and no fall back to memory.
  await Deno.remove(`${keyring.dataHome}/secllama/keyset.json`);
  assert.equal(await code(managerOf(keyring).init()), "key-locked");
  const open = (extra: object) =>
    code(openKeySource({
      dataDir: `${keyring.dataHome}/secllama`,
      env: keyring.env,
      interactive: false,
      autoInit: true,
      ...extra,
    }));
  assert.equal(await open({}), "key-locked");
  assert.equal(await open({ ephemeralFallback: true }), "key-locked");
  assert.equal(await manifestText(keyring), undefined);
  await keyring.restartDaemon("pw");
  assert.equal(await code(managerOf(keyring).init()), "key-lost", "the keyset is still there");
});

test("locked, with somebody there who does not answer the prompt: cancelled, not missing", async () => {
  await using keyring = await startKeyring({ password: "pw" });
  await managerOf(keyring).init();
  await keyring.restartDaemon(null);
  const store = new SecretServiceStore({ env: keyring.env, profile: "default", interactive: true });
  assert.equal(await code(store.get("head")), "key-cancelled");
  assert.equal(await code(store.put("0000000000000001", value)), "key-cancelled");
  assert.equal(await code(store.remove("head")), "key-cancelled");
  await keyring.restartDaemon("pw");
  assert.equal((await store.list()).length, 2, "nothing was removed or added");
});

test("a wrong password is a locked store, though the daemon reports success", async () => {
  await using keyring = await startKeyring({ password: "pw" });
  await managerOf(keyring).init();
  await keyring.restartDaemon("not the password");
  assert.equal(await code(managerOf(keyring).read()), "key-locked");
  assert.equal(await code(managerOf(keyring).rotate()), "key-locked");
});

test("never unlocked: no keyring, exit 5, and the quick start falls back saying so", async () => {
  await using keyring = await startKeyring({ password: null });
  const status = await managerOf(keyring).status();
  assert.deepEqual([status.reachable, status.problem?.code], [true, "key-store-unavailable"]);
  assert.equal(await code(managerOf(keyring).init()), "key-store-unavailable");
  assert.equal(await manifestText(keyring), undefined);
  const source = await openKeySource({
    dataDir: `${keyring.dataHome}/secllama`,
    env: keyring.env,
    interactive: false,
    autoInit: true,
    ephemeralFallback: true,
  });
  assert.equal(source.ephemeral, true);
  assert.match(source.describe, /memory only; it dies with this process \(no key store: .*keyring/);
  source[Symbol.dispose]();
});

test("a blank password: the key is refused, and the attack it stops is real", async () => {
  await using keyring = await startKeyring({ daemon: false });
  await writePlaintextKeyring(keyring.home);
  await keyring.startDaemon("");
  // Without the check the secret stands in the file as text.
  await keyring.tool("/usr/bin/secret-tool", [
    "store",
    "--label=x",
    "service",
    "test",
    "account",
    "a",
  ], "SENTINEL");
  const onDisk = await Deno.readTextFile(`${keyring.keyrings}/login.keyring`);
  assert.match(onDisk, /SENTINEL/);

  assert.equal((await storeOf(keyring).probe()).encryptedAtRest, "no");
  assert.equal(await code(managerOf(keyring).init()), "key-refused");
  assert.equal(await code(storeOf(keyring).put("0000000000000001", value)), "key-refused");
  assert.equal(await manifestText(keyring), undefined);
  assert.doesNotMatch(await Deno.readTextFile(`${keyring.keyrings}/login.keyring`), /sl1:/);
});

test("a truncated keyring file: the key is lost, and no new one takes its place", async () => {
  await using keyring = await startKeyring({ password: "pw" });
  const manager = managerOf(keyring);
  const { kid } = await manager.init();
  const passphrase = new TextEncoder().encode("a passphrase");
  const { file } = await manager.exportTo(passphrase);
  await keyring.killDaemon();
  const path = `${keyring.keyrings}/login.keyring`;
  await Deno.writeFile(path, (await Deno.readFile(path)).slice(0, 100));
  await keyring.startDaemon("pw");
  assert.equal(await code(managerOf(keyring).read()), "key-lost");
  assert.equal(await code(managerOf(keyring).rotate()), "key-lost");
  assert.equal(await code(managerOf(keyring).init()), "key-already-initialised");
  const status = await managerOf(keyring).status();
  assert.deepEqual([status.exitCode, status.keys[0]!.item], [6, "missing"]);
  // An export brings it back.
  const report = await managerOf(keyring).importFrom(file, passphrase);
  assert.deepEqual(report.restored, [kid]);
  assert.equal((await managerOf(keyring).list())[0]!.kid, kid);
});

test("a killed daemon is unavailable, not missing", async () => {
  await using keyring = await startKeyring({ password: "pw" });
  await managerOf(keyring).init();
  const before = await manifestText(keyring);
  await keyring.killDaemon();
  assert.equal(await code(managerOf(keyring).read()), "key-store-unavailable");
  assert.equal(await code(managerOf(keyring).rotate()), "key-store-unavailable");
  assert.equal((await managerOf(keyring).status()).exitCode, 5);
  // With a keyset there is no fall back: a second key beside it would look like a loss.
  assert.equal(
    await code(openKeySource({
      dataDir: `${keyring.dataHome}/secllama`,
      env: keyring.env,
      interactive: false,
      autoInit: true,
      ephemeralFallback: true,
    })),
    "key-store-unavailable",
  );
  assert.equal(await manifestText(keyring), before);
});

test("a daemon that is killed between two steps of a rotation loses nothing", async () => {
  await using keyring = await startKeyring({ password: "pw" });
  const manager = managerOf(keyring);
  const { kid } = await manager.init();
  const put = manager.store.put.bind(manager.store);
  manager.store.put = async (account, bytes) => {
    await put(account, bytes);
    await keyring.killDaemon();
  };
  assert.equal(await code(manager.rotate()), "key-store-unavailable");
  await keyring.startDaemon("pw");
  const after = managerOf(keyring);
  const before = await after.status();
  assert.deepEqual([before.active, before.pending?.op, before.orphans?.length], [kid, "add", 1]);
  const { kid: next } = await after.rotate();
  const status = await after.status();
  assert.deepEqual([status.active, status.pending, status.orphans], [next, null, []]);
});

test("a stopped daemon is given up on in time", async () => {
  await using keyring = await startKeyring({ password: "pw" });
  await managerOf(keyring).init();
  // Short only once the daemon is stopped: a busy machine may need longer for an answer.
  let timeoutMs = HANG_MS;
  const store = storeOf(keyring, {
    run: (path, args, options) => runProgram(path, args, { ...options, timeoutMs }),
  });
  await store.get("head"); // the answer "unlocked" is remembered: the tool itself is what hangs next
  Deno.kill(keyring.daemonPid, "SIGSTOP");
  timeoutMs = 400;
  try {
    // Stopped, it would never answer.
    const given = (reading: Promise<unknown>) => code(settled(reading, "that it is given up on"));
    assert.equal(await given(store.get("head")), "key-store-unavailable");
    assert.equal(await given(managerOf(keyring, 400).read()), "key-store-unavailable");
  } finally {
    Deno.kill(keyring.daemonPid, "SIGCONT");
  }
  assert.equal(await code(managerOf(keyring).read()), "ok");
});

test("no D-Bus session, nobody on it, no secret-tool, no gdbus: unavailable, each with its reason", async () => {
  await using keyring = await startKeyring({ daemon: false });
  const without = (path: string): RunProgram => (program) =>
    program === path ? Promise.reject(new Deno.errors.NotFound(path)) : Promise.resolve({
      code: 0,
      timedOut: false,
      stdout: new TextEncoder().encode(
        "(objectpath '/org/freedesktop/secrets/collection/login',)",
      ),
      stderr: "",
    });
  const bare = (env: Record<string, string>) =>
    new SecretServiceStore({ env, profile: "default", interactive: false });
  const cases: [SecretServiceStore, RegExp][] = [
    [bare({}), /no D-Bus session/],
    [bare({ DBUS_SESSION_BUS_ADDRESS: "unix:path=/nonexistent/bus" }), /no program on the D-Bus/],
    [bare(keyring.env), /no program on the D-Bus session offers the Secret Service/],
    [storeOf(keyring, { run: without("/usr/bin/gdbus") }), /\/usr\/bin\/gdbus is not installed/],
  ];
  for (const [store, reason] of cases) {
    const status = await store.probe();
    assert.equal(status.reachable, false);
    assert.match(status.reason!, reason);
    assert.equal(await code(store.get("head")), "key-store-unavailable");
    assert.equal(await code(store.put("head", value)), "key-store-unavailable");
    assert.equal(await code(store.list()), "key-store-unavailable");
  }
  const noTool = new SecretServiceStore({
    env: keyring.env,
    profile: "default",
    interactive: true, // goes to the tool at once
    run: without("/usr/bin/secret-tool"),
  });
  await assert.rejects(noTool.get("head"), /\/usr\/bin\/secret-tool is not installed/);
});
