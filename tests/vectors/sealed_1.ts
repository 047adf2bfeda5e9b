/**
 * Makes the published vectors of sealed/1.
 *
 * `deno run --allow-read --allow-write=tests tests/vectors/sealed_1.ts` writes `sealed-1/*.json`. Everything of suite 1 is
 * reproducible: the same files come out each time. Suite 2's encapsulation draws its own randomness, so its messages are
 * made once and kept; only opening them can be repeated.
 */
import { encodePairing, pemOfDer } from "../../src/client/pairing.ts";
import type { Renewal } from "../../src/sealed/envelope.ts";
import { concat, fromHex, toBase64Url, toHex, utf8 } from "../../src/bytes.ts";
import { type KeyDocument, makeKeyDocument } from "../../src/sealed/key_document.ts";
import { makeProof, PROOF_NONCE_BYTES } from "../../src/sealed/proof.ts";
import { ReplySealer } from "../../src/sealed/reply_sealer.ts";
import { clientPskId, deriveClientPsk, deriveTransport } from "../../src/sealed/suite.ts";
import { bytesOf, KID, NOW, PSK, PSK_ID, requests, runnerOf } from "./requests.ts";
import type {
  DerivationVector,
  KeyDocumentVector,
  PairingVector,
  ProofVector,
  ReplyVector,
  RequestVector,
  VectorFile,
} from "./shapes.ts";

export const FOLDER = new URL("./sealed-1/", import.meta.url);

function replies(): ReplyVector[] {
  const base = (comment: string) => ({
    response_secret: toHex(bytesOf(`secret ${comment}`)),
    enc: toHex(bytesOf(`enc ${comment}`)),
    rn: toHex(bytesOf(`rn ${comment}`)),
  });
  type Damage = (prefix: Uint8Array, frames: Uint8Array[]) => Uint8Array[];
  const make = (
    comment: string,
    expect: string,
    options: {
      s?: number;
      pieces?: string[];
      abort?: boolean;
      damage?: Damage;
      renewal?: Renewal;
      bucket?: number;
    } = {},
  ): ReplyVector => {
    const keys = base(comment);
    const { s = 200, pieces = ["hello ", "world", ""], abort, damage, renewal, bucket } = options;
    const h = { "content-type": "application/x-ndjson" };
    const sealer = new ReplySealer(fromHex(keys.response_secret), fromHex(keys.enc), {
      random: () => fromHex(keys.rn),
      ...(bucket !== undefined && { bucket }),
    });
    const head = sealer.head(s, h, { renewal });
    const frames: Uint8Array[] = [head.subarray(68)];
    for (const [i, piece] of pieces.entries()) {
      const data = utf8(piece);
      frames.push(
        i < pieces.length - 1 ? sealer.frame(data) : abort ? sealer.abort() : sealer.final(data),
      );
    }
    const parts = damage?.(head.subarray(0, 68), frames) ?? [head.subarray(0, 68), ...frames];
    return {
      comment,
      expect,
      ...keys,
      ...(expect === "ok" && { s, h, pieces: pieces.map((piece) => toHex(utf8(piece))) }),
      ...(expect === "ok" && bucket !== undefined && { bucket }),
      ...(expect === "ok" && renewal && {
        k: { psk_id: renewal.pskId, psk: toBase64Url(renewal.psk) },
      }),
      wire: toHex(concat(...parts)),
    };
  };
  const flipped = (bytes: Uint8Array, at: number) => {
    const out = bytes.slice();
    out[at]! ^= 1;
    return out;
  };
  return [
    make("several frames", "ok"),
    make("an empty body", "ok", { s: 404, pieces: [""] }),
    make("a frame longer than 64 bytes", "ok", { pieces: ["x".repeat(200)] }),
    make("padded in steps of 512, as for a paired client", "ok", { bucket: 512 }),
    make("a renewed key", "ok", {
      renewal: {
        pskId: clientPskId(KID, bytesOf("client id", 16)),
        psk: bytesOf("renewed psk"),
      },
    }),
    make("a renewed key of 31 bytes", "malformed", {
      renewal: {
        pskId: clientPskId(KID, bytesOf("client id", 16)),
        psk: bytesOf("renewed psk", 31),
      },
    }),
    make("a renewed key under a name that cannot be one", "malformed", {
      renewal: { pskId: "client id", psk: bytesOf("renewed psk") },
    }),
    make("not sealed", "downgrade", { damage: () => [utf8('{"message":"hi"}')] }),
    make("rn flipped", "auth", { damage: (p, f) => [flipped(p, 10), ...f] }),
    make("commitment flipped", "auth", { damage: (p, f) => [flipped(p, 40), ...f] }),
    make("ciphertext flipped", "auth", {
      damage: (p, [a, b, ...rest]) => [p, a!, flipped(b!, 9), ...rest],
    }),
    make("a frame dropped", "auth", { damage: (p, [a, , ...rest]) => [p, a!, ...rest] }),
    make("frames swapped", "auth", {
      damage: (p, [a, b, c, ...rest]) => [p, a!, c!, b!, ...rest],
    }),
    make("a frame doubled", "auth", { damage: (p, [a, b, ...rest]) => [p, a!, b!, b!, ...rest] }),
    make("FINAL forged", "auth", { damage: (p, [a, b]) => [p, a!, flipped(b!, 0)] }),
    make("a frame after FINAL", "auth", { damage: (p, f) => [p, ...f, f[1]!] }),
    make("one byte after FINAL", "auth", { damage: (p, f) => [p, ...f, Uint8Array.of(0)] }),
    make("FINAL missing", "truncated", { damage: (p, f) => [p, ...f.slice(0, -1)] }),
    make("cut in a frame", "truncated", { damage: (p, [a]) => [p, a!.subarray(0, 40)] }),
    make("cut in the prefix", "truncated", { damage: (p) => [p.subarray(0, 50)] }),
    make("aborted by the runner", "truncated", { abort: true }),
    make("a status that HTTP does not have", "malformed", { s: 99 }),
  ];
}

