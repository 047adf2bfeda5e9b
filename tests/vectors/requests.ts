/**
 * Makes the request vectors of sealed/1 with the HPKE of the npm library and the layout, apart from `sender.ts` and
 * `hpke.ts`, so that those are tested against the vectors and not against themselves.
 */
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, type KEM, type KeyPair } from "hpke";
import { type Bytes, concat, toHex, utf8 } from "../../src/bytes.ts";
import { encodeFrameHeader, pad, REQUEST_BUCKET } from "../../src/sealed/frames.ts";
import { encodeRequestHeader } from "../../src/sealed/header.ts";
import { clientPskId, localPskId } from "../../src/sealed/psk.ts";
import {
  COMMIT_BYTES,
  EXPORT_COMMIT,
  EXPORT_RESPONSE,
  hkdf,
  lengthPrefixed,
  recipientId,
  requestInfo,
  type Suite,
  suiteById,
} from "../../src/sealed/suite.ts";
import type { RequestVector } from "./shapes.ts";

/** Reproducible bytes that are nobody's secret. */
export function bytesOf(label: string, length = 32): Bytes {
  return hkdf(utf8("secllama/1 vectors"), label, length);
}

export const NOW = 1_750_000_000_000;
export const KID = "0123456789abcdef";
export const PSK_ID = localPskId(KID);
/** The client's own, and what it comes to at the host `HID` with the runner's start `RN`. */
export const PSK = bytesOf("psk");
export const HID = bytesOf("hid", 16);
export const RN = bytesOf("rn");
export const HOST_PSK = hostPsk(PSK);
export const RUNNER_PSK = runnerPsk(PSK);

/** Written out, apart from the code under test. */
function hostPsk(psk: Uint8Array): Bytes {
  return hkdf(psk, concat(utf8("secllama/1 host"), HID), 32);
}

/** As above. */
export function runnerPsk(psk: Uint8Array): Bytes {
  return hkdf(hostPsk(psk), "secllama/1 runner", 32, RN);
}

/** As above: the PSK of a paired client. */
export function clientPsk(master: Uint8Array, id: Uint8Array): Bytes {
  const transport = hkdf(master, "secllama/1 transport", 32);
  return hkdf(transport, concat(utf8("secllama/1 client"), id), 32);
}

interface Runner {
  suite: Suite;
  pair: KeyPair;
  pk: Uint8Array;
  sk: string;
}

export async function runnerOf(suiteId: number, label = "runner"): Promise<Runner> {
  const suite = suiteById(suiteId);
  const pair = await suite.hpke.kem.DeriveKeyPair(bytesOf(`${label} ${suiteId}`), true);
  const sk = toHex(await suite.hpke.kem.SerializePrivateKey(pair.privateKey));
  return { suite, pair, pk: await suite.hpke.kem.SerializePublicKey(pair.publicKey), sk };
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

async function request(draft: Draft): Promise<RequestVector> {
  const { runner, comment, expect, m = "POST", p = "/api/chat", t = NOW } = draft;
  const { h = { "content-type": "application/json" }, body = utf8('{"model":"demo"}') } = draft;
  const { pskId = PSK_ID, psk = RUNNER_PSK, damage = (parts) => parts, frameBytes } = draft;
  const ephemeral = await suiteById(1).hpke.kem.DeriveKeyPair(
    bytesOf(`ephemeral ${comment}`),
    true,
  );
  const { suite } = runner;
  const kem: KEM = suite.id === 1
    ? { ...suite.hpke.kem, GenerateKeyPair: () => Promise.resolve(ephemeral) }
    : suite.hpke.kem;
  const hpke = new CipherSuite(() => kem, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
  const header = encodeRequestHeader({ suite: suite.id, rk: recipientId(runner.pk), pskId });
  const { encapsulatedSecret: enc, ctx } = await hpke.SetupSender(runner.pair.publicKey, {
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
    runner_psk: toHex(psk),
    known: draft.known ?? { psk_id: PSK_ID, runner_psk: toHex(RUNNER_PSK) },
    sk: runner.sk,
    pk: toHex(runner.pk),
    ...(suite.id === 1 && {
      ephemeral_sk: toHex(await suite.hpke.kem.SerializePrivateKey(ephemeral.privateKey)),
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
export async function requests(suite: number): Promise<RequestVector[]> {
  const runner = await runnerOf(suite);
  const header = 15 + PSK_ID.length;
  const enc = runner.suite.encBytes;
  const body = bytesOf("long body", 700);
  const several = { body, frameBytes: 300 };
  const clientId = bytesOf("client id", 16);
  const pairedId = clientPskId(KID, clientId);
  const paired = runnerPsk(clientPsk(bytesOf("master key"), clientId));
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
      known: { psk_id: pairedId, runner_psk: toHex(paired) },
    },
    { comment: "120 s early", expect: "ok", t: NOW - 120_000 },
    { comment: "120 s late", expect: "ok", t: NOW + 120_000 },
    { comment: "wrong magic", expect: "malformed", damage: put(0, 0x58) },
    { comment: "unknown suite", expect: "unsupported-suite", damage: put(4, 9) },
    { comment: "a flag set", expect: "malformed", damage: put(5, 1) },
    { comment: "another recipient key named", expect: "key-mismatch", damage: flip(0, 6) },
    { comment: "psk_id with a space", expect: "malformed", damage: put(20, 0x20) },
    { comment: "cut in the header", expect: "malformed", damage: ([p]) => [p!.subarray(0, 20)] },
    { comment: "cut in enc", expect: "auth", damage: ([p]) => [p!.subarray(0, header + 9)] },
    { comment: "cut in the commitment", expect: "auth", damage: ([p]) => [p!.subarray(0, -1)] },
    { comment: "unknown psk_id", expect: "auth", pskId: "local.ffffffffffffffff" },
    { comment: "wrong psk", expect: "auth", psk: bytesOf("another psk") },
    { comment: "the client's PSK itself, not the runner's", expect: "auth", psk: PSK },
    { comment: "the host's PSK, not the runner's", expect: "auth", psk: HOST_PSK },
    {
      comment: "another client's psk_id",
      expect: "auth",
      known: { psk_id: PSK_ID, runner_psk: toHex(paired) },
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
