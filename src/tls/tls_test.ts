/** The certificates as others read them: OpenSSL, Node's X509Certificate, and Deno's own client over a hardened listener. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { isAt } from "../http/break_socket.ts";
import { listenerRules } from "../api/listener_rules.ts";
import { serveHardened } from "../http/mod.ts";
import { ManifestFile, openKeySource } from "../keys/mod.ts";
import { code, managerAt, withFolder } from "../keys/testing.ts";
import { MemoryStore } from "../keys/stores/testing_memory.ts";
import { linux } from "../linux/libc.ts";
import { silentLogger } from "../log.ts";
import { clockWarnings, GatewayAuthority } from "./authority.ts";
import { covers, readCertificate } from "./files.ts";
import { addressOfName, isHostName } from "./names.ts";
import { settled, until } from "../../tests/support/patience.ts";
import { notOn } from "../../tests/support/systems.ts";

const NAMES = ["gateway.office.example", "10.11.0.5", "fd00::5", "127.0.0.1"];

async function authorityAt(folder: string, store = new MemoryStore(), now?: () => Date) {
  const keys = await openKeySource({
    dataDir: folder,
    env: {},
    interactive: false,
    store,
    autoInit: true,
  });
  return new GatewayAuthority(new ManifestFile(folder), keys.storage(), now);
}

async function openssl(args: string[], stdin = ""): Promise<{ code: number; text: string }> {
  const child = new Deno.Command("/usr/bin/openssl", {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

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

Deno.test("tls: a listener speaks TLS 1.2 and 1.3 and HTTP/1.1 to whoever has the authority, and nothing else", async (t) => {
  await withFolder(async (folder) => {
    const authority = await authorityAt(folder);
    const { certificate } = await authority.ensure(["localhost"]);
    const tls = await authority.issue(["localhost", "127.0.0.1"]);
    await Deno.writeTextFile(`${folder}/ca.pem`, certificate);
    const stop = new AbortController();
    const server = await serveHardened({
      rules: listenerRules(),
      hostname: "127.0.0.1",
      port: 0,
      tls,
      logger: silentLogger,
      signal: stop.signal,
      limits: { headMs: 600 },
      handler: (request) => new Response(`hello ${request.headers.get("host")}`),
    });
    const { port } = server.addr;
    const connect = (...args: string[]) =>
      openssl(
        ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "localhost", ...args],
        "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
      );
    try {
      await t.step("a client with the authority is served, one without is not", async () => {
        const client = Deno.createHttpClient({ caCerts: [certificate] });
        for (const host of ["localhost", "127.0.0.1"]) {
          const response = await fetch(`https://${host}:${port}/`, { client });
          assert.equal(await response.text(), `hello ${host}:${port}`);
        }
        client.close();
        await assert.rejects(fetch(`https://localhost:${port}/`), TypeError);
      });
      await t.step("versions and protocols", async () => {
        const good = ["-verify_return_error", "-CAfile", `${folder}/ca.pem`, "-ign_eof"];
        for (const version of ["-tls1_2", "-tls1_3"]) {
          const { text } = await connect(...good, version);
          assert.match(text, /hello localhost/);
          assert.match(text, /Cipher *(:|is) *.*(GCM|CHACHA20|Ciphersuite)/i);
        }
        const old = await connect("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0");
        assert.doesNotMatch(old.text, /hello/);
        const cbc = await connect("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA");
        assert.doesNotMatch(cbc.text, /hello/);
        const h2 = await connect("-alpn", "h2");
        assert.match(h2.text, /no application protocol|alert/i);
        const http1 = await connect(...good, "-alpn", "h2,http/1.1");
        assert.match(http1.text, /ALPN protocol: http\/1\.1/);
      });
      await t.step(
        "silence, plaintext and half a handshake end at the head's deadline",
        async () => {
          for (
            const first of ["", "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", "\x16\x03\x01\x02"]
          ) {
            const conn = await Deno.connect({ hostname: "127.0.0.1", port });
            await conn.write(new TextEncoder().encode(first));
            let text = "";
            const block = new Uint8Array(4096);
            const end = (async () => {
              for (let n; (n = await conn.read(block).catch(() => null)) !== null;) {
                text += new TextDecoder().decode(block.subarray(0, n));
              }
            })();
            await settled(end, "the end of a connection without TLS").finally(() => conn.close());
            assert.doesNotMatch(text, /hello/);
          }
          await until(() => server.connections() === 0, "its connections are closed");
        },
      );
      await t.step({
        name: "a connection that ends by itself has nobody look for its descriptor",
        ignore: notOn("linux"),
        fn: async () => {
          const os = linux();
          let looks = 0;
          os.readDirectory = (path) => {
            looks++;
            return Object.getPrototypeOf(os).readDirectory.call(os, path);
          };
          try {
            for (const sent of ["", "no handshake"]) {
              const conn = await Deno.connect({ hostname: "127.0.0.1", port });
              await conn.write(new TextEncoder().encode(sent));
              await until(() => server.connections() === 1, "it is accepted");
              conn.close();
              await until(() => server.connections() === 0, "it is closed");
            }
            assert.equal(looks, 0);
          } finally {
            Reflect.deleteProperty(os, "readDirectory");
          }
        },
      });
      await t.step({
        name: "its connections have TCP_NODELAY",
        ignore: notOn("linux"),
        fn: async () => {
          const client = await Deno.connectTls({
            hostname: "localhost",
            port,
            caCerts: [certificate],
          });
          await client.handshake();
          assert.deepEqual(noDelayOf(client.localAddr as Deno.NetAddr), [1]);
          client.close();
          // The control: a listener that was not told has connections without it.
          const plain = Deno.listen({ hostname: "127.0.0.1", port: 0 });
          const other = await Deno.connect({ hostname: "127.0.0.1", port: plain.addr.port });
          const accepted = await plain.accept();
          assert.deepEqual(noDelayOf(other.localAddr as Deno.NetAddr), [0]);
          for (const resource of [accepted, other, plain]) resource.close();
        },
      });
    } finally {
      stop.abort();
      await server.finished;
    }
  });
});

Deno.test("tls: an operator's own files are read, and what is wrong with them is said", () =>
  withFolder(async (folder) => {
    const make = (name: string, ...more: string[]) =>
      openssl([
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        ...["-keyout", `${folder}/${name}.key`, "-out", `${folder}/${name}.pem`, "-subj", "/CN=x"],
        ...more,
      ]);
    await make("own", "-addext", "subjectAltName=DNS:Gw.Example,DNS:*.wild.example,IP:10.0.0.9");
    await make("two");
    const read = (cert: string, key = cert, now = new Date()) =>
      readCertificate(`${folder}/${cert}.pem`, `${folder}/${key}.key`, now);
    await Deno.chmod(`${folder}/own.key`, 0o644);
    const own = await read("own");
    assert.deepEqual(own.names, ["gw.example", "10.0.0.9"]);
    assert.ok(own.selfSigned);
    assert.match(own.warnings.join(), /chmod 600/);
    await Deno.chmod(`${folder}/own.key`, 0o600);
    assert.deepEqual((await read("own")).warnings, []);
    assert.equal(
      await code(read("own", "own", new Date(Date.now() + 40 * 86_400_000))),
      "bad-config",
    );
    assert.equal(await code(read("missing")), "bad-config");
    await Deno.writeTextFile(`${folder}/junk.pem`, "x");
    await Deno.writeTextFile(`${folder}/junk.key`, "x");
    assert.equal(await code(read("junk", "own")), "bad-config");
    assert.equal(await code(read("own", "junk")), "bad-config");
    const mixed = await read("own", "two");
    const options = {
      hostname: "127.0.0.1",
      port: 0,
      logger: silentLogger,
      rules: listenerRules(),
      handler: () => new Response(),
    };
    const signal = AbortSignal.abort();
    assert.equal(await code(serveHardened({ ...options, tls: mixed, signal })), "bad-config");
  }));

Deno.test("tls: names", () => {
  for (const name of ["a", "a.b", "a-1.example", "10.0.0.1", "::1", "fd00::5", "x1.2y"]) {
    assert.ok(isHostName(name), name);
  }
  for (
    const name of [
      "",
      "A",
      "a..b",
      "-a",
      "a-",
      "*.x",
      "1.2.3",
      "1.2.3.256",
      "a_b",
      "a:1",
      "a/b",
      "x.1",
      ":::",
    ]
  ) {
    assert.ok(!isHostName(name), name);
  }
  assert.equal(addressOfName("fd00::1:5")!.toHex(), "fd000000000000000000000000010005");
  assert.ok(covers(["fd00:0:0:0:0:0:0:5"], "fd00::5"));
  assert.ok(!covers(["10.0.0.5"], "10.0.0.50"));
});

/** TCP_NODELAY of this process's sockets whose other end is `peer`. */
function noDelayOf(peer: Deno.NetAddr): number[] {
  const os = linux();
  return os.readDirectory("/proc/self/fd").map(Number).filter((fd) =>
    isAt(os, "getpeername", fd, peer)
  ).map((fd) => {
    const value = new Uint8Array(new ArrayBuffer(4));
    const length = Uint8Array.of(4, 0, 0, 0);
    return os.call("getsockopt", fd, 6, 1, value, length) === 0 ? value[0]! : -1;
  });
}

