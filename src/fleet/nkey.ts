/**
 * How a host, and the issuer, show NATS who they are: an Ed25519 key of the machine's own that comes from what it keeps anyway, so
 * that no further secret lies on a disk. NATS has the public keys only.
 *
 * A seed as NATS writes it (github.com/nats-io/nkeys): base32 without padding of 2 bytes of prefix, 32 bytes and a CRC-16.
 */
import { type Authenticator, nkeyAuthenticator, nkeys } from "@nats-io/transport-node";
import { type Bytes, concat, utf8 } from "../bytes.ts";
import { sha256 } from "../sealed/primitives.ts";
import { secret } from "../secret.ts";

/** `S`, and `U` for a user. */
const [SEED, USER] = [18 << 3, 20 << 3];

/** Of a machine's seed of 32 bytes: how it comes to NATS, and the public key, `U…`. */
export function natsIdentity(seed: Uint8Array): { user: string; authenticator: Authenticator } {
  using own = secret(sha256(concat(utf8("secllama/1 fleet nats"), seed)));
  // The client asks for it at each connection, so it lives as long as the process.
  const written = writeSeed(own);
  return {
    user: nkeys.fromSeed(written).getPublicKey(),
    authenticator: nkeyAuthenticator(written),
  };
}

function writeSeed(own: Uint8Array): Bytes {
  using raw = secret(concat(new Uint8Array([SEED | USER >> 5, (USER & 31) << 3]), own));
  const sum = crc16(raw);
  using whole = secret(concat(raw, new Uint8Array([sum & 0xff, sum >> 8])));
  return base32(whole);
}

/** CRC-16/XMODEM. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let i = 0; i < 8; i++) crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc;
}

/** RFC 4648 section 6, as ASCII. */
function base32(bytes: Uint8Array): Bytes {
  const out = new Uint8Array(Math.ceil(bytes.length * 8 / 5));
  let [bits, have, at] = [0, 0, 0];
  const put = (five: number) => out[at++] = five < 26 ? 65 + five : 24 + five;
  for (const byte of bytes) {
    bits = (bits << 8 | byte) & 0xffff;
    have += 8;
    while (have >= 5) {
      have -= 5;
      put(bits >> have & 31);
    }
  }
  if (have > 0) put(bits << 5 - have & 31);
  return out;
}
