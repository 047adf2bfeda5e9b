/**
 * The key document: a runner's recipient key, announced under the client's PSK so that no gateway can substitute its own.
 *
 * ```
 * core = "SLK1" | suite u8 | pk | nbf u64 | exp u64 | now u64          times in ms, integers big-endian
 * mac  = HMAC-SHA256(HKDF(psk, info = "secllama/1 announce"), core | model | c)
 * ```
 * `model` is the canonical name (src/api/model_name.ts) in UTF-8, `c` the client's 16 random bytes. `pk` has the suite's fixed length and `c`
 * ends the message, so no two inputs share an encoding.
 */
import { parseModelName } from "../api/model_name.ts";
import { type Bytes, concat, toBase64Url, u64, utf8 } from "../bytes.ts";
import { hmacSha256, KEY_BYTES } from "./primitives.ts";
import { hkdfSync } from "./suite.ts";

export const CHALLENGE_BYTES = 16;

/** The JSON of `GET /sealed/v1/key`. Bytes are base64url without padding, times are unix ms. */
export interface KeyDocument {
  readonly suite: number;
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
  readonly pk: Uint8Array;
  readonly nbf: number;
  readonly exp: number;
  readonly now: number;
}

const MAGIC = utf8("SLK1");

/**
 * The 32-byte mac of an announcement.
 * @param options.model In any spelling: the mac covers the canonical one.
 * @throws {SecLlamaError} `bad-model-name` if it is no model's name.
 */
export function announcementMac(
  announcement: KeyAnnouncement,
  options: { psk: Uint8Array; model: string; challenge: Uint8Array },
): Bytes {
  const core = concat(
    MAGIC,
    Uint8Array.of(announcement.suite),
    announcement.pk,
    u64(announcement.nbf),
    u64(announcement.exp),
    u64(announcement.now),
  );
  const key = hkdfSync(options.psk, "secllama/1 announce", KEY_BYTES);
  return hmacSha256(key, core, utf8(parseModelName(options.model).canonical), options.challenge);
}

/** The document for `announcement`, with its mac. */
export function makeKeyDocument(
  announcement: KeyAnnouncement,
  options: { psk: Uint8Array; model: string; challenge: Uint8Array },
): KeyDocument {
  return {
    suite: announcement.suite,
    pk: toBase64Url(announcement.pk),
    nbf: announcement.nbf,
    exp: announcement.exp,
    now: announcement.now,
    mac: toBase64Url(announcementMac(announcement, options)),
  };
}
