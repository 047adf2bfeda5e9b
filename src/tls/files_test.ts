/** Certificates of an operator's own. */
import assert from "node:assert/strict";
import { listenerRules } from "../api/listener_rules.ts";
import { serveHardened } from "../http/mod.ts";
import { code, withFolder } from "../keys/testing.ts";
import { silentLogger } from "../log.ts";
import { readCertificate } from "./files.ts";
import { openssl } from "./testing.ts";

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
