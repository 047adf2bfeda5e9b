import assert from "node:assert/strict";
import { loadConfig } from "../config/config.ts";
import { openKeySource } from "../keys/mod.ts";
import { MemoryStore } from "../keys/stores/testing_memory.ts";
import { code, withFolder } from "../keys/testing.ts";
import { authorityOf, gatewayListenAddress, pairingAddress } from "./listen_address.ts";

const configOf = (flags: Record<string, string>, env: Record<string, string> = {}) =>
  loadConfig({ env, flags });

const keysAt = (folder: string, store = new MemoryStore()) =>
  openKeySource({ dataDir: folder, env: {}, interactive: false, store, autoInit: true });

Deno.test("listen address: loopback is plain, and a name that others use makes it ask for proofs", () =>
  withFolder(async (folder) => {
    const keys = await keysAt(folder);
    for (const host of ["127.0.0.1", "localhost", "::1", "127.1.2.3"]) {
      const listen = await gatewayListenAddress(configOf({ host }), folder, keys);
      assert.deepEqual([listen.remote, listen.tls, listen.names], [false, undefined, []], host);
    }
    const named = await gatewayListenAddress(configOf({ name: "gw.lan" }), folder, keys);
    assert.deepEqual([named.remote, named.tls, named.names], [true, undefined, ["gw.lan"]]);
  }));

Deno.test("listen address: a certificate of the operator's own makes it ask for proofs, on loopback behind a tunnel too", () =>
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
    const listen = await gatewayListenAddress(configOf(flags), folder, keys);
    assert.deepEqual([listen.remote, listen.names], [true, ["gw.lan"]]);
  }));

Deno.test("listen address: beyond loopback only sealed, under a lasting key, for somebody, over TLS", () =>
  withFolder(async (folder) => {
    const keys = await keysAt(folder);
    const beyond = configOf({ host: "10.1.2.3" });
    assert.equal(await code(gatewayListenAddress(beyond, folder, keys)), "remote-refused");
    const { name } = await keys.clients().add("laptop");
    const listen = await gatewayListenAddress(beyond, folder, keys);
    assert.ok(listen.remote && listen.tls !== undefined);
    assert.deepEqual(listen.names, ["10.1.2.3"]);
    const open = configOf({ host: "10.1.2.3" }, { SECLLAMA_ENABLE_ENCRYPTION: "false" });
    assert.equal(await code(gatewayListenAddress(open, folder, keys)), "remote-refused");
    const memory = await openKeySource({
      dataDir: folder,
      env: {},
      interactive: false,
      ephemeral: true,
    });
    assert.equal(await code(gatewayListenAddress(beyond, folder, memory)), "remote-refused");
    for (
      const [flags, wanted] of [
        [{ host: "10.1.2.3", "tls-cert": "/x" }, "bad-config"],
        [{ host: "10.1.2.3", "tls-key": "/x" }, "bad-config"],
        [{ host: "10.1.2.3", "tls-cert": "/x", "tls-key": "/x" }, "bad-config"],
        [{ host: "10.1.2.3", name: "a..b" }, "bad-config"],
      ] as const
    ) {
      const tried = Promise.resolve().then(() =>
        gatewayListenAddress(configOf(flags), folder, keys)
      );
      assert.equal(await code(tried), wanted, JSON.stringify(flags));
    }
    await keys.clients().revoke(name);
    assert.equal(await code(gatewayListenAddress(beyond, folder, keys)), "remote-refused");
  }));

Deno.test("listen address: every address needs a name, which pairing or --name gives", () =>
  withFolder(async (folder) => {
    const keys = await keysAt(folder);
    await keys.clients().add("laptop");
    const all = configOf({ host: "0.0.0.0" });
    assert.equal(await code(gatewayListenAddress(all, folder, keys)), "bad-config");
    await pairingAddress(all, folder, keys, "https://gw.lan:11435");
    assert.deepEqual((await gatewayListenAddress(all, folder, keys)).names, ["gw.lan"]);
    const more = configOf({ host: "0.0.0.0", name: "fd00::5,other.lan" });
    const { names } = await gatewayListenAddress(more, folder, keys);
    assert.deepEqual(names, ["gw.lan", "fd00::5", "other.lan"]);
  }));

Deno.test("listen address: where a client is sent", () =>
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
