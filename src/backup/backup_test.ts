/** A backup's round trip, what is no backup, and a restore that ends at each of its steps. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { AuditDatabase, AuditLog } from "../audit/mod.ts";
import { type Bytes, utf8 } from "../bytes.ts";
import { listPairings, openKeySource, PairingStore } from "../keys/mod.ts";
import type { KeyManager } from "../keys/keyset/manager.ts";
import { exportKeys } from "../keys/keyset/transfer.ts";
import { newKdf } from "../keys/stores/envelope.ts";
import { MemoryStore } from "../keys/stores/testing_memory.ts";
import { code, managerAt, withFolder } from "../keys/testing.ts";
import { ensureHostId } from "../keys/host_id.ts";
import { countHistory } from "../history/remove.ts";
import { makeBackup } from "./make.ts";
import { restoreBySteps } from "./restore.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const PAIRING = "secllama-pair-1.of-a-test.00000000";
const PASSPHRASE = utf8("a cow on the moon");
/** The least that is taken. */
const quick = () => ({ ...newKdf(), m: 7_168, t: 5 });

interface Host {
  readonly dataDir: string;
  readonly stateDir: string;
  readonly store: MemoryStore;
  readonly manager: KeyManager;
}

async function host(dataDir: string): Promise<Host> {
  const store = new MemoryStore();
  await Deno.mkdir(dataDir, { recursive: true });
  return { dataDir, stateDir: `${dataDir}-state`, store, manager: managerAt(dataDir, store) };
}

async function filled(dataDir: string): Promise<Host> {
  const made = await host(dataDir);
  const { manager } = made;
  await manager.init();
  const hid = await ensureHostId(manager.file, () => Promise.resolve(undefined));
  await manager.rotate();
  await manager.clients().add("laptop");
  await Deno.mkdir(join(dataDir, "history"));
  await Deno.writeTextFile(join(dataDir, "history", "index.bin"), "x".repeat(3_000_000));
  for (const left of [".DS_Store", "history.lock", "key.json.tmp", "history.db-shm", "a b"]) {
    await Deno.writeTextFile(join(dataDir, "history", left), "not ours, or not for long");
  }
  await new PairingStore(dataDir, made.store).add("lab", "https://lab.example/", PAIRING);
  await Deno.writeTextFile(join(dataDir, "config.toml"), 'audit = "on"\n');
  const log = await AuditLog.open({ dataDir, keys: manager, hid, stateDir: made.stateDir });
  for (let i = 0; i < 20; i++) await log.record({ event: "exchange", fields: { i } });
  await log.close();
  return made;
}

/** @param meanwhile Between the keys and the rest. */
async function backUp(
  { manager, dataDir }: Host,
  path: string,
  { policy, meanwhile }: { policy?: string; meanwhile?: () => Promise<unknown> } = {},
): Promise<void> {
  using pairings = await new PairingStore(dataDir, manager.store).exported();
  const { gen, active: kid } = await manager.verifiedManifest();
  const { file: box } = await exportKeys(manager, PASSPHRASE, quick(), pairings.items);
  await meanwhile?.();
  await makeBackup(path, {
    file: manager.file,
    passphrase: PASSPHRASE,
    keys: { kid, gen, box, pairings },
    policy,
    kdf: quick(),
  });
  assert.deepEqual(
    (await Array.fromAsync(Deno.readDir(dataDir))).filter(({ name }) => name.startsWith(".")),
    [],
  );
}

function restore(to: Host, path: string, more: {
  passphrase?: Bytes;
  replace?: boolean;
  onStep?: (step: string) => void;
} = {}) {
  const { onStep = () => {}, ...options } = more;
  const { manager, dataDir, stateDir } = to;
  return restoreBySteps(path, {
    passphrase: PASSPHRASE,
    keys: manager,
    dataDir,
    stateDir,
    replace: false,
    withLock: (change) => manager.file.withLock(change),
    ...options,
  }, onStep);
}

