/**
 * The published vectors of sealed/1: their shape, and what makes them.
 *
 * `deno run --allow-read --allow-write=tests tests/vectors/sealed_1.ts` writes `sealed-1/*.json`. Everything of suite 1 is
 * reproducible: the same files come out each time. Suite 2's encapsulation draws its own randomness, so its messages are
 * made once and kept; only opening them can be repeated.
 */
import type { KeyPair } from "hpke";
import { type Bytes, concat, fromHex, toBase64Url, toHex, utf8 } from "../../src/bytes.ts";
import { encodeFrameHeader, pad, REQUEST_BUCKET } from "../../src/sealed/frames.ts";
import { encodeRequestHeader } from "../../src/sealed/header.ts";
import { type KeyDocument, makeKeyDocument } from "../../src/sealed/key_document.ts";
import { ReplySealer } from "../../src/sealed/reply.ts";
import {
  clientPskId,
  COMMIT_BYTES,
  deriveClientPsk,
  deriveTransport,
  EXPORT_COMMIT,
  EXPORT_RESPONSE,
  hkdfSync,
  lengthPrefixed,
  localPskId,
  makeSuite,
  recipientId,
  requestInfo,
  type Suite,
  suiteById,
} from "../../src/sealed/suite.ts";

export const FOLDER = new URL("./sealed-1/", import.meta.url);

/** Every byte string is lower-case hexadecimal, every time unix ms. `expect` is "ok" or a code of the error table. */
export interface DerivationVector {
  master_key: string;
  kid: string;
  transport: string;
  local_psk_id: string;
  client_id: string;
  client_psk_id: string;
  client_psk: string;
}

export interface KeyDocumentVector {
  comment: string;
  expect: string;
  suite: number;
  psk: string;
  model: string;
  challenge: string;
  document: unknown;
}

export interface RequestVector {
  comment: string;
  expect: string;
  suite: number;
  /** What the client sealed with. */
  psk_id: string;
  psk: string;
  /** What the runner knows: this psk_id and no other. */
  known: { psk_id: string; psk: string };
  /** The runner's private key (suite 2: its 32-byte seed) and public key. */
  sk: string;
  pk: string;
  /** The client's ephemeral private key, where the message can be made again from it. */
  ephemeral_sk?: string;
  /** The runner's clock. */
  now: number;
  /** Data bytes of each frame, where not as many as fit. */
  frame_bytes?: number;
  /** The runner's limit on the sealed body, where it matters. */
  body_limit?: number;
  /** Entries the replay window takes, where it matters. */
  window_entries?: number;
  /** The same bytes were opened before: the expectation is of the second time. */
  opened_before?: boolean;
  /** What it says, where `expect` is "ok". */
  m?: string;
  p?: string;
  h?: { [name: string]: string };
  t?: number;
  body?: string;
  enc?: string;
  commit?: string;
  response_secret?: string;
  wire: string;
}

export interface ReplyVector {
  comment: string;
  expect: string;
  /** `Export("secllama/1 response", 32)` and the request's encapsulated key. */
  response_secret: string;
  enc: string;
  rn?: string;
  s?: number;
  h?: { [name: string]: string };
  /** Data of each call: after the head, then the last one FINAL. */
  pieces?: string[];
  wire: string;
}

export interface VectorFile<T> {
  description: string;
  vectors: T[];
}

/** Reproducible bytes that are nobody's secret. */
function bytesOf(label: string, length = 32): Bytes {
  return hkdfSync(utf8("secllama/1 vectors"), label, length);
}

const NOW = 1_750_000_000_000;
const KID = "0123456789abcdef";
const PSK_ID = localPskId(KID);
const PSK = bytesOf("psk");

interface Runner {
  suite: Suite;
  pair: KeyPair;
  pk: Uint8Array;
  sk: string;
}

async function runnerOf(suiteId: number, label = "runner"): Promise<Runner> {
  const suite = suiteById(suiteId);
  const pair = await suite.hpke.DeriveKeyPair(bytesOf(`${label} ${suiteId}`), true);
  const sk = toHex(await suite.hpke.SerializePrivateKey(pair.privateKey));
  return { suite, pair, pk: await suite.hpke.SerializePublicKey(pair.publicKey), sk };
}

interface Draft {
  comment: string;
  expect: string;
  runner: Runner;
  pskId?: string;
  psk?: Uint8Array;
  known?: RequestVector["known"];
  t?: number;
  m?: string;
  p?: string;
  h?: { [name: string]: string };
  body?: Uint8Array;
  frameBytes?: number;
  /** Frames instead of those that say m, p, h, t and body. */
  frames?: [type: number, data: Uint8Array][];
  /** Changes the finished parts: prefix (header, enc, commit), then each frame. */
  damage?: (parts: Uint8Array[]) => Uint8Array[];
  extra?: Partial<RequestVector>;
}

