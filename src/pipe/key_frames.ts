/**
 * The key frames: what the gateway tells a runner about keys, in as many frames as it takes.
 *
 * ```
 * frame  = 1 | (key | u16 length | renewal)*     give: from now on these keys open requests
 *        | 2 | id*                               forget: no further request is opened under these
 *        | 3 | id*                               revoke: nor goes on what was opened under them
 * id     = u8 length | psk_id
 * key    = id | psk[32]
 * ```
 * A key that is given again replaces the one of the same id. `renewal` is sealed to the client (src/sealed/renewal.ts); empty if
 * there is none.
 */
import { type Bytes, concat, u16, utf8, utf8Decode } from "../bytes.ts";
import { broken } from "./frame.ts";
import { wipe } from "../secret.ts";

const [GIVE, FORGET, REVOKE] = [1, 2, 3];
const PSK_BYTES = 32;
/** Payload of one frame, about: far below the pipe's limit, so that other frames are not kept waiting. */
const FRAME_BYTES = 32 * 1024;

export interface GivenKey {
  readonly pskId: string;
  /** The runner PSK, 32 bytes. */
  readonly psk: Uint8Array;
  /** Sealed to the client. */
  readonly renewal?: Uint8Array | undefined;
}

type KeyFrame =
  | { readonly kind: "give"; readonly keys: readonly GivenKey[] }
  | { readonly kind: "forget" | "revoke"; readonly ids: readonly string[] };

/** The payloads that give `keys`. The caller zeroes them. */
export function encodeGive(keys: readonly GivenKey[]): Bytes[] {
  return framed(
    GIVE,
    keys.map(({ pskId, psk, renewal = new Uint8Array(0) }) => {
      if (psk.length !== PSK_BYTES || renewal.length > 0xffff) {
        throw new RangeError("a psk is not 32 bytes, or a renewal over 65,535");
      }
      return concat(idBytes(pskId), psk, u16(renewal.length), renewal);
    }),
  );
}

/** The payloads that take keys away; `revoke` also ends what is under way. */
export function encodeTake(kind: "forget" | "revoke", ids: readonly string[]): Bytes[] {
  return framed(kind === "forget" ? FORGET : REVOKE, ids.map(idBytes));
}

/** @throws {SecLlamaError} `pipe-broken` if the layout is wrong. Returned keys are copies. */
export function decodeKeyFrame(payload: Uint8Array): KeyFrame {
  const kind = payload[0];
  let at = 1;
  const take = (length: number): Uint8Array => {
    if (at + length > payload.length) throw broken("a key frame is cut short");
    return payload.subarray(at, at += length);
  };
  const id = () => utf8Decode(take(take(1)[0]!));
  if (kind === GIVE) {
    const keys: GivenKey[] = [];
    while (at < payload.length) {
      const pskId = id();
      const psk = take(PSK_BYTES).slice();
      const [high, low] = take(2);
      const renewal = take(high! * 256 + low!).slice();
      keys.push({ pskId, psk, ...(renewal.length > 0 && { renewal }) });
    }
    return { kind: "give", keys };
  }
  if (kind !== FORGET && kind !== REVOKE) throw broken("a key frame is of unknown kind");
  const ids: string[] = [];
  while (at < payload.length) ids.push(id());
  return { kind: kind === FORGET ? "forget" : "revoke", ids };
}

function idBytes(pskId: string): Bytes {
  const id = utf8(pskId);
  if (id.length > 255) throw new RangeError("a psk id is over 255 bytes");
  return concat(Uint8Array.of(id.length), id);
}

function framed(kind: number, entries: readonly Uint8Array[]): Bytes[] {
  const frames: Bytes[] = [];
  let held: Uint8Array[] = [];
  let size = 0;
  const flush = () => {
    if (held.length > 0) frames.push(concat(Uint8Array.of(kind), ...held));
    held = [];
    size = 0;
  };
  for (const entry of entries) {
    if (size + entry.length > FRAME_BYTES) flush();
    held.push(entry);
    size += entry.length;
  }
  flush();
  wipe(...entries);
  return frames;
}