async function isWhole({ dataDir, store, stateDir }: Host): Promise<void> {
  const manager = managerAt(dataDir, store);
  const { clients } = await manager.clients().read();
  assert.deepEqual(clients.map(({ name }) => name), ["laptop"]);
  assert.equal((await Deno.stat(join(dataDir, "history", "index.bin"))).size, 3_000_000);
  assert.equal((await new PairingStore(dataDir, store).read("lab")).text, PAIRING);
  using keys = await openKeySource({ dataDir, env: {}, interactive: false, store, stateDir });
  const log = await AuditLog.open({ dataDir, keys, hid: keys.hid, stateDir });
  await log.close();
  using db = AuditDatabase.read(dataDir)!;
  assert.ok(db.size() >= 21);
  // It goes on from there.
  await manager.rotate();
  await manager.clients().add("another");
  await manager.clients().revoke("another");
}

Deno.test("backup: keys that change while it is made are no backup", () =>
  withFolder(async (folder) => {
    const path = join(folder, "host.backup");
    const first = await filled(join(folder, "first"));
    const pairings = new PairingStore(first.dataDir, first.store);
    for (
      const meanwhile of [
        () => first.manager.rotate(),
        () => pairings.add("lab", "https://lab.example/", PAIRING), // a new item, as in a renewal
        () => pairings.add("home", "https://home.example/", PAIRING),
      ]
    ) assert.equal(await code(backUp(first, path, { meanwhile })), "key-lock-busy");
    await backUp(first, path);
    const second = await host(join(folder, "second"));
    await restore(second, path);
    await isWhole(second);
  }));

Deno.test("backup: of a database that was moved away or emptied under its log none is made, and the log stays", () =>
  withFolder(async (folder) => {
    const made = await filled(join(folder, "host"));
    const path = join(folder, "host.backup");
    const history = join(made.dataDir, "history/history.db");
    for (const db of [join(made.dataDir, "audit.db"), history]) {
      const before = await Deno.readFile(db).catch(() => undefined);
      for (const left of [new Uint8Array(), undefined]) {
        if (left === undefined) await Deno.remove(db);
        else await Deno.writeFile(db, left);
        await Deno.writeTextFile(`${db}-wal`, "lines that are nowhere else");
        assert.equal(await code(backUp(made, path)), "key-io");
        if (db === history) countHistory(made.dataDir);
        assert.equal(await Deno.readTextFile(`${db}-wal`), "lines that are nowhere else");
      }
      await Deno.remove(`${db}-wal`);
      if (before !== undefined) await Deno.writeFile(db, before);
    }
    await backUp(made, path);
  }));

Deno.test("backup: pairings come back into another kind of store; without their keys they are named, and no more", () =>
  withFolder(async (folder) => {
    const path = join(folder, "host.backup");
    const first = await filled(join(folder, "first"));
    const pairings = new PairingStore(first.dataDir, first.store);
    await pairings.add("home", "https://home.example/", `${PAIRING}home`);
    await pairings.use("lab");
    const file = join(first.dataDir, "pairings.json");
    const { gateways } = JSON.parse(await Deno.readTextFile(file));
    await first.store.remove(`pairing${gateways.home.id}`);
    using exported = await pairings.exported();
    assert.deepEqual(exported.without, ["home"]);
    await backUp(first, path);
    const bytes = new TextDecoder("latin1").decode(await Deno.readFile(path));
    assert.equal(bytes.includes(PAIRING), false);
    const second = await host(join(folder, "second"));
    Object.defineProperty(second.store, "backend", { value: "file" });
    assert.equal((await restore(second, path)).pairings, 1);
    const there = new PairingStore(second.dataDir, second.store);
    assert.equal((await there.read()).text, PAIRING);
    assert.equal(await code(there.read("home")), "key-lost");
    assert.equal((await listPairings(second.dataDir)).length, 2);
    const left = (await Array.fromAsync(Deno.readDir(join(second.dataDir, "history"))))
      .map(({ name }) => name);
    assert.deepEqual(left, ["index.bin"]);
  }));

