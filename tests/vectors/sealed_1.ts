/**
 * Makes the published vectors of sealed/1.
 *
 * `deno run --allow-read --allow-write=tests tests/vectors/sealed_1.ts` writes `sealed-1/*.json`. Everything of suite 1 is
 * reproducible: the same files come out each time. Suite 2's encapsulation draws its own randomness, so its messages are
 * made once and kept; only opening them can be repeated.
 */
import { encodePairing, type Pairing, pemOfDer } from "../../src/client/pairing.ts";
import {
  type Bytes,
  concat,
  fromBase64Url,
  fromHex,
  toBase64Url,
  toHex,
  utf8,
} from "../../src/bytes.ts";
import { attest, type KeyDocument, makeKeyDocument } from "../../src/sealed/key_document.ts";
import { memberMessage } from "../../src/sealed/member.ts";
import { makeProof, PROOF_NONCE_BYTES } from "../../src/sealed/proof.ts";
import { ReplySealer } from "../../src/sealed/reply_sealer.ts";
import {
  clientPskId,
  deriveClientPsk,
  deriveHostPsk,
  deriveLocalPsk,
  deriveRunnerPsk,
  deriveTransport,
} from "../../src/sealed/psk.ts";
import type { Renewal } from "../../src/sealed/renewal.ts";
import { sealRenewal } from "../../src/sealed/renewal_sealer.ts";
import {
  bytesOf,
  HID,
  HOST_PSK,
  KID,
  NOW,
  PSK,
  PSK_ID,
  requests,
  RN,
  RUNNER_PSK,
  runnerOf,
} from "./requests.ts";
import type {
  DerivationVector,
  KeyDocumentVector,
  MemberVector,
  PairingVector,
  ProofVector,
  RenewalVector,
  ReplyVector,
  RequestVector,
  VectorFile,
} from "./shapes.ts";

export const FOLDER = new URL("./sealed-1/", import.meta.url);

