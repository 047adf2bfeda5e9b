/** Key sources: the headless order, PSKs, following a rotation, and what is never done silently. */
import assert from "node:assert/strict";
import { hkdfSync } from "node:crypto";
import { utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { chooseBackend } from "./stores/backend.ts";
import { encodeKey, kidOf, newKey } from "./keyset/kid.ts";
import { type KeySourceOptions, openKeySource, openLastingKeySource } from "./source.ts";
import type { KeyStore, StoreStatus } from "./stores/store.ts";
import { MemoryStore } from "./stores/testing_memory.ts";
import { storeHint } from "./stores/packages.ts";
import { code, entriesOf, managerAt, withFolder } from "./testing.ts";
import { notOn } from "../../tests/support/systems.ts";

const text = (key: Uint8Array) => new TextDecoder().decode(encodeKey(key));
const base = { env: {}, interactive: false } as const;

Deno.test("source: PSKs come from the transport keys, active first, and follow a rotation by another process", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const source = await openKeySource({ ...base, dataDir: folder, store, autoInit: true });
    assert.equal(source.initialised, true);
    const [only, ...rest] = await entriesOf(source);
    assert.equal(rest.length, 0);
    using ring = await source.ring();
    const value = (await store.get(only!.kid))!;
    const key = Uint8Array.fromBase64(new TextDecoder().decode(value.slice(4)));
    const hkdf = (ikm: Uint8Array, info: string) =>
      new Uint8Array(hkdfSync("sha256", ikm, new Uint8Array(0), info, 32));
    const local = hkdf(hkdf(key, "secllama/1 transport"), "secllama/1 local");
    assert.deepEqual(ring.credentials()!.psk, local);
    assert.equal(only!.pskId, `local.${only!.kid}`);
    assert.match(source.describe, new RegExp(`^key ${only!.kid} in `));

    const { gen } = ring;
    const { kid } = await managerAt(folder, store).rotate();
    assert.equal((await source.ring()).gen, gen + 1);
    assert.deepEqual((await entriesOf(source)).map((p) => p.kid), [kid, only!.kid]);
    await managerAt(folder, store).rotate({ compromised: true });
    assert.ok(
      !(await entriesOf(source)).some((p) => p.kid === kid),
      "a compromised key has no PSK",
    );
    source[Symbol.dispose]();
  }));

Deno.test("source: a copy is handed out, and a store that locks later stops nothing", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const source = await openKeySource({ ...base, dataDir: folder, store, autoInit: true });
    const pskOf = async () => {
      using ring = await source.ring();
      return ring.credentials()!.psk;
    };
    const first = await pskOf();
    store.get = () => Promise.reject(new SecLlamaError("key-locked", "locked"));
    const kept = first.slice();
    first.fill(0);
    assert.deepEqual(await pskOf(), kept);
    source[Symbol.dispose]();
    assert.equal(await code(source.ring()), "key-locked", "closed: the cache is gone");
  }));

Deno.test("source: a manifest put back while the gateway runs is noticed", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const source = await openKeySource({ ...base, dataDir: folder, store, autoInit: true });
    const before = await Deno.readFile(`${folder}/keyset.json`);
    await managerAt(folder, store).rotate();
    (await source.ring())[Symbol.dispose]();
    await Deno.writeFile(`${folder}/keyset.json`, before);
    assert.equal(await code(source.ring()), "key-corrupt");
  }));

Deno.test("source: no key without autoInit, and two first runs at once make one", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    assert.equal(
      await code(openKeySource({ ...base, dataDir: folder, store })),
      "key-not-initialised",
    );
    assert.deepEqual(await store.list(), []);
    const open = () => openKeySource({ ...base, dataDir: folder, store, autoInit: true });
    const sources = await Promise.all([open(), open(), open()]);
    const kids = await Promise.all(sources.map(async (s) => (await entriesOf(s))[0]!.kid));
    assert.equal(new Set(kids).size, 1);
    assert.equal(sources.filter((s) => s.initialised).length, 1);
  }));

