/**
 * The key document: a runner's recipient key, announced under what the runner shares with the client and the host's word for
 * that runner, so that nobody else can announce one.
 *
 * ```
 * core   = "SLK1" | suite u8 | hid[16] | rn[32] | gen u64 | pk | nbf u64 | exp u64 | now u64
 * attest = HMAC-SHA256(HKDF(host PSK, info = "secllama/1 attest"), "SLA1" | rn | gen u64 | model | c)
 * mac    = HMAC-SHA256(HKDF(runner PSK, salt = attest, info = "secllama/1 announce"), core | model | c)
 * ```
 * Times are in ms, integers big-endian, `model` is the canonical name (src/api/model_name.ts) in UTF-8, `c` the client's 16
 * random bytes. `pk` has the suite's fixed length and `c` ends each message, so no two inputs share an encoding. The host makes
 * `attest` for each document, the runner `mac`: what a runner holds announces nothing without a fresh word of its host.
 */
import { parseModelName } from "../api/model_name.ts";
import { type Bytes, concat, toBase64Url, u64, utf8 } from "../bytes.ts";
import { hmacSha256, KEY_BYTES } from "./primitives.ts";
import { deriveAttestKey } from "./psk.ts";
import { hkdf } from "./suite.ts";
import { wipe } from "../secret.ts";

export const CHALLENGE_BYTES = 16;

/** The JSON of `GET /sealed/v1/key`. Bytes are base64url without padding, times are unix ms. */
export interface KeyDocument {
  readonly suite: number;
  readonly hid: string;
  readonly rn: string;
  readonly gen: number;
  readonly pk: string;
  readonly nbf: number;
  readonly exp: number;
  /** The runner's clock when it made the document: a client seals with this clock, not its own. */
  readonly now: number;
  readonly mac: string;
}

/** What a key document says, decoded. */
export interface KeyAnnouncement {
  readonly suite: number;
  /** The host's id, 16 bytes. */
  readonly hid: Uint8Array;
  /** Drawn at the runner's start, 32 bytes. */
  readonly rn: Uint8Array;
  /** How many times the host has changed its keys. */
  readonly gen: number;
  readonly pk: Uint8Array;
  readonly nbf: number;
  readonly exp: number;
  readonly now: number;
}

/** What an announcement is authenticated with. */
interface AnnouncementKeys {
  readonly runnerPsk: Uint8Array;
  /** The host's attestation, 32 bytes. */
  readonly attest: Uint8Array;
  readonly model: string;
  readonly challenge: Uint8Array;
}

const MAGIC = utf8("SLK1");

/**
 * The host's word, for one key document, that the runner of `model` is the start `rn`: 32 bytes that no runner can make. A
 * runner's keys are good for nothing once it has ended, also before a client whose connection somebody else answers.
 * @param hostPsk The host PSK of the client that asks.
 * @throws {SecLlamaError} `bad-model-name` if `model`, in any spelling, is no model's name.
 */
export function attest(
  hostPsk: Uint8Array,
  { rn, gen, model, challenge }: {
    rn: Uint8Array;
    gen: number;
    model: string;
    challenge: Uint8Array;
  },
): Bytes {
  const key = deriveAttestKey(hostPsk);
  try {
    const name = utf8(parseModelName(model).canonical);
    return hmacSha256(key, utf8("SLA1"), rn, u64(gen), name, challenge);
  } finally {
    wipe(key);
  }
}

/**
 * The 32-byte mac of an announcement.
 * @throws {SecLlamaError} `bad-model-name` if `keys.model`, in any spelling, is no model's name.
 */
export function announcementMac(announcement: KeyAnnouncement, keys: AnnouncementKeys): Bytes {
  const core = concat(
    MAGIC,
    Uint8Array.of(announcement.suite),
    announcement.hid,
    announcement.rn,
    u64(announcement.gen),
    announcement.pk,
    u64(announcement.nbf),
    u64(announcement.exp),
    u64(announcement.now),
  );
  const key = hkdf(keys.runnerPsk, "secllama/1 announce", KEY_BYTES, keys.attest);
  try {
    return hmacSha256(key, core, utf8(parseModelName(keys.model).canonical), keys.challenge);
  } finally {
    wipe(key);
  }
}

/** The document for `announcement`, with its mac. */
export function makeKeyDocument(
  announcement: KeyAnnouncement,
  keys: AnnouncementKeys,
): KeyDocument {
  return {
    suite: announcement.suite,
    hid: toBase64Url(announcement.hid),
    rn: toBase64Url(announcement.rn),
    gen: announcement.gen,
    pk: toBase64Url(announcement.pk),
    nbf: announcement.nbf,
    exp: announcement.exp,
    now: announcement.now,
    mac: toBase64Url(announcementMac(announcement, keys)),
  };
}
