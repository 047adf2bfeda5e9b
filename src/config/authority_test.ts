import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { rootCertificates } from "node:tls";
import { parseAuthority } from "./authority.ts";

Deno.test("a file without a certificate is no authority", () => {
  const { publicKey } = generateKeyPairSync("ed25519");
  const key = publicKey.export({ type: "spki", format: "pem" }).toString();
  const none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  // The words alone, and a certificate that was cut.
  const cut = "-----BEGIN CERTIFICATE-----\nMIIB\n";
  for (const text of ["", "127.0.0.1 localhost\n", key, none, cut]) {
    assert.throws(
      () => parseAuthority(text, "--ca", "a hint"),
      { code: "bad-config", field: "--ca", hint: "a hint" },
      text,
    );
  }
});

Deno.test("a file of which the first certificate is one and the second is broken is no authority: it would spoil every connection", () => {
  const good = `${rootCertificates[0]!}\n`;
  assert.equal(parseAuthority(good, "--ca", "a hint"), good);
  const broken = `${good}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`;
  assert.throws(() => parseAuthority(broken, "--ca", "a hint"), { code: "bad-config" });
});