Deno.test("source: the headless order is fd, credential, environment, file, ephemeral, store", () =>
  withFolder(async (folder) => {
    const keys = [newKey(), newKey(), newKey()];
    const kids = await Promise.all(keys.map((k) => kidOf(k)));
    await Deno.writeFile(`${folder}/secllama-key`, encodeKey(keys[1]!));
    await Deno.writeTextFile(`${folder}/fd`, text(keys[0]!) + "\n");
    using file = await Deno.open(`${folder}/fd`);
    const fd = await descriptorOf(`${folder}/fd`);
    assert.ok(file && fd !== undefined, "the test's own descriptor");
    const all = {
      ...base,
      dataDir: folder,
      keyFd: fd,
      env: { CREDENTIALS_DIRECTORY: folder, SECLLAMA_KEY: text(keys[2]!) },
      keyFile: `${folder}/none`,
      ephemeral: true,
      store: new MemoryStore(),
    };
    const kid = async (o: KeySourceOptions) => {
      const source = await openKeySource(o);
      const [entry] = await entriesOf(source);
      return [source.backend, entry!.kid, source.ephemeral, source.warnings.length];
    };
    const { keyFd: _1, ...noFd } = all;
    const noCredential = { ...noFd, env: { SECLLAMA_KEY: text(keys[2]!) } };
    const noEnv = { ...noFd, env: {} };
    const { keyFile: _4, ...noFile } = noEnv;
    const { ephemeral: _5, ...noEphemeral } = noFile;
    assert.deepEqual(await kid(all), ["key-fd", kids[0], false, 0]);
    assert.deepEqual(await kid(noFd), ["credential", kids[1], false, 0]);
    assert.deepEqual(await kid(noCredential), ["environment", kids[2], false, 1]);
    assert.equal((await chooseBackend(noEnv)).kind, "store");
    assert.equal(await code(openKeySource(noEnv)), "key-not-initialised", "file before ephemeral");
    assert.deepEqual((await kid(noFile))[0], "memory");
    assert.equal(await code(openKeySource(noEphemeral)), "key-not-initialised");
    const noOurs = { CREDENTIALS_DIRECTORY: `${folder}/none`, SECLLAMA_KEY: text(keys[2]!) };
    const next = await openKeySource({ ...base, dataDir: folder, env: noOurs });
    assert.equal(next.backend, "environment");
    assert.equal([...Deno.readDirSync(folder)].some((e) => e.name === "keyset.json"), false);
  }));

Deno.test("source: a headless value that is no key is an error, never a fall through", () =>
  withFolder(async (folder) => {
    const open = (o: object) =>
      code(openKeySource({ ...base, dataDir: folder, store: new MemoryStore(), ...o }));
    for (const key of ["x", "sl1:", text(newKey()).slice(1), text(newKey()) + "x".repeat(99)]) {
      assert.equal(await open({ env: { SECLLAMA_KEY: key } }), "key-corrupt");
    }
    await Deno.writeTextFile(`${folder}/secllama-key`, "sl1:short");
    assert.equal(await open({ env: { CREDENTIALS_DIRECTORY: folder } }), "key-corrupt");
    assert.equal(await open({ keyFd: 1_000 }), "usage");
    assert.equal(await open({ keyFd: -1 }), "usage");
    assert.equal(await open({ profile: "../x" }), "usage");
  }));

