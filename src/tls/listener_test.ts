/** A hardened listener over TLS: Deno's own client, OpenSSL, and connections that say nothing. */
import assert from "node:assert/strict";
import { isAt } from "../http/break_socket.ts";
import { listenerRules } from "../api/listener_rules.ts";
import { serveHardened } from "../http/mod.ts";
import { withFolder } from "../keys/testing.ts";
import { linux } from "../linux/libc.ts";
import { silentLogger } from "../log.ts";
import { authorityAt, openssl } from "./testing.ts";
import { settled, until } from "../../tests/support/patience.ts";
import { notOn } from "../../tests/support/systems.ts";

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