Deno.test("backup: a policy goes where it was; where that cannot be, nothing has been changed", () =>
  withFolder(async (folder) => {
    const path = join(folder, "host.backup");
    const policy = join(folder, "etc", "policy.json");
    await Deno.mkdir(join(folder, "etc"));
    await Deno.writeTextFile(policy, "{}");
    await backUp(await filled(join(folder, "first")), path, { policy });
    await Deno.remove(join(folder, "etc"), { recursive: true });
    await Deno.writeTextFile(join(folder, "etc"), "a file, so that no folder can be");
    const second = await host(join(folder, "second"));
    assert.equal(await code(restore(second, path)), "key-io");
    const left = (await Array.fromAsync(Deno.readDir(second.dataDir))).map(({ name }) => name);
    assert.deepEqual(left.filter((name) => name !== "keyset.lock"), []);
    await Deno.remove(join(folder, "etc"));
    assert.equal((await restore(second, path)).policy, policy);
    assert.equal(await Deno.readTextFile(policy), "{}");
    await isWhole(second);
    // One that is there stays; that it is another one is said.
    const again = async (there: string) => {
      await Deno.writeTextFile(policy, there);
      const { policy: put, otherPolicy } = await restore(second, path, { replace: true });
      assert.deepEqual([put, await Deno.readTextFile(policy)], [undefined, there]);
      return otherPolicy;
    };
    assert.equal(await again("{}"), undefined);
    for (const other of ["{ }", "{}".repeat(99)]) {
      assert.equal(await again(other), policy);
    }
  }));

Deno.test("backup: to another machine, and over a host that has gone on since", () =>
  withFolder(async (folder) => {
    const path = join(folder, "host.backup");
    const first = await filled(join(folder, "first"));
    await backUp(first, path);
    assert.equal(await code(backUp(first, path)), "usage", "it overwrites nothing");
    const bytes = await Deno.readFile(path);
    assert.equal(new TextDecoder("latin1").decode(bytes).includes("laptop"), false);

    const second = await host(join(folder, "second"));
    const moved = await restore(second, path);
    assert.deepEqual(moved.superseded, []);
    await isWhole(second);

    await first.manager.rotate();
    await first.manager.clients().revoke("laptop");
    await first.manager.clients().add("newer");
    const refused = restore(first, path).catch((error) => error);
    const { code: why, message } = await refused;
    assert.equal(why, "key-already-initialised");
    for (
      const said of [
        /generation 3 here, 2 in the backup/,
        /not in the backup: newer/,
        /come back: laptop/,
        /audit log: 21 lines here, 21 in the backup/,
      ]
    ) assert.match(message, said);
    const back = await restore(first, path, { replace: true });
    assert.match(await Deno.readTextFile(join(back.kept!, "clients.json")), /newer/);
    await isWhole(first);
  }));

Deno.test("backup: beside a host whose keys are in the same store, a restore into another folder stops nobody unasked", () =>
  withFolder(async (folder) => {
    const path = join(folder, "host.backup");
    const first = await filled(join(folder, "first"));
    await backUp(first, path);
    const { store } = first;
    const dataDir = join(folder, "second");
    await Deno.mkdir(dataDir);
    const second: Host = {
      ...{ dataDir, store, stateDir: `${dataDir}-state`, manager: managerAt(dataDir, store) },
    };
    const error = await restore(second, path).catch((error) => error);
    assert.equal(error.code, "key-already-initialised");
    assert.match(error.message, /of generation 2/);
    assert.match(error.hint, /--replace/);
    await isWhole(first);
    // One that is damaged is one that is there.
    const head = await store.get("head");
    await store.put("head", utf8("sl1h:damaged"));
    assert.equal(await code(restore(second, path)), "key-already-initialised");
    await store.put("head", head!);
    const done = await restore(second, path, { replace: true });
    assert.match(done.superseded.join(), /^keys of generation 3 in the key store$/);
    await isWhole(second);
    assert.equal(await code(first.manager.read()), "key-corrupt", "what it was asked about");
  }));

