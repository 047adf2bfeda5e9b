/** A certificate that is refused is said to be, with a real server for each fault. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { makeTransport } from "./options.ts";

const CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

async function certificate(folder: string, name: string, ...more: string[]): Promise<string> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args: ["req", "-x509", ...CURVE, "-keyout", `${name}.key`, "-out", `${name}.pem`]
      .concat("-subj", "/CN=localhost", ...more),
    cwd: folder,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return await Deno.readTextFile(join(folder, `${name}.pem`));
}

/** What is said of a gateway that shows `name`'s certificate to one who trusts `caCerts`. */
async function said(folder: string, name: string, caCerts: string[]): Promise<SecLlamaError> {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: await Deno.readTextFile(join(folder, `${name}.pem`)),
    key: await Deno.readTextFile(join(folder, `${name}.key`)),
    onListen() {},
  }, () => new Response("here"));
  const transport = makeTransport({
    gateway: `https://localhost:${server.addr.port}`,
    caCerts,
    credentials: () => Promise.reject(new Error("nobody asks for them")),
  });
  try {
    const answer = await transport.send(transport.url("/"), {});
    assert.fail(`it was trusted: ${await answer.text()}`);
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, String(error));
    return error;
  } finally {
    transport.close();
    await server.shutdown();
  }
}

Deno.test("certificate: what is refused of it is said, and how to go on", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const of = ["-addext", "subjectAltName=DNS:localhost"];
  const leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
  try {
    const stranger = await certificate(folder, "stranger", "-days", "2", ...of, ...leaf);
    const authority = await certificate(folder, "authority", "-days", "2", ...of);
    const named = ["-addext", "subjectAltName=DNS:elsewhere", ...leaf];
    const elsewhere = await certificate(folder, "elsewhere", "-days", "2", ...named);
    for (
      const [name, trusted, what] of [
        ["authority", authority, /authority's certificate[^]*/],
        ["elsewhere", elsewhere, /of another name/],
        ["stranger", elsewhere, /nobody who is trusted here vouches for it/],
      ] as const
    ) {
      const { code, message, hint } = await said(folder, name, [trusted]);
      assert.equal(code, "gateway-unreachable");
      assert.match(message, what);
      assert.ok(hint, name);
    }
    // The control: the same way, a certificate that is right is trusted.
    await assert.rejects(said(folder, "stranger", [stranger]), /it was trusted: here/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