async function keyDocuments(): Promise<KeyDocumentVector[]> {
  const vectors: KeyDocumentVector[] = [];
  for (const suite of [1, 2]) {
    const { pk } = await runnerOf(suite);
    const challenge = bytesOf(`challenge ${suite}`, 16);
    const core = { suite, pk, nbf: NOW - 60_000, exp: NOW + 7_140_000, now: NOW };
    const options = { psk: PSK, model: "demo", challenge };
    const good = makeKeyDocument(core, options);
    const add = (comment: string, expect: string, document: unknown, change = {}) =>
      vectors.push({
        comment: `suite ${suite}: ${comment}`,
        expect,
        suite,
        psk: toHex(PSK),
        model: "demo:latest",
        challenge: toHex(challenge),
        document,
        ...change,
      });
    const other = await runnerOf(suite, "attacker");
    add("valid", "ok", good);
    add("valid, the short name of the same model", "ok", good, { model: "demo" });
    add("another key put in", "auth", { ...good, pk: toBase64Url(other.pk) });
    add("another clock", "auth", { ...good, now: good.now + 1 } satisfies KeyDocument);
    add("a longer life", "auth", { ...good, exp: good.exp + 1 } satisfies KeyDocument);
    add("another model", "auth", good, { model: "other:latest" });
    add("another challenge", "auth", good, { challenge: toHex(bytesOf("c", 16)) });
    add("another psk", "auth", good, { psk: toHex(bytesOf("another psk")) });
    add("mac missing", "malformed", { ...good, mac: undefined });
    add("padded base64", "malformed", { ...good, mac: good.mac + "=" });
    add("another suite", "unsupported-suite", { ...good, suite: 3 - suite });
    add("expired", "clock", makeKeyDocument({ ...core, now: core.exp }, options));
  }
  return vectors;
}

async function derivations(): Promise<DerivationVector[]> {
  const master = bytesOf("master key");
  const transport = await deriveTransport(master);
  const id = bytesOf("client id", 16);
  return [{
    master_key: toHex(master),
    kid: KID,
    transport: toHex(transport),
    local_psk_id: PSK_ID,
    client_id: toHex(id),
    client_psk_id: clientPskId(KID, id),
    client_psk: toHex(await deriveClientPsk(transport, id)),
  }];
}

