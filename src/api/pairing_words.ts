/**
 * The ten words by which a machine is paired: what `secllama pair` shows and `secllama proxy --pair` reads, and what goes over
 * the wire in between (docs/wire.md, "Pairing by words").
 *
 * ```
 * 110 bits = fingerprint[80] | secret[24] | check[6]          fingerprint = SHA-256(DER of the authority's certificate)[:10]
 * ```
 * By the fingerprint the client knows the gateway before it says anything. The secret is good for one pairing, for ten minutes
 * and three wrong tries. The check, the first bits of a CRC-32, finds a mistyped word and protects against nothing.
 */
import { type Bytes, concat, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { closest } from "../suggest.ts";
import { WORDS } from "./wordlist.ts";

export const WORD_COUNT = 10;
/** 80 bits: whoever wants a certificate of this fingerprint has to make 2^80 of them. */
const FINGERPRINT_BYTES = 10;
/** 24 bits, of which nobody can try more than {@link PAIRING_TRIES}. */
export const PAIRING_SECRET_BYTES = 3;
export const PAIRING_LIFE_MS = 600_000;
export const PAIRING_TRIES = 3;

/** Suite of the reply's sealing: recorded today, it stays closed to a quantum computer. */
export const PAIRING_SUITE = 2;
/** HPKE's `info` of the reply (RFC 9180 section 5.1). */
export const PAIRING_INFO: Bytes = utf8("secllama/1 pairing");

const WORD_BITS = 11;
const PAYLOAD_BYTES = FINGERPRINT_BYTES + PAIRING_SECRET_BYTES;
const CHECK_BITS = WORD_COUNT * WORD_BITS - PAYLOAD_BYTES * 8;
/** Ten words have some 60 letters; what is much longer was not meant. */
const MAX_TEXT = 4096;
const MAX_TOLD = 3;

/** What ten words say. */
export interface PairingWords {
  /** Of the certificate of the gateway's authority, {@link FINGERPRINT_BYTES}. */
  readonly fingerprint: Bytes;
  /** {@link PAIRING_SECRET_BYTES}; the caller's to wipe. */
  readonly secret: Bytes;
}

/** The fingerprint of a certificate's DER. */
export async function pairingFingerprint(certificate: Uint8Array): Promise<Bytes> {
  const hash = await crypto.subtle.digest("SHA-256", new Uint8Array(certificate));
  return new Uint8Array(hash).slice(0, FINGERPRINT_BYTES);
}

/** What the reply is bound to: the AAD of its sealing. */
export function pairingAad({ fingerprint, secret }: PairingWords): Bytes {
  return concat(fingerprint, secret);
}

/**
 * The ten words, in lower case with single spaces.
 * @throws {RangeError} If a length is wrong.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const words = encodeWords({ fingerprint: new Uint8Array(10), secret: new Uint8Array(3) });
 * assert.equal(words.split(" ").length, 10);
 * assert.deepEqual(parseWords(words.toUpperCase()).secret, new Uint8Array(3));
 * ```
 */
export function encodeWords(words: PairingWords): string {
  const payload = pairingAad(words);
  if (payload.length !== PAYLOAD_BYTES) throw new RangeError("a fingerprint or secret too long");
  let bits = 0n;
  for (const byte of payload) bits = bits << 8n | BigInt(byte);
  bits = bits << BigInt(CHECK_BITS) | BigInt(checkOf(payload));
  const indexes = Array.from(
    { length: WORD_COUNT },
    (_, i) => Number(bits >> BigInt(WORD_BITS * (WORD_COUNT - 1 - i)) & 0x7ffn),
  );
  return indexes.map((index) => WORDS[index]!).join(" ");
}

/** Whether a text is meant as words and not as the long pairing string. */
export function looksLikeWords(text: string): boolean {
  return !/secllama-?pair/i.test(text.replace(/[\s\p{Cf}]+/gu, "")) && wordsIn(text).length >= 3;
}

/** How many words a text has, and how many of them are the list's. */
export function countWords(text: string): { all: number; known: number } {
  const words = wordsIn(text);
  return { all: words.length, known: words.filter((word) => indexOf(word) !== undefined).length };
}

/**
 * Reads ten words. Case, line ends, hyphens, commas, numbers and marks around words are ignored; four letters are enough of a
 * word.
 * @throws {SecLlamaError} `bad-pairing` saying which words are none and what was meant, how many are missing, or that they do not
 * belong together.
 */
export function parseWords(text: string): PairingWords {
  if (text.length > MAX_TEXT) throw bad("that is far more than ten words");
  const typed = wordsIn(text);
  const found = typed.map(indexOf);
  const wrong = found.flatMap((index, i) => index === undefined ? [i] : []);
  if (wrong.length > 0) throw unknownWords(typed, wrong);
  if (typed.length !== WORD_COUNT) {
    throw bad(
      `a pairing has ten words, and here ${typed.length === 1 ? "is" : "are"} ${typed.length}`,
      "copy all of them, in their order",
    );
  }
  const bits = found.reduce((sum, index) => sum << BigInt(WORD_BITS) | BigInt(index!), 0n);
  const check = Number(bits & BigInt((1 << CHECK_BITS) - 1));
  const payload = new Uint8Array(PAYLOAD_BYTES);
  let rest = bits >> BigInt(CHECK_BITS);
  for (let i = PAYLOAD_BYTES - 1; i >= 0; i--, rest >>= 8n) payload[i] = Number(rest & 0xffn);
  if (check !== checkOf(payload)) {
    throw bad(
      "the ten words do not belong together: one is another word, or two have changed places",
      "compare them with what the host shows",
    );
  }
  return {
    fingerprint: payload.slice(0, FINGERPRINT_BYTES),
    secret: payload.slice(FINGERPRINT_BYTES),
  };
}

function wordsIn(text: string): string[] {
  // Accents are of keyboards, not of the list: they are left off.
  const plain = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const split = (joined: string) => joined.split(/[^\p{L}]+/u).filter((word) => word !== "");
  // Marks that are not seen, of web pages and chats, stand inside words, and now and then between them.
  const words = split(plain.replace(/\p{Cf}/gu, ""));
  const parted = split(plain);
  return words.length < WORD_COUNT && parted.length === WORD_COUNT ? parted : words;
}

const INDEXES = new Map(WORDS.map((word, index) => [word, index]));
/** First four letters → index. */
const STARTS = new Map(WORDS.map((word, index) => [word.slice(0, 4), index]));

function indexOf(word: string): number | undefined {
  const exact = INDEXES.get(word);
  if (exact !== undefined || word.length < 4) return exact;
  const index = STARTS.get(word.slice(0, 4));
  return index !== undefined && WORDS[index]!.startsWith(word) ? index : undefined;
}

function unknownWords(typed: readonly string[], wrong: readonly number[]): SecLlamaError {
  const meant = (i: number) =>
    closest(typed[i]!, WORDS) ?? WORDS[STARTS.get(typed[i]!.slice(0, 4)) ?? -1];
  const message = `word ${wrong[0]! + 1} is none of a pairing's` +
    (wrong.length > 1 ? `, and ${wrong.length - 1} more are not` : "") + "; nothing was sent";
  const told = wrong.slice(0, MAX_TOLD).flatMap((i) => {
    const word = meant(i);
    return word === undefined ? [] : [`word ${i + 1}: did you mean ${word}?`];
  });
  return bad(message, told.length > 0 ? told.join(" ") : "compare it with what the host shows");
}

/** The first bits of the CRC-32 (ISO 3309). */
function checkOf(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> (32 - CHECK_BITS);
}

function bad(message: string, hint = "the host shows ten words: secllama pair NAME") {
  return new SecLlamaError("bad-pairing", message, { hint });
}
