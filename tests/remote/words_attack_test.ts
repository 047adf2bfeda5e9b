/**
 * Attacks on pairing by words, over real TLS on loopback: another authority in between, an authority that the system trusts, an
 * environment that would have nothing verified, and a guesser. Each first succeeds against a careless client: one that asks the
 * gateway without knowing it.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { encodeWords, pairingFingerprint, parseWords } from "../../src/api/pairing_words.ts";
import { ROUTES } from "../../src/api/routes.ts";
import { fromBase64Url, toBase64Url } from "../../src/bytes.ts";
import { pairByWords } from "../../src/client/pair_by_words.ts";
import { derOfPem } from "../../src/client/pairing.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { ManifestFile, openKeySource, PairingOffers } from "../../src/keys/mod.ts";
import { MemoryStore } from "../../src/keys/stores/testing_memory.ts";
import { withFolder } from "../../src/keys/testing.ts";
import { toPem } from "../../src/pem.ts";
import { GatewayAuthority } from "../../src/tls/authority.ts";
import { issue, makeAuthority } from "../../src/tls/certificate.ts";
import { HANG_MS } from "../support/patience.ts";
import { ROOT } from "../support/serve.ts";

const signal = () => AbortSignal.timeout(HANG_MS);

/** A chain for loopback under an authority of the attacker's. */
async function attackersChain(names = ["127.0.0.1"]) {
  const { pkcs8, ...authority } = await makeAuthority(new Date());
  pkcs8.fill(0);
  const certificate = toPem("CERTIFICATE", authority.certificate);
  const spki = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
  const leaf = await issue(authority, new Uint8Array(spki), names, new Date());
  return {
    authority: certificate,
    leaf: toPem("CERTIFICATE", leaf.certificate),
    key: toPem("PRIVATE KEY", leaf.pkcs8),
  };
}

/** Listens with a certificate; notes every byte that a client says, and answers by `answer`. */
function listener(
  tls: { cert: string; key: string },
  answer: (body: Record<string, string>) => Promise<[number, object]> = () =>
    Promise.resolve([200, { sealed: "" }]),
) {
  const heard: string[] = [];
  let connections = 0;
  const server = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...tls });
  const serving = (async () => {
    for await (const connection of server) {
      connections++;
      talk(connection).catch(() => {}); // the client refused the certificate
    }
  })();
  async function talk(connection: Deno.TlsConn) {
    using _closing = connection;
    let text = "";
    const buffer = new Uint8Array(8192);
    for (;;) {
      const n = await connection.read(buffer);
      if (n === null) return;
      text += new TextDecoder().decode(buffer.subarray(0, n));
      heard.push(new TextDecoder().decode(buffer.subarray(0, n)));
      const body = /\r\n\r\n(\{[^]*\})$/.exec(text)?.[1];
      if (body === undefined) continue;
      const [status, reply] = await answer(JSON.parse(body));
      const json = JSON.stringify(reply);
      await connection.write(
        new TextEncoder().encode(
          `HTTP/1.1 ${status} x\r\nContent-Length: ${json.length}\r\n\r\n${json}`,
        ),
      );
      return;
    }
  }
  return {
    url: new URL(`https://127.0.0.1:${server.addr.port}`),
    heard: () => heard.join(""),
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.close();
      await serving.catch(() => {});
    },
  };
}

/** A host with an authority of its own and one open offer. */
async function host(folder: string, names = ["127.0.0.1"]) {
  const keys = await openKeySource({
    dataDir: folder,
    env: {},
    interactive: false,
    store: new MemoryStore(),
    autoInit: true,
  });
  const file = new ManifestFile(folder);
  const authority = new GatewayAuthority(file, keys.storage());
  const { certificate } = await authority.ensure(names);
  const tls = await authority.issue(names);
  const offers = new PairingOffers(file, keys);
  const offer = async (name: string, shown = certificate) => {
    const fingerprint = await pairingFingerprint(derOfPem(shown));
    const made = await offers.open({ name, replace: false, may: [] }, fingerprint);
    return { ...made, words: encodeWords({ fingerprint, secret: made.secret }) };
  };
  const redeem = async (body: Record<string, string>): Promise<[number, object]> => {
    try {
      const { sealed } = await offers.redeem(
        fromBase64Url(body["secret"]!),
        fromBase64Url(body["pk"]!),
      );
      return [200, { sealed: toBase64Url(sealed) }];
    } catch (error) {
      assert.ok(error instanceof SecLlamaError);
      return [error.status, { error: error.message, code: error.code, hint: error.hint }];
    }
  };
  return { keys, tls, certificate, offers, offer, redeem };
}