/** Seals with the bare HPKE context, apart from `sender.ts`, so that the sender is tested against the vectors. */
async function request(draft: Draft): Promise<RequestVector> {
  const { runner, comment, expect, m = "POST", p = "/api/chat", t = NOW } = draft;
  const { h = { "content-type": "application/json" }, body = utf8('{"model":"demo"}') } = draft;
  const { pskId = PSK_ID, psk = PSK, damage = (parts) => parts, frameBytes } = draft;
  const ephemeral = await suiteById(1).hpke.DeriveKeyPair(bytesOf(`ephemeral ${comment}`), true);
  const suite = runner.suite.id === 1
    ? makeSuite(1, (kem) => ({ ...kem, GenerateKeyPair: () => Promise.resolve(ephemeral) }))
    : runner.suite;
  const header = encodeRequestHeader({ suite: suite.id, rk: recipientId(runner.pk), pskId });
  const { encapsulatedSecret: enc, ctx } = await suite.hpke.SetupSender(runner.pair.publicKey, {
    info: requestInfo(header),
    psk,
    pskId: utf8(pskId),
  });
  const commit = await ctx.Export(EXPORT_COMMIT, COMMIT_BYTES);
  const data = concat(lengthPrefixed(utf8(JSON.stringify({ m, p, h, t }))), body);
  const parts: Uint8Array[] = [concat(header, enc, commit)];
  for (const [type, piece] of draft.frames ?? cut(data, frameBytes)) {
    const plaintext = pad(piece, REQUEST_BUCKET);
    const aad = encodeFrameHeader(type as 0, plaintext.length);
    parts.push(concat(aad, await ctx.Seal(plaintext, aad)));
  }
  return {
    comment,
    expect,
    suite: suite.id,
    psk_id: pskId,
    psk: toHex(psk),
    known: draft.known ?? { psk_id: PSK_ID, psk: toHex(PSK) },
    sk: runner.sk,
    pk: toHex(runner.pk),
    ...(suite.id === 1 && {
      ephemeral_sk: toHex(await suite.hpke.SerializePrivateKey(ephemeral.privateKey)),
    }),
    now: NOW,
    ...(frameBytes !== undefined && { frame_bytes: frameBytes }),
    ...(expect === "ok" && {
      m,
      p,
      h,
      t,
      body: toHex(body),
      enc: toHex(enc),
      commit: toHex(commit),
      response_secret: toHex(await ctx.Export(EXPORT_RESPONSE, 32)),
    }),
    ...draft.extra,
    wire: toHex(concat(...damage(parts))),
  };
}

function cut(data: Uint8Array, frameBytes = data.length): [number, Uint8Array][] {
  const frames: [number, Uint8Array][] = [];
  for (let at = 0; at < data.length; at += frameBytes) {
    frames.push([at + frameBytes < data.length ? 0 : 1, data.subarray(at, at + frameBytes)]);
  }
  return frames;
}

/** A damage that flips one bit of part `part` at byte `at`, from the end if negative. */
function flip(part: number, at: number) {
  return (parts: Uint8Array[]): Uint8Array[] =>
    parts.map((bytes, i) => {
      if (i !== part) return bytes;
      const out = bytes.slice();
      out[at < 0 ? out.length + at : at]! ^= 1;
      return out;
    });
}

function put(at: number, ...values: number[]) {
  return ([prefix, ...frames]: Uint8Array[]): Uint8Array[] => {
    const out = prefix!.slice();
    out.set(values, at);
    return [out, ...frames];
  };
}