Deno.test("source: fall back only where the store is away, never where it is locked", () =>
  withFolder(async (folder) => {
    const open = (status: Partial<StoreStatus>, extra: object = {}) => {
      const store: KeyStore = new MemoryStore();
      store.probe = () =>
        Promise.resolve({
          reachable: true,
          locked: false,
          writable: true,
          encryptedAtRest: "yes",
          reason: "because",
          ...status,
        });
      if (status.locked || status.reachable === false) {
        store.get = () => Promise.reject(new SecLlamaError("key-locked", "locked"));
      }
      return openKeySource({
        ...base,
        dataDir: folder,
        store,
        autoInit: true,
        ephemeralFallback: true,
        ...extra,
      });
    };
    assert.equal(await code(open({ locked: true, writable: false })), "key-locked");
    assert.equal(
      await code(open({ reachable: false }, { ephemeralFallback: false })),
      "key-store-unavailable",
    );
    for (
      const away of [{ reachable: false }, { writable: false }, {
        writable: false,
        encryptedAtRest: "no" as const,
      }]
    ) {
      const source = await open(away);
      assert.equal(source.ephemeral, true);
      assert.match(
        source.describe,
        /memory only; it dies with this process \(no key store: because/,
      );
      assert.equal((await entriesOf(source)).length, 1);
    }
    const source = await open({});
    assert.equal(source.ephemeral, false);
  }));

Deno.test("source: an old key is asked to be rotated, by age and by use", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const manager = managerAt(folder, store);
    Object.assign(manager, { now: () => new Date(Date.now() - 100 * 86_400_000) });
    await manager.init();
    const open = (o: object) => openKeySource({ ...base, dataDir: folder, store, ...o });
    assert.match((await open({})).warnings[0]!, /is 100 days old, over 90: .*secllama key rotate/);
    assert.deepEqual((await open({ maxAgeDays: 101 })).warnings, []);
    assert.deepEqual((await open({ maxAgeDays: 0 })).warnings, []);
    const status = await managerAt(folder, store).status();
    assert.deepEqual([status.ageDays, status.keys[0]!.loads], [100, 3]);
    assert.match(status.reminder!, /100 days/);
    await Deno.writeTextFile(
      `${folder}/key-usage.json`,
      JSON.stringify({ [status.active!]: { wraps: 2 ** 31 + 1, loads: 0, lastUsed: null } }),
    );
    assert.match((await open({ maxAgeDays: 0 })).warnings[0]!, /wrapped 2147483649 secrets/);
    await Deno.writeTextFile(`${folder}/key-usage.json`, "damaged");
    assert.deepEqual((await open({ maxAgeDays: 0 })).warnings, []);
  }));

Deno.test("source: derived keys are apart", () =>
  withFolder(async (folder) => {
    const source = await openKeySource({ ...base, dataDir: folder, ephemeral: true });
    using ring = await source.ring();
    const { psk } = ring.credentials()!;
    using audit = await source.auditKeys();
    assert.notDeepEqual(audit.seed, psk);
    assert.notDeepEqual(audit.seed, audit.line);
    const wrapped = await source.storage().wrap(utf8("k"), "c");
    assert.deepEqual(await source.storage().unwrap(wrapped, "c"), utf8("k"));
    source[Symbol.dispose]();
    await assert.rejects(source.ring(), /closed/);
  }));

Deno.test({
  name: "source: a key's descriptor does not reach the programs that are started afterwards",
  ignore: notOn("linux"),
  fn: () =>
    withFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/key`, text(newKey()));
      const child = async (read: boolean) => {
        const { stdout } = await new Deno.Command("/bin/sh", {
          args: [
            "-c",
            `exec "$@" 7<"${folder}/key"`,
            "sh",
            Deno.execPath(),
            "eval",
            `
            import { keyFromDescriptor } from ${
              JSON.stringify(import.meta.resolve("./stores/headless.ts"))
            };
            ${read ? "await keyFromDescriptor(7);" : ""}
            const o = await new Deno.Command("/bin/sh", { args: ["-c", "ls /proc/self/fd"] }).output();
            console.log(new TextDecoder().decode(o.stdout).split("\\n").includes("7"));
          `,
          ],
        }).output();
        return new TextDecoder().decode(stdout).trim();
      };
      assert.equal(await child(false), "true", "the leak is real: an inherited descriptor goes on");
      assert.equal(await child(true), "false");
    }),
});

/** The number of this process's open descriptor of `path`. */
async function descriptorOf(path: string): Promise<number | undefined> {
  for await (const { name } of Deno.readDir("/proc/self/fd")) {
    const target = await Deno.readLink(`/proc/self/fd/${name}`).catch(() => "");
    if (target === path) return Number(name);
  }
}

Deno.test("source: who needs a key that lasts is told of none in memory", () =>
  withFolder(async (folder) => {
    class Gone extends MemoryStore {
      override get(): Promise<never> {
        return Promise.reject(
          new SecLlamaError("key-store-unavailable", "gone", { hint: storeHint("log in") }),
        );
      }
    }
    const options = { ...base, dataDir: folder, store: new Gone(), autoInit: true };
    await openKeySource({ ...options, store: new MemoryStore() });
    await assert.rejects(openKeySource(options), { hint: /--ephemeral/ });
    await assert.rejects(openLastingKeySource(options), (error: SecLlamaError) => {
      assert.equal(error.code, "key-store-unavailable");
      assert.match(error.hint!, /--key-file FILE/);
      assert.doesNotMatch(error.hint!, /ephemeral/);
      return true;
    });
  }));
