/**
 * The library as a paired client has it: over TLS with a certificate that only the pairing string vouches for, post-quantum by
 * default, replies in steps, and a key that ends when it is revoked.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { sealedFetch } from "../../src/client/library.ts";
import { encodePairing, parsePairing } from "../../src/client/pairing.ts";
import { splitFrames } from "../../src/sealed/testing.ts";
import { toPem } from "../../src/pem.ts";
import { issue, makeAuthority } from "../../src/tls/certificate.ts";
import { cli, newHome, ROOT, startServe } from "../support/serve.ts";
import { builtLibrary, nodeMajor, runWithInput } from "./testing.ts";

const major = await nodeMajor();
const ASK = {
  method: "POST",
  body: JSON.stringify({
    model: "demo",
    messages: [{ role: "user", content: "What is network isolation?" }],
    options: { temperature: 0, num_predict: 12 },
  }),
};
const SCRIPT = `
  import { readFileSync } from "node:fs";
  const [library, ask] = process.argv.slice(2);
  const { sealedFetch } = await import(library);
  const fetch = await sealedFetch({ pairing: readFileSync(0, "utf8") });
  const get = async (path, init) => {
    try { return await (await fetch(path, init)).text(); } catch (error) { return error.code; }
  };
  console.log(JSON.stringify([await get("/api/chat", JSON.parse(ask)), await get("/api/tags")]));
  fetch.close();
`;

/** A leaf for loopback, and the authority that vouches for it, as the gateway makes its own. */
async function makeCertificate() {
  const { pkcs8, ...authority } = await makeAuthority(new Date());
  pkcs8.fill(0);
  const certificate = toPem("CERTIFICATE", authority.certificate);
  const spki = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
  const leaf = await issue(authority, new Uint8Array(spki), ["127.0.0.1", "localhost"], new Date());
  return {
    authority: certificate,
    cert: toPem("CERTIFICATE", leaf.certificate),
    key: toPem("PRIVATE KEY", leaf.pkcs8),
  };
}

Deno.test("paired: over TLS with the pairing's certificate, in steps, and revoked", async (t) => {
  const library = await builtLibrary();
  const { home, env } = await newHome();
  const key = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
  const own = { ...env, SECLLAMA_DATA_DIR: join(home, "data"), SECLLAMA_KEY: key };
  const made = await makeCertificate();
  await Deno.writeTextFile(join(home, "cert.pem"), made.cert);
  await Deno.writeTextFile(join(home, "key.pem"), made.key, { mode: 0o600 });
  const tls = [`--tls-cert=${join(home, "cert.pem")}`, `--tls-key=${join(home, "key.pem")}`];
  const served = await startServe({ env: own, args: ["--no-proxy", "--name=localhost", ...tls] });
  const url = served.gatewayUrl;
  /** The real command; the test's certificate is put in, as the gateway's own authority would be. */
  const pair = async (name: string, certificate = made.authority): Promise<string> => {
    const { code, stdout, stderr } = await cli(["pair", name, `--url=${url}`, ...tls], {
      env: own,
    });
    assert.equal(code, 0, stderr);
    return encodePairing({ ...parsePairing(stdout.trim()), certificate });
  };
  try {
    assert.match(url, /^https:/);
    const pairing = await pair("laptop");
    const stranger = await pair("other", (await makeCertificate()).authority);

    await t.step(
      "Deno: suite 2, frames in steps of 512 bytes, none of it for another certificate",
      async () => {
        const replies: Uint8Array[] = [];
        const client = Deno.createHttpClient({ caCerts: [made.authority] });
        const { url: gateway, psk, pskId, hid } = parsePairing(pairing);
        const sealed = await sealedFetch({
          gateway,
          credentials: { psk, pskId, hid },
          // The observer on the wire, past TLS.
          fetch: async (input, init) => {
            const response = await fetch(input, { ...init, ...{ client } });
            const bytes = new Uint8Array(await response.clone().arrayBuffer());
            if (String(input).endsWith("/sealed/v1")) replies.push(bytes, init!.body as Uint8Array);
            return response;
          },
        });
        assert.match(await (await sealed("/api/chat", ASK)).text(), /"done":true/);
        client.close();
        const [reply, request] = replies;
        assert.equal(request![4], 2, "not suite 2");
        for (const frame of splitFrames(reply!.subarray(68))) {
          assert.equal((frame.length - 20) % 512, 0, `a frame of ${frame.length} bytes`);
        }
        const direct = await sealedFetch({ pairing });
        assert.match(await (await direct("/api/chat", ASK)).text(), /"done":true/);
        assert.equal((await (await direct("/api/tags")).json()).models[0].name, "demo:latest");
        direct.close();
        const wrong = await sealedFetch({ pairing: stranger });
        await assert.rejects(wrong("/api/chat", ASK), { code: "gateway-unreachable" });
        wrong.close();
      },
    );

    await t.step({
      name: "Node trusts that certificate and no other",
      ignore: major === undefined,
      fn: async () => {
        const script = join(home, "paired.mjs");
        await Deno.writeTextFile(script, SCRIPT);
        const args = [script, `file://${join(library, "node.js")}`, JSON.stringify(ASK)];
        const good = await runWithInput("node", args, pairing);
        assert.equal(good.code, 0, good.stderr);
        assert.match(JSON.parse(good.stdout)[0], /"done":true/);
        assert.match(JSON.parse(good.stdout)[1], /demo:latest/);
        const refused = await runWithInput("node", args, stranger);
        assert.deepEqual(JSON.parse(refused.stdout), [
          "gateway-unreachable",
          "gateway-unreachable",
        ]);
        // A variable that people set for another program's sake, and forget.
        const careless = ["NODE_TLS_REJECT_UNAUTHORIZED=0", "node", ...args];
        const still = await runWithInput("/usr/bin/env", careless, stranger);
        assert.deepEqual(JSON.parse(still.stdout), [
          "gateway-unreachable",
          "gateway-unreachable",
        ]);
      },
    });

    await t.step("Python too", async () => {
      const script = join(ROOT, "examples/python/secllama_client.py");
      const args = ["-B", script, "demo", "What is network isolation?"];
      const good = await runWithInput("/usr/bin/python3", args, pairing);
      assert.equal(good.code, 0, good.stderr);
      assert.match(good.stdout, /network|socket|isolat/i);
      const refused = await runWithInput("/usr/bin/python3", args, stranger);
      assert.match(refused.stderr, /CERTIFICATE_VERIFY_FAILED/);
    });

    await t.step("revoked: at once", async () => {
      const sealed = await sealedFetch({ pairing });
      assert.equal((await sealed("/api/chat", ASK)).status, 200);
      const { code, stderr } = await cli(["clients", "revoke", "laptop"], { env: own });
      assert.equal(code, 0, stderr);
      await assert.rejects(sealed("/api/chat", ASK), { code: "auth" });
      sealed.close();
    });
  } finally {
    await served.stop();
    await Deno.remove(home, { recursive: true }).catch(() => {});
  }
});