function proofs(): ProofVector[] {
  const make = (comment: string, method: string, target: string, body: string): ProofVector => {
    const nonce = bytesOf(`nonce ${comment}`, PROOF_NONCE_BYTES);
    const request = { method, target, body: utf8(body) };
    return {
      comment,
      psk_id: PSK_ID,
      psk: toHex(PSK),
      method,
      target,
      body: toHex(request.body),
      t: NOW,
      nonce: toHex(nonce),
      header: makeProof(request, { psk: PSK, pskId: PSK_ID, now: NOW, nonce }),
    };
  };
  const key = `/sealed/v1/key?model=demo&id=${PSK_ID}&c=${"0".repeat(32)}`;
  return [
    make("a key document", "GET", key, ""),
    make("the list of models", "GET", "/api/tags", ""),
    make("with a body", "POST", "/api/show", '{"model":"demo"}'),
  ];
}

function pairings(): PairingVector[] {
  const pskId = clientPskId(KID, bytesOf("client id", 16));
  const fields = { url: "https://gateway.lan:11435/", psk_id: pskId, psk: toHex(PSK) };
  const encode = (change: { psk?: Uint8Array; certificate?: string } = {}) =>
    encodePairing({ url: fields.url, pskId, psk: PSK, ...change });
  const good = encode();
  const certificate = bytesOf("stands for a certificate", 48);
  const bad = (comment: string, text: string) => ({ comment, expect: "bad-pairing", text });
  return [
    { comment: "without a certificate", expect: "ok", text: good, fields },
    {
      comment: "with a certificate",
      expect: "ok",
      text: encode({ certificate: pemOfDer(certificate) }),
      fields: { ...fields, cert: toHex(certificate) },
    },
    {
      comment: "broken over lines",
      expect: "ok",
      text: good.replace(/.{40}/g, "$&\n  "),
      fields,
    },
    bad("cut short", good.slice(0, -1)),
    bad("a character changed", good.replace("e", "f")),
    bad("the checksum of another", good.slice(0, -8) + "00000000"),
    bad("another version", good.replace("pair-1", "pair-2")),
    bad("empty", ""),
  ];
}

/** The files that come out the same each time, by name. */
export async function reproducibleFiles(): Promise<{ [name: string]: VectorFile<unknown> }> {
  return {
    "derivation.json": {
      description: "Keys from a master key: transport, and the PSK of a paired client.",
      vectors: await derivations(),
    },
    "key_document.json": {
      description: "Key documents as a client checks them; `suite` is the one it asked for.",
      vectors: await keyDocuments(),
    },
    "request_suite_1.json": {
      description:
        "Sealed requests as a runner opens them that has the recipient key `sk` and knows the one client `known`.",
      vectors: await requests(1),
    },
    "reply.json": {
      description: "Sealed replies as a client opens them; the same for every suite.",
      vectors: replies(),
    },
    "proof.json": {
      description: "Metadata proofs: the header's value for a request at a time with a nonce.",
      vectors: proofs(),
    },
    "pairing.json": {
      description: "Pairing strings and what is in them; `cert` stands for a certificate in DER.",
      vectors: pairings(),
    },
  };
}

/** Suite 2's requests, different each time. */
export async function suite2File(): Promise<VectorFile<RequestVector>> {
  const description = "As request_suite_1.json, for suite 2. Made once: encapsulation is random.";
  return { description, vectors: await requests(2) };
}

/** The text of a file. */
export function render(file: VectorFile<unknown>): string {
  return JSON.stringify(file, null, 2) + "\n";
}

if (import.meta.main) {
  for (const [name, file] of Object.entries(await reproducibleFiles())) {
    await Deno.writeTextFile(new URL(name, FOLDER), render(file));
  }
  if (Deno.args.includes("--suite-2")) {
    await Deno.writeTextFile(new URL("request_suite_2.json", FOLDER), render(await suite2File()));
  }
}