Deno.test("tls: of a crowd, each is served or told so; connections that begin no handshake keep nobody out", () =>
  withFolder(async (folder) => {
    const authority = await authorityAt(folder);
    const { certificate } = await authority.ensure(["localhost"]);
    const stop = new AbortController();
    const release = Promise.withResolvers<void>();
    const places = 16;
    const server = await serveHardened({
      rules: listenerRules(),
      hostname: "127.0.0.1",
      port: 0,
      tls: await authority.issue(["localhost"]),
      logger: silentLogger,
      signal: stop.signal,
      limits: { connections: places },
      handler: async ({ url }) => {
        if (!url.endsWith("/quick")) await release.promise;
        return new Response("done");
      },
    });
    const { port } = server.addr;
    using client = Deno.createHttpClient({ caCerts: [certificate], poolMaxIdlePerHost: 0 });
    const ask = async (path: string) => {
      const response = await fetch(`https://localhost:${port}${path}`, { client });
      await response.text();
      return response.status;
    };
    const silent: Deno.Conn[] = [];
    try {
      let told = 0;
      // As many as are served and told at once.
      const crowd = Array.from({ length: 1.5 * places }, async () => {
        const status = await ask("/slow");
        if (status === 503) told++;
        return status;
      });
      await until(() => told >= places / 2, "who is not served is told");
      release.resolve();
      for (const status of await Promise.all(crowd)) assert.ok(status === 200 || status === 503);
      for (let n = 0; n < 4 * places; n++) {
        silent.push(await Deno.connect({ hostname: "127.0.0.1", port }));
        if (n % places === 0) assert.equal(await ask("/quick"), 200);
      }
      assert.equal(await ask("/quick"), 200);
    } finally {
      release.resolve();
      silent.forEach((one) => one.close());
      stop.abort();
      await server.finished;
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
