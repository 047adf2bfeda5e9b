import assert from "node:assert/strict";
import { loadConfig } from "../config/config.ts";
import { openKeySource } from "../keys/mod.ts";
import { MemoryStore } from "../keys/store_memory.ts";
import { code, withFolder } from "../keys/testing.ts";
import { authorityOf, gatewayFront, pairingAddress } from "./front.ts";

const configOf = (flags: Record<string, string>, env: Record<string, string> = {}) =>
  loadConfig({ env, flags });

const keysAt = (folder: string, store = new MemoryStore()) =>
  openKeySource({ dataDir: folder, env: {}, interactive: false, store, autoInit: true });

Deno.test("front: loopback is plain, and a name that others use makes it ask for proofs", () =>
  withFolder(async (folder) => {
    const keys = await keysAt(folder);
    for (const host of ["127.0.0.1", "localhost", "::1", "127.1.2.3"]) {
      const front = await gatewayFront(configOf({ host }), folder, keys);
      assert.deepEqual([front.remote, front.tls, front.names], [false, undefined, []], host);
    }
    const named = await gatewayFront(configOf({ name: "gw.lan" }), folder, keys);
    assert.deepEqual([named.remote, named.tls, named.names], [true, undefined, ["gw.lan"]]);
  }));

Deno.test("front: a certificate of the operator's own makes it ask for proofs, on loopback behind a tunnel too", () =>
  withFolder(async (folder) => {
    const keys = await keysAt(folder);
    const { cert, key } = await authorityOf(folder, keys).ensure(["gw.lan"]).then(() =>
      authorityOf(folder, keys).issue(["gw.lan"])
    );
    await Deno.writeTextFile(`${folder}/c.pem`, cert);
    await Deno.writeTextFile(`${folder}/k.pem`, key, { mode: 0o600 });
    const flags = {
      host: "127.0.0.1",
      "tls-cert": `${folder}/c.pem`,
      "tls-key": `${folder}/k.pem`,
    };
    const front = await gatewayFront(configOf(flags), folder, keys);
    assert.deepEqual([front.remote, front.names], [true, ["gw.lan"]]);
  }));

Deno.test("front: beyond loopback only sealed, under a lasting key, for somebody, over TLS", () =>
  withFolder(async (folder) => {
    const keys = await keysAt(folder);
    const beyond = configOf({ host: "10.1.2.3" });
    assert.equal(await code(gatewayFront(beyond, folder, keys)), "remote-refused");
    const { name } = await keys.clients().add("laptop");
    const front = await gatewayFront(beyond, folder, keys);
    assert.ok(front.remote && front.tls !== undefined);
    assert.deepEqual(front.names, ["10.1.2.3"]);
    const open = configOf({ host: "10.1.2.3" }, { SECLLAMA_ENABLE_ENCRYPTION: "false" });
    assert.equal(await code(gatewayFront(open, folder, keys)), "remote-refused");
    const memory = await openKeySource({
      dataDir: folder,
      env: {},
      interactive: false,
      ephemeral: true,
    });
    assert.equal(await code(gatewayFront(beyond, folder, memory)), "remote-refused");
    for (
      const [flags, wanted] of [
        [{ host: "10.1.2.3", "tls-cert": "/x" }, "bad-config"],
        [{ host: "10.1.2.3", "tls-key": "/x" }, "bad-config"],
        [{ host: "10.1.2.3", "tls-cert": "/x", "tls-key": "/x" }, "bad-config"],
        [{ host: "10.1.2.3", name: "a..b" }, "bad-config"],
      ] as const
    ) {
      const tried = Promise.resolve().then(() => gatewayFront(configOf(flags), folder, keys));
      assert.equal(await code(tried), wanted, JSON.stringify(flags));
    }
    await keys.clients().revoke(name);
    assert.equal(await code(gatewayFront(beyond, folder, keys)), "remote-refused");
  }));

Deno.test("front: every address needs a name, which pairing or --name gives", () =>
  withFolder(async (folder) => {
    const keys = await keysAt(folder);
    await keys.clients().add("laptop");
    const all = configOf({ host: "0.0.0.0" });
    assert.equal(await code(gatewayFront(all, folder, keys)), "bad-config");
    await pairingAddress(all, folder, keys, "https://gw.lan:11435");
    assert.deepEqual((await gatewayFront(all, folder, keys)).names, ["gw.lan"]);
    const more = configOf({ host: "0.0.0.0", name: "fd00::5,other.lan" });
    const { names } = await gatewayFront(more, folder, keys);
    assert.deepEqual(names, ["gw.lan", "fd00::5", "other.lan"]);
  }));

Deno.test("front: where a client is sent", () =>
  withFolder(async (folder) => {
    const keys = await keysAt(folder);
    const address = (flags: Record<string, string>, url?: string) =>
      pairingAddress(configOf(flags), folder, keys, url);
    const first = await address({}, "https://GW.lan:11435/");
    assert.equal(first.url, "https://gw.lan:11435/");
    assert.match(first.certificate!, /BEGIN CERTIFICATE/);
    assert.equal(first.newName, undefined);
    assert.equal((await address({}, "https://new.lan")).newName, "new.lan");
    assert.equal((await address({ name: "gw.lan" })).url, "https://gw.lan:11435/");
    assert.equal((await address({ host: "10.1.2.3", port: "7" })).url, "https://10.1.2.3:7/");
    assert.equal((await address({ host: "fd00::5" })).url, "https://[fd00::5]:11435/");
    assert.deepEqual(await address({}, "http://127.0.0.1:5"), { url: "http://127.0.0.1:5/" });
    for (const url of ["http://10.0.0.1", "ftp://x", "x", "https://a_b", ""]) {
      assert.equal(await code(address({}, url)), "usage", url);
    }
    assert.equal(await code(address({})), "usage");
    assert.equal(await code(address({ host: "0.0.0.0" })), "usage");
  }));