/** The requests of one suite: the same list for each. */
async function requests(suite: number): Promise<RequestVector[]> {
  const runner = await runnerOf(suite);
  const header = 15 + PSK_ID.length;
  const enc = runner.suite.encBytes;
  const body = bytesOf("long body", 700);
  const several = { body, frameBytes: 300 };
  const clientId = bytesOf("client id", 16);
  const pairedId = clientPskId(KID, clientId);
  const paired = await deriveClientPsk(await deriveTransport(bytesOf("master key")), clientId);
  const json = (value: unknown) => lengthPrefixed(utf8(JSON.stringify(value)));
  const last = (parts: Uint8Array[]) => parts.at(-1)!;
  const drafts: Omit<Draft, "runner">[] = [
    { comment: "one frame", expect: "ok" },
    { comment: "no body, no headers", expect: "ok", m: "GET", p: "/", h: {}, body: bytesOf("", 0) },
    { comment: "several frames", expect: "ok", ...several },
    {
      comment: "a paired client",
      expect: "ok",
      pskId: pairedId,
      psk: paired,
      known: { psk_id: pairedId, psk: toHex(paired) },
    },
    { comment: "120 s early", expect: "ok", t: NOW - 120_000 },
    { comment: "120 s late", expect: "ok", t: NOW + 120_000 },
    { comment: "wrong magic", expect: "malformed", damage: put(0, 0x58) },
    { comment: "unknown suite", expect: "unsupported-suite", damage: put(4, 9) },
    { comment: "a flag set", expect: "malformed", damage: put(5, 1) },
    { comment: "another boot key named", expect: "key-mismatch", damage: flip(0, 6) },
    { comment: "psk_id with a space", expect: "malformed", damage: put(20, 0x20) },
    { comment: "cut in the header", expect: "malformed", damage: ([p]) => [p!.subarray(0, 20)] },
    { comment: "cut in enc", expect: "auth", damage: ([p]) => [p!.subarray(0, header + 9)] },
    { comment: "cut in the commitment", expect: "auth", damage: ([p]) => [p!.subarray(0, -1)] },
    { comment: "unknown psk_id", expect: "auth", pskId: "local.ffffffffffffffff" },
    { comment: "wrong psk", expect: "auth", psk: bytesOf("another psk") },
    {
      comment: "another client's psk_id",
      expect: "auth",
      known: { psk_id: PSK_ID, psk: toHex(paired) },
    },
    { comment: "enc flipped", expect: "auth", damage: flip(0, header + 3) },
    { comment: "commitment flipped", expect: "auth", damage: flip(0, header + enc + 1) },
    { comment: "frame type changed", expect: "auth", ...several, damage: flip(1, 0) },
    { comment: "frame length changed", expect: "auth", damage: flip(1, 3) },
    { comment: "ciphertext flipped", expect: "auth", damage: flip(1, 100) },
    { comment: "tag flipped", expect: "auth", damage: flip(1, -1) },
    { comment: "cut in a frame", expect: "auth", damage: ([p, f]) => [p!, f!.subarray(0, -1)] },
    { comment: "no frame at all", expect: "auth", damage: ([p]) => [p!] },
    {
      comment: "FINAL missing",
      expect: "auth",
      ...several,
      damage: (parts) => parts.slice(0, -1),
    },
    {
      comment: "a frame dropped",
      expect: "auth",
      ...several,
      damage: ([p, , ...rest]) => [p!, ...rest],
    },
    {
      comment: "frames swapped",
      expect: "auth",
      ...several,
      damage: ([p, a, b, ...rest]) => [p!, b!, a!, ...rest],
    },
    {
      comment: "a frame doubled",
      expect: "auth",
      ...several,
      damage: ([p, a, ...rest]) => [p!, a!, a!, ...rest],
    },
    {
      comment: "FINAL doubled",
      expect: "auth",
      damage: (parts) => [...parts, last(parts)],
    },
    {
      comment: "FINAL forged on the first of several frames",
      expect: "auth",
      ...several,
      damage: ([p, a]) => flip(1, 0)([p!, a!]),
    },
    { comment: "one byte after FINAL", expect: "auth", damage: (p) => [...p, Uint8Array.of(0)] },
    {
      comment: "aborted by the client",
      expect: "cancelled",
      frames: [[0, json({ m: "POST", p: "/", h: {}, t: NOW })], [2, bytesOf("", 0)]],
    },
    { comment: "not JSON", expect: "malformed", frames: [[1, lengthPrefixed(utf8("{"))]] },
    { comment: "no method", expect: "malformed", frames: [[1, json({ p: "/", h: {}, t: NOW })]] },
    { comment: "path of another host", expect: "malformed", p: "//host/api" },
    { comment: "120.001 s early", expect: "clock", t: NOW - 120_001 },
    { comment: "an hour late", expect: "clock", t: NOW + 3_600_000 },
    { comment: "opened before", expect: "replay", extra: { opened_before: true } },
    { comment: "window full", expect: "replay-window-full", extra: { window_entries: 0 } },
    { comment: "above the limit", expect: "too-large", ...several, extra: { body_limit: 500 } },
  ];
  // An expired clock is met before the window: order is part of the format.
  drafts.push({
    comment: "late and window full: the clock is looked at first",
    expect: "clock",
    t: NOW + 200_000,
    extra: { window_entries: 0 },
  });
  const made: RequestVector[] = [];
  for (const draft of drafts) made.push(await request({ ...draft, runner }));
  // The all-zero result of a low-order point must be refused (RFC 9180 section 7.1.4).
  const zero = await request({ comment: "low-order enc", expect: "auth", runner });
  zero.wire = zero.wire.slice(0, 2 * (header + enc - 32)) + "00".repeat(32) +
    zero.wire.slice(2 * (header + enc));
  made.push(zero);
  return made;
}

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
    options: { s?: number; pieces?: string[]; abort?: boolean; damage?: Damage } = {},
  ): ReplyVector => {
    const keys = base(comment);
    const { s = 200, pieces = ["hello ", "world", ""], abort, damage } = options;
    const h = { "content-type": "application/x-ndjson" };
    const sealer = new ReplySealer(fromHex(keys.response_secret), fromHex(keys.enc), {
      random: () => fromHex(keys.rn),
    });
    const head = sealer.head(s, h);
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
        "Sealed requests as a runner opens them that has the boot key `sk` and knows the one client `known`.",
      vectors: await requests(1),
    },
    "reply.json": {
      description: "Sealed replies as a client opens them; the same for every suite.",
      vectors: replies(),
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
