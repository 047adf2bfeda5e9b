/** The certificates that a gateway makes, as others read them: OpenSSL and Node's X509Certificate. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { code, managerAt, withFolder } from "../keys/testing.ts";
import { MemoryStore } from "../keys/stores/testing_memory.ts";
import { clockWarnings } from "./authority.ts";
import { authorityAt, openssl } from "./testing.ts";

const NAMES = ["gateway.office.example", "10.11.0.5", "fd00::5", "127.0.0.1"];

Deno.test("tls: OpenSSL and Node read the certificates as they were meant, and trust the one by the other", () =>
  withFolder(async (folder) => {
    const authority = await authorityAt(folder);
    const { certificate } = await authority.ensure(NAMES.slice(0, 1));
    const { cert, key } = await authority.issue(NAMES);
    await Deno.writeTextFile(`${folder}/ca.pem`, certificate);
    await Deno.writeTextFile(`${folder}/leaf.pem`, cert);
    const ca = new X509Certificate(certificate), leaf = new X509Certificate(cert);
    assert.ok(ca.ca && !leaf.ca);
    assert.equal(leaf.checkHost(NAMES[0]!), NAMES[0]);
    assert.equal(leaf.checkHost("other.example"), undefined);
    assert.ok(leaf.verify(ca.publicKey));
    assert.match(key, /^-----BEGIN PRIVATE KEY-----/);
    const shown = await openssl(["x509", "-in", `${folder}/leaf.pem`, "-noout", "-text"]);
    assert.match(shown.text, /Version: 3 [^]*ecdsa-with-SHA256[^]*CA:FALSE[^]*Digital Signature/);
    assert.match(
      shown.text,
      /DNS:gateway\.office\.example, IP Address:10\.11\.0\.5, IP Address:FD00:/,
    );
    for (
      const args of [["-verify_hostname", NAMES[0]!], ["-verify_ip", "10.11.0.5"], [
        "-verify_ip",
        "fd00::5",
      ]]
    ) {
      const good = await openssl([
        ...["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", `${folder}/ca.pem`],
        ...args,
        `${folder}/leaf.pem`,
      ]);
      assert.equal(good.code, 0, good.text);
    }
    const other = await authorityAt(`${folder}/other`);
    await Deno.writeTextFile(`${folder}/ca2.pem`, (await other.ensure([])).certificate);
    const bad = await openssl(["verify", "-CAfile", `${folder}/ca2.pem`, `${folder}/leaf.pem`]);
    assert.notEqual(bad.code, 0, "another gateway's authority does not vouch for it");
  }));

Deno.test("tls: the private key is on the disk in wrapped form only, and follows the storage key", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const authority = await authorityAt(folder, store);
    const first = await authority.ensure(["a.example"]);
    const text = await Deno.readTextFile(`${folder}/tls.json`);
    assert.ok(!/PRIVATE/.test(text));
    const wrapped = Uint8Array.fromBase64(JSON.parse(text).key, { alphabet: "base64url" });
    // PKCS#8 of a P-256 key names its curve; the wrapped form does not show it.
    const curve = "06082a8648ce3d030107";
    const { key } = await authority.issue(["a.example"]);
    const der = Uint8Array.fromBase64(key.replace(/-----[A-Z ]+-----|\s/g, ""));
    assert.ok(der.toHex().includes(curve), "the control: an unwrapped key would be found");
    assert.ok(!wrapped.toHex().includes(curve));
    assert.equal((await Deno.stat(`${folder}/tls.json`)).mode! & 0o777, 0o600);

    assert.deepEqual((await authority.ensure(["b.example"])).names, ["a.example", "b.example"]);
    assert.equal((await authority.ensure([])).certificate, first.certificate, "it stays the same");

    const manager = managerAt(folder, store);
    const { previous } = await manager.rotate();
    await authority.rewrap();
    await manager.delete(previous);
    const after = await authorityAt(folder, store);
    assert.ok((await after.issue(["a.example"])).cert.endsWith(first.certificate));

    assert.equal(await code((await authorityAt(folder, store)).rewrap()), "ok");
    await Deno.copyFile(`${folder}/tls.json`, `${folder}/kept`);
    const stranger = `${folder}/stranger`;
    await Deno.mkdir(stranger);
    await Deno.copyFile(`${folder}/tls.json`, `${stranger}/tls.json`);
    assert.equal(await code((await authorityAt(stranger)).issue(["a"])), "decrypt-failed");
    for (const bad of ["{}", "{", text.replace(/"key": "./, '"key": "!')]) {
      await Deno.writeTextFile(`${folder}/tls.json`, bad);
      assert.equal(await code(authority.ensure([])), "key-corrupt");
    }
  }));

Deno.test("tls: a clock that cannot be right makes no authority; one that does not fit it is said; a century on it is read", () =>
  withFolder(async (folder) => {
    const at = (day: string) => () => new Date(`${day}T12:00:00Z`);
    const store = new MemoryStore();
    const early = await authorityAt(folder, store, at("1970-01-01"));
    await assert.rejects(early.ensure(["gw.lan"]), {
      code: "bad-config",
      message: /clock is at 1970-01-01/,
    });
    assert.equal(await Deno.stat(`${folder}/tls.json`).catch(() => null), null);
    const late = await authorityAt(folder, store, at("2100-06-01"));
    const { certificate } = await late.ensure(["gw.lan"]);
    const { validFrom, validTo } = new X509Certificate(certificate);
    assert.deepEqual([new Date(validFrom).getUTCFullYear(), new Date(validTo).getUTCFullYear()], [
      2100,
      2120,
    ]);
    const leaf = new X509Certificate((await late.issue(["gw.lan"])).cert);
    assert.ok(leaf.checkIssued(new X509Certificate(certificate)));
    assert.deepEqual(clockWarnings(certificate, at("2101-01-01")()), []);
    assert.match(
      clockWarnings(certificate, at("2026-11-30")()).join(),
      /2026-11-30, before .*2100-05-30/,
    );
    assert.match(
      clockWarnings(certificate, at("2130-01-01")()).join(),
      /ended on 2120-.*tls\.json/,
    );
  }));