/** What a client does that does not look whom it speaks to. */
async function careless(url: URL, words: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({
    host: url.hostname,
    port: Number(url.port),
    rejectUnauthorized: false,
  });
  socket.once("error", reject);
  socket.once("secureConnect", () => {
    const body = JSON.stringify({ secret: toBase64Url(parseWords(words).secret), pk: "" });
    socket.write(
      `POST ${ROUTES.pairing.path} HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  });
  socket.once("data", () => resolve());
  await promise;
  socket.destroy();
}

const refusal = {
  code: "pairing-refused",
  message: /is not the gateway that shows these words; nothing was sent/,
};

Deno.test("words: pair with the gateway that shows them, and no word of it twice", () =>
  withFolder(async (folder) => {
    const own = await host(folder);
    await using gateway = listener(own.tls, own.redeem);
    const { words } = await own.offer("laptop");
    const pairing = await pairByWords(parseWords(words), gateway.url, signal());
    assert.equal(pairing.url, gateway.url.href);
    assert.equal(pairing.certificate, own.certificate);
    const [client] = (await own.keys.clients().read()).clients;
    using ring = await own.keys.ring();
    const expected = ring.credentials(client!.id)!;
    assert.equal(pairing.pskId, expected.pskId);
    assert.deepEqual(new Uint8Array(pairing.psk), new Uint8Array(expected.psk));
    assert.ok(!gateway.heard().includes(toBase64Url(pairing.psk)));
    await assert.rejects(pairByWords(parseWords(words), gateway.url, signal()), {
      code: "pairing-refused",
      message: /no open pairing with these words/,
    });
  }));

Deno.test("words: another authority in between hears nothing, not even which client it is", () =>
  withFolder(async (folder) => {
    const own = await host(folder);
    const attacker = await attackersChain();
    const { words, secret } = await own.offer("laptop");
    const cases = {
      "its own chain": attacker.leaf + attacker.authority,
      "its own leaf only": attacker.leaf,
      "its own leaf, the genuine authority behind it": attacker.leaf + own.certificate,
    };
    for (const [name, cert] of Object.entries(cases)) {
      await using between = listener({ cert, key: attacker.key });
      // The control: the attack works on who does not look.
      await careless(between.url, words);
      assert.ok(between.heard().includes(toBase64Url(secret)), name);
      const before = between.heard();
      await assert.rejects(pairByWords(parseWords(words), between.url, signal()), refusal, name);
      assert.equal(between.heard(), before, `${name}: nothing was said`);
    }
    // Nor did it cost a try.
    await using gateway = listener(own.tls, own.redeem);
    await pairByWords(parseWords(words), gateway.url, signal());
  }));

Deno.test("words: a gateway whose certificate is of the firm's own authority, if the system trusts that", () =>
  withFolder(async (folder) => {
    const own = await host(folder);
    const [firm, other] = [await attackersChain(), await attackersChain()];
    const { words } = await own.offer("laptop", firm.leaf);
    const pair = (url: URL, ...trusted: string[]) =>
      pairByWords(parseWords(words), url, signal(), () => Promise.resolve(trusted));
    // As a host has it: --tls-cert with the chain.
    await using gateway = listener({ cert: firm.leaf + firm.authority, key: firm.key }, own.redeem);
    await assert.rejects(pair(gateway.url), refusal);
    await assert.rejects(pair(gateway.url, other.authority), refusal);
    // One that the system trusts as well, with the genuine chain behind its own.
    const cert = other.leaf + firm.leaf;
    await using between = listener({ cert, key: other.key });
    await assert.rejects(pair(between.url, other.authority, firm.authority), refusal);
    assert.equal(gateway.heard() + between.heard(), "", "nothing was said");
    const { certificate } = await pair(gateway.url, other.authority, firm.authority);
    assert.equal(certificate, undefined, "the system's is looked at from then on, too");
  }));

Deno.test("words: an authority that the system trusts is not the gateway's", () =>
  withFolder(async (folder) => {
    const own = await host(folder);
    const attacker = await attackersChain();
    const trusted = `${folder}/trusted.pem`;
    await Deno.writeTextFile(trusted, attacker.authority);
    const { words } = await own.offer("laptop");
    // The worst chain: the genuine authority is in it, so the fingerprint is found, and the leaf verifies.
    await using between = listener({
      cert: attacker.leaf + attacker.authority + own.certificate,
      key: attacker.key,
    });
    const run = async (program: string) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--ext=ts", program],
        env: { DENO_CERT: trusted },
        cwd: ROOT,
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assert.equal(code, 0, text(stderr));
      return text(stdout).trim();
    };
    // The control: there the chain verifies, as a company's inspection of TLS does.
    const control = await run(`
      const response = await fetch("${between.url.href}", { method: "POST", body: '{"secret":"control"}' });
      console.log(response.status);`);
    assert.equal(control, "200");
    assert.ok(between.heard().includes("control"));
    const before = between.heard();
    const said = await run(`
      import { pairByWords } from "${ROOT}src/client/pair_by_words.ts";
      import { parseWords } from "${ROOT}src/api/pairing_words.ts";
      await pairByWords(parseWords("${words}"), new URL("${between.url.href}"), new AbortController().signal)
        .catch((error) => console.log(error.code));`);
    assert.equal(said, "pairing-refused");
    assert.equal(between.heard(), before);
  }));

Deno.test("words: the environment cannot have certificates go unverified", () =>
  withFolder(async (folder) => {
    // Its certificate does not verify at this address, as that of one would not who has the public chain and another key.
    const own = await host(folder, ["gateway.lan"]);
    await using gateway = listener(own.tls, own.redeem);
    const { words, id } = await own.offer("laptop");
    Deno.env.set("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    try {
      // The control: who says nothing of it does not verify now.
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const socket = connect({ host: "127.0.0.1", port: Number(gateway.url.port) });
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
      await promise;
      socket.destroy();
      await assert.rejects(pairByWords(parseWords(words), gateway.url, signal()), refusal);
    } finally {
      Deno.env.delete("NODE_TLS_REJECT_UNAUTHORIZED");
    }
    assert.equal(gateway.heard(), "");
    assert.equal(await own.offers.state(id), "open");
  }));

Deno.test("words: a guesser gets three tries, and nobody is paired", () =>
  withFolder(async (folder) => {
    const own = await host(folder);
    await using gateway = listener(own.tls, own.redeem);
    const { words, id } = await own.offer("laptop");
    const { fingerprint, secret } = parseWords(words);
    for (let n = 0; n < 6; n++) {
      const guess = secret.slice();
      guess[2]! ^= n + 1;
      await assert.rejects(pairByWords({ fingerprint, secret: guess }, gateway.url, signal()), {
        code: "pairing-refused",
      });
      assert.equal(await own.offers.state(id), n < 2 ? "open" : "guessed");
    }
    await assert.rejects(pairByWords({ fingerprint, secret }, gateway.url, signal()), {
      code: "pairing-refused",
    });
    assert.deepEqual((await own.keys.clients().read()).clients, []);
  }));

Deno.test("words: a gateway that does not run, one that breaks off, and one that answers nonsense", () =>
  withFolder(async (folder) => {
    const own = await host(folder);
    const { words } = await own.offer("laptop");
    const parsed = parseWords(words);
    await assert.rejects(pairByWords(parsed, new URL("https://127.0.0.1:1"), signal()), {
      code: "gateway-unreachable",
    });
    await assert.rejects(pairByWords(parsed, new URL("http://127.0.0.1:1"), signal()), {
      code: "bad-pairing",
    });
    for (const reply of [{}, { sealed: "" }, { sealed: "AAAA" }, { sealed: 5 }]) {
      await using liar = listener(own.tls, () => Promise.resolve([200, reply]));
      await assert.rejects(pairByWords(parsed, liar.url, signal()), { code: "downgrade" });
    }
    for (const status of [101, 204, 302, 999]) {
      await using odd = listener(own.tls, () => Promise.resolve([status, {}]));
      await assert.rejects(pairByWords(parsed, odd.url, signal()), { code: "truncated" });
    }
    const asked = Promise.withResolvers<void>();
    await using silent = listener(own.tls, () => (asked.resolve(), new Promise(() => {})));
    const timeout = new DOMException("", "TimeoutError");
    for (
      const [reason, code] of [[timeout, "gateway-unreachable"], [undefined, "cancelled"]] as const
    ) {
      const waiting = new AbortController();
      const pairing = assert.rejects(pairByWords(parsed, silent.url, waiting.signal), { code });
      await asked.promise;
      waiting.abort(reason);
      await pairing;
    }
  }));