function replies(): ReplyVector[] {
  const base = (comment: string) => ({
    response_secret: toHex(bytesOf(`secret ${comment}`)),
    enc: toHex(bytesOf(`enc ${comment}`)),
    rs: toHex(bytesOf(`rs ${comment}`)),
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
      renewal?: Uint8Array;
      bucket?: number;
    } = {},
  ): ReplyVector => {
    const keys = base(comment);
    const { s = 200, pieces = ["hello ", "world", ""], abort, damage, renewal, bucket } = options;
    const h = { "content-type": "application/x-ndjson" };
    const sealer = new ReplySealer(fromHex(keys.response_secret), fromHex(keys.enc), {
      random: () => fromHex(keys.rs),
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
      ...(expect === "ok" && renewal && { k: toBase64Url(renewal) }),
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
    make("with a renewal", "ok", { renewal: bytesOf("sealed renewal", 200) }),
    make("a renewal too long to be one", "malformed", { renewal: bytesOf("long", 4000) }),
    make("not sealed", "downgrade", { damage: () => [utf8('{"message":"hi"}')] }),
    make("rs flipped", "auth", { damage: (p, f) => [flipped(p, 10), ...f] }),
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
    const host = { suite, hid: HID, rn: RN, gen: 3 };
    const core = { ...host, pk, nbf: NOW - 60_000, exp: NOW + 7_140_000, now: NOW };
    const word = (change: { rn?: Bytes; gen?: number; model?: string; challenge?: Bytes } = {}) =>
      attest(HOST_PSK, { rn: RN, gen: 3, model: "demo", challenge, ...change });
    const options = { runnerPsk: RUNNER_PSK, attest: word(), model: "demo", challenge };
    const good = makeKeyDocument(core, options);
    const add = (comment: string, expect: string, document: unknown, change = {}) =>
      vectors.push({
        comment: `suite ${suite}: ${comment}`,
        expect,
        suite,
        psk: toHex(PSK),
        hid: toHex(HID),
        model: "demo:latest",
        challenge: toHex(challenge),
        document,
        ...(expect === "ok" && { runner_psk: toHex(RUNNER_PSK) }),
        ...change,
      });
    const other = await runnerOf(suite, "attacker");
    add("valid", "ok", good);
    add("valid, the short name of the same model", "ok", good, { model: "demo" });
    add("another key put in", "auth", { ...good, pk: toBase64Url(other.pk) });
    add("another clock", "auth", { ...good, now: good.now + 1 } satisfies KeyDocument);
    add("a longer life", "auth", { ...good, exp: good.exp + 1 } satisfies KeyDocument);
    add("another model", "auth", good, { model: "other:latest" });
    add("another host", "auth", good, { hid: toHex(bytesOf("another hid", 16)) });
    add("another host put in", "auth", { ...good, hid: toBase64Url(bytesOf("another hid", 16)) });
    add("another start of the runner", "auth", { ...good, rn: toBase64Url(bytesOf("another rn")) });
    add("another generation", "auth", { ...good, gen: good.gen + 1 } satisfies KeyDocument);
    const stolen = (change: Parameters<typeof word>[0]) =>
      makeKeyDocument(core, { ...options, attest: word(change) });
    add("the host's word for another start", "auth", stolen({ rn: bytesOf("another rn") }));
    add("the host's word for another document", "auth", stolen({ challenge: bytesOf("c", 16) }));
    add("the host's word for another model", "auth", stolen({ model: "other" }));
    add("the host's word for another generation", "auth", stolen({ gen: 2 }));
    add("another challenge", "auth", good, { challenge: toHex(bytesOf("c", 16)) });
    add("another psk", "auth", good, { psk: toHex(bytesOf("another psk")) });
    add("hid missing", "malformed", { ...good, hid: undefined });
    add("rn of 31 bytes", "malformed", { ...good, rn: toBase64Url(bytesOf("rn", 31)) });
    add("mac missing", "malformed", { ...good, mac: undefined });
    add("padded base64", "malformed", { ...good, mac: good.mac + "=" });
    add("another suite", "unsupported-suite", { ...good, suite: 3 - suite });
    add("expired", "clock", makeKeyDocument({ ...core, now: core.exp }, options));
  }
  return vectors;
}

function derivations(): DerivationVector[] {
  const master = bytesOf("master key");
  const transport = deriveTransport(master);
  const id = bytesOf("client id", 16);
  const below = (pskId: string, psk: Bytes) => {
    const hostPsk = deriveHostPsk(psk, HID);
    const runnerPsk = deriveRunnerPsk(hostPsk, RN);
    return {
      psk_id: pskId,
      psk: toHex(psk),
      host_psk: toHex(hostPsk),
      runner_psk: toHex(runnerPsk),
    };
  };
  return [{
    master_key: toHex(master),
    kid: KID,
    transport: toHex(transport),
    hid: toHex(HID),
    rn: toHex(RN),
    local: below(PSK_ID, deriveLocalPsk(transport)),
    client: { id: toHex(id), ...below(clientPskId(KID, id), deriveClientPsk(transport, id)) },
  }];
}

function renewals(): RenewalVector[] {
  const id = bytesOf("client id", 16);
  const pskId = clientPskId(KID, id);
  const renewal = {
    pskId: clientPskId("fedcba9876543210", id),
    psk: bytesOf("renewed psk"),
    gen: 4,
  };
  const make = (
    comment: string,
    expect: RenewalVector["expect"],
    options: {
      renewal?: Partial<Renewal>;
      psk?: Uint8Array;
      hid?: Uint8Array;
      gen?: number;
      damage?: (sealed: Bytes) => Bytes;
    } = {},
  ): RenewalVector => {
    const nonce = bytesOf(`renewal nonce ${comment}`, 12);
    const said = { ...renewal, ...options.renewal };
    const sealed = sealRenewal(said, options.psk ?? PSK, options.hid ?? HID, nonce);
    return {
      comment,
      expect,
      psk_id: pskId,
      psk: toHex(PSK),
      hid: toHex(HID),
      gen: options.gen ?? 4,
      ...(expect === "ok" && { nonce: toHex(nonce) }),
      k: toBase64Url(options.damage?.(sealed) ?? sealed),
      ...(expect === "ok" && {
        fields: { psk_id: said.pskId, psk: toHex(said.psk), gen: said.gen },
      }),
    };
  };
  const flipped = (sealed: Bytes) => sealed.map((byte, i) => i === 20 ? byte ^ 1 : byte);
  return [
    make("a new key", "ok"),
    make("of a later change than the host had vouched for", "ok", { gen: 3 }),
    make("from before a change that the host had vouched for", "ignored", { gen: 5 }),
    make("sealed under another key", "ignored", { psk: RUNNER_PSK }),
    make("of another host", "ignored", { hid: bytesOf("another hid", 16) }),
    make("for another client", "ignored", {
      renewal: { pskId: clientPskId("fedcba9876543210", bytesOf("another client", 16)) },
    }),
    make("for this machine's own clients", "ignored", { renewal: { pskId: PSK_ID } }),
    make("of 31 bytes", "ignored", { renewal: { psk: bytesOf("renewed psk", 31) } }),
    make("under a name that cannot be one", "ignored", { renewal: { pskId: "client id" } }),
    make("one bit flipped", "ignored", { damage: flipped }),
    make("cut short", "ignored", { damage: (sealed) => sealed.slice(0, 10) }),
  ];
}

function proofs(): ProofVector[] {
  const make = (
    comment: string,
    method: string,
    target: string,
    body: string,
    fleet: { named?: true } = {},
  ): ProofVector => {
    const nonce = bytesOf(`nonce ${comment}`, PROOF_NONCE_BYTES);
    const request = { method, target, body: utf8(body) };
    return {
      comment,
      psk_id: PSK_ID,
      psk: toHex(PSK),
      hid: toHex(HID),
      method,
      target,
      body: toHex(request.body),
      t: NOW,
      nonce: toHex(nonce),
      ...fleet,
      header: makeProof(request, { psk: PSK, pskId: PSK_ID, hid: HID, now: NOW, nonce, ...fleet }),
    };
  };
  const key = `/sealed/v1/key?model=demo&id=${PSK_ID}&c=${"0".repeat(32)}`;
  return [
    make("a key document", "GET", key, ""),
    make("the list of models", "GET", "/api/tags", ""),
    make("with a body", "POST", "/api/show", '{"model":"demo"}'),
    make("to a host of a fleet", "GET", key, "", { named: true }),
  ];
}

/** RFC 8410: what stands before an Ed25519 seed in PKCS #8. */
const PKCS8 = fromHex("302e020100300506032b657004220420");

async function members(): Promise<MemberVector[]> {
  const pkcs8 = concat(PKCS8, bytesOf("issuer"));
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  const fid = bytesOf("fleet", 16);
  const times = { hid: HID, nbf: NOW - 60_000, exp: NOW + 3_600_000 };
  const sign = async (message: Bytes) =>
    new Uint8Array(await crypto.subtle.sign("Ed25519", key, message));
  const message = memberMessage(fid, times);
  const good = concat(message.slice(-48), await sign(message));
  const make = (
    comment: string,
    expect: string,
    change: Partial<Omit<MemberVector, "comment" | "expect">> = {},
  ): MemberVector => ({
    comment,
    expect,
    ...{ fid: toHex(fid), issuer: toHex(fromBase64Url(x!)), hid: toHex(HID), now: NOW },
    member: toBase64Url(good),
    ...change,
  });
  const flipped = good.slice();
  flipped[40]! ^= 1;
  const skew = 3_600_000;
  return [
    make("as the issuer signed it", "ok"),
    make("a clock that is nearly an hour fast", "ok", { now: times.exp + skew - 1 }),
    make("a clock that is nearly an hour slow", "ok", { now: times.nbf - skew }),
    make("its time is over", "clock", { now: times.exp + skew }),
    make("its time has not come", "clock", { now: times.nbf - skew - 1 }),
    make("another host", "auth", { hid: toHex(bytesOf("another host", 16)) }),
    make("another fleet", "auth", { fid: toHex(bytesOf("another fleet", 16)) }),
    make("another issuer", "auth", { issuer: toHex(HID) + toHex(HID) }),
    make("one bit flipped", "auth", { member: toBase64Url(flipped) }),
    make("cut short", "auth", { member: toBase64Url(good.slice(0, -1)) }),
    make("none", "auth", { member: "" }),
  ];
}

function pairings(): PairingVector[] {
  const pskId = clientPskId(KID, bytesOf("client id", 16));
  const address = "https://gateway.lan:11435/";
  const fields = { url: address, psk_id: pskId, psk: toHex(PSK), hid: toHex(HID) };
  const encode = (change: Partial<Pairing> = {}) =>
    encodePairing({ url: fields.url, pskId, psk: PSK, hid: HID, ...change });
  const older = bytesOf("older psk");
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
      comment: "after a rotation, with the key before",
      expect: "ok",
      text: encode({ previous: { pskId, psk: older } }),
      fields: { ...fields, previous: { psk_id: pskId, psk: toHex(older) } },
    },
    {
      comment: "of a fleet",
      expect: "ok",
      text: encode({ issuer: bytesOf("an issuer's key") }),
      fields: { ...fields, issuer: toHex(bytesOf("an issuer's key")) },
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
      description:
        "Keys from a master key: transport, and the PSKs of local and paired clients, with a host and a start of a runner.",
      vectors: derivations(),
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
    "renewal.json": {
      description:
        "New keys in replies, as the client with `psk` opens them that holds a key document of generation `gen`.",
      vectors: renewals(),
    },
    "proof.json": {
      description: "Metadata proofs: the header's value for a request at a time with a nonce.",
      vectors: proofs(),
    },
    "member.json": {
      description:
        "A host's membership in a fleet, as a client of the fleet checks it by its own clock.",
      vectors: await members(),
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
