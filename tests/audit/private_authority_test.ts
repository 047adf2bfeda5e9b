/** A firm's servers have certificates of the firm's own authority, which its administrator gave to the system. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { OtlpSink, SyslogSink } from "../../src/audit/mod.ts";
import { type LogRig, withLog } from "../../src/audit/testing.ts";
import {
  authorityFiles,
  systemAuthorities,
  systemFetch,
} from "../../src/tls/system_authorities.ts";

/** With two authorities, and a server's certificate of the first. */
async function withCertificates(
  test: (files: { cert: string; key: string; system: string }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const text = (name: string) => Deno.readTextFile(join(folder, name));
  try {
    const { success, stderr } = await new Deno.Command("/bin/sh", {
      args: [
        "-ec",
        `curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        for ca in firm other; do
          openssl req -x509 $curve -keyout $ca.key -out $ca.pem -days 2 -subj "/CN=$ca"
        done
        openssl req $curve -keyout server.key -out server.csr -subj /CN=localhost
        printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > server.ext
        openssl x509 -req -in server.csr -CA firm.pem -CAkey firm.key -CAcreateserial \\
          -out server.pem -days 2 -extfile server.ext`,
      ],
      cwd: folder,
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    // As systems keep them: remarks between, and here something that is no certificate.
    const spoilt = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const system = join(folder, "system.pem");
    await Deno.writeTextFile(
      system,
      `# Ünited\n${await text("other.pem")}\n${spoilt}# Firm\n${await text("firm.pem")}`,
    );
    await test({ cert: await text("server.pem"), key: await text("server.key"), system });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Sends the rig's log with a sink that trusts `caCerts` too, until it has come, or is not trusted. */
async function sent(
  rig: LogRig,
  kind: "syslog" | "otlp",
  port: number,
  { caCerts, came }: { caCerts: readonly string[]; came: Promise<unknown> },
): Promise<string> {
  const away = Promise.withResolvers<string>();
  const common = {
    dataDir: rig.folder,
    host: "secllama-0707",
    caCerts,
    onAway: (error: unknown) => away.resolve(`${error} ${(error as Error).cause ?? ""}`),
  };
  const sink = kind === "otlp"
    ? new OtlpSink({ ...common, url: `https://localhost:${port}/v1/logs` })
    : new SyslogSink({ ...common, target: { tls: true, hostname: "localhost", port } });
  const hold = setInterval(() => {}, 1_000);
  try {
    return await Promise.race([came.then(() => "came"), away.promise]);
  } finally {
    await sink.close(0);
    clearInterval(hold);
  }
}

Deno.test("sinks: a server whose certificate is of the firm's own authority gets the lines, if the system trusts it", () =>
  withCertificates(async ({ cert, key, system }) => {
    const caCerts = await systemAuthorities(["/not/there", system]);
    assert.equal(caCerts.length, 2, "without what is none");
    // Neither one that was cut off before them, nor a folder, nor what is below a file, is in their way.
    const cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    await Deno.writeTextFile(`${system}.cut`, cut.repeat(50_000) + await Deno.readTextFile(system));
    const files = [dirname(system), join(system, "below"), `${system}.cut`];
    assert.deepEqual(await systemAuthorities(files), caCerts);
    assert.deepEqual(await systemAuthorities(["/not/there"]), []);
    await withLog(async (rig) => {
      await rig.fill(3);
      const got = Promise.withResolvers<void>();
      await using server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, cert, key, onListen() {} },
        async (request) => {
          if (request.method === "GET") return new Response("keys");
          assert.match(await request.text(), /"secllama\.exchange"/);
          got.resolve();
          return Response.json({});
        },
      );
      const { port } = server.addr;
      const came = got.promise;
      assert.match(await sent(rig, "otlp", port, { caCerts: [], came }), /UnknownIssuer/);
      assert.equal(await sent(rig, "otlp", port, { caCerts, came }), "came");
      // As the provider's keys are asked for.
      const url = `https://localhost:${port}/keys`;
      await assert.rejects(fetch(url), TypeError);
      assert.equal(await (await (await systemFetch([system]))(url)).text(), "keys");
    });
    await withLog(async (rig) => {
      await rig.fill(3);
      const got = Promise.withResolvers<void>();
      using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
      const read = async (conn: Deno.TlsConn) => {
        const buffer = new Uint8Array(1 << 16);
        let text = "";
        for (let n; (n = await conn.read(buffer)) !== null;) {
          text += new TextDecoder().decode(buffer.subarray(0, n));
          if (/^\d+ <110>1 [^]*"n":3,/.test(text)) got.resolve();
        }
      };
      void (async () => {
        for await (const conn of listener) {
          void read(conn).catch(() => {}).finally(() => conn.close());
        }
      })();
      const { port } = listener.addr as Deno.NetAddr;
      const came = got.promise;
      assert.match(await sent(rig, "syslog", port, { caCerts: [], came }), /UnknownIssuer/);
      assert.equal(await sent(rig, "syslog", port, { caCerts, came }), "came");
    });
  }));

Deno.test("authorities: none are looked for where any user of the machine could put them", () => {
  assert.deepEqual(authorityFiles("windows"), []);
  assert.ok(authorityFiles("linux").includes("/etc/ssl/certs/ca-certificates.crt"), "control");
});