Deno.test("backup: a wrong passphrase, a cut, changed, longer or newer one changes nothing", () =>
  withFolder(async (folder) => {
    const path = join(folder, "host.backup");
    await backUp(await filled(join(folder, "first")), path);
    const good = await Deno.readFile(path);
    const line = good.indexOf(0x0a) + 1;
    const bad = join(folder, "bad");
    const to = await host(join(folder, "second"));
    const tryIt = async (bytes: Uint8Array, passphrase = PASSPHRASE) => {
      await Deno.writeFile(bad, bytes);
      const said = await code(restore(to, bad, { passphrase }));
      assert.deepEqual(await Array.fromAsync(Deno.readDir(to.dataDir)), [], "nothing is there");
      assert.equal((await to.store.list()).length, 0);
      return said;
    };
    assert.equal(await tryIt(good, utf8("a cow on the sun")), "key-locked");
    assert.equal(await tryIt(Uint8Array.from([...good, 0])), "key-corrupt");
    const newer = new TextDecoder("latin1").decode(good).replace('"v":1', '"v":2');
    assert.equal(await tryIt(Uint8Array.from(newer, (c) => c.charCodeAt(0))), "key-corrupt");
    // The second record and the third change places: both are of 1 MiB.
    const start = line + 4 + 16;
    const size = 4 + (1 << 20) + 16;
    const swapped = good.slice();
    swapped.set(good.subarray(start + size, start + 2 * size), start);
    swapped.set(good.subarray(start, start + size), start + size);
    assert.equal(await tryIt(swapped), "key-corrupt");
    const without = new Uint8Array([...good.subarray(0, start), ...good.subarray(start + size)]);
    assert.equal(await tryIt(without), "key-corrupt");
    // Each try costs Argon2id once.
    const some = FULL ? 40 : 3;
    const random = seeded(SEED);
    for (let i = 0; i < some; i++) {
      const at = Math.floor(random() * good.length);
      assert.notEqual(await tryIt(good.subarray(0, at)), "ok", `cut at ${at}`);
      const flipped = good.slice();
      flipped[at]! ^= 1 << (i % 8);
      assert.notEqual(await tryIt(flipped), "ok", `changed at ${at}`);
    }
  }));

Deno.test("backup: a restore that ends at any step is noticed by all, and is done by running it again", () =>
  withFolder(async (folder) => {
    const path = join(folder, "host.backup");
    await backUp(await filled(join(folder, "first")), path);
    const steps: string[] = [];
    const onto = async (name: string) => {
      const to = await filled(join(folder, name));
      await to.manager.clients().revoke("laptop");
      return to;
    };
    await restore(await onto("all"), path, { replace: true, onStep: (step) => steps.push(step) });
    assert.ok(steps.length > 10, steps.join());
    for (const end of steps.keys()) {
      if (!FULL && end % 5 !== 0 && end !== steps.length - 1) continue;
      const to = await onto(`at-${end}`);
      let at = 0;
      const died = new Error("died");
      await assert.rejects(
        restore(to, path, {
          replace: true,
          onStep() {
            if (at++ === end) throw died;
          },
        }),
        died,
      );
      const { dataDir, store } = to;
      const opened = await code((async () => {
        using _keys = await openKeySource({ dataDir, env: {}, interactive: false, store });
      })());
      assert.equal(opened, end === 0 ? "ok" : "key-refused", steps[end]);
      const again = managerAt(dataDir, store);
      await restore({ ...to, manager: again }, path, { replace: true });
      await isWhole(to);
    }
  }));
