/** A host's key code in small, for tests and benches: clients' PSKs in, what one start of a runner and its documents need out. */
import { type Bytes, toHex } from "../bytes.ts";
import { attest, type KeyDocument } from "./key_document.ts";
import { randomBytes } from "./primitives.ts";
import { deriveHostPsk, deriveRunnerPsk, HID_BYTES, RN_BYTES } from "./psk.ts";
import type { Recipient } from "./recipient.ts";

export class FakeHost {
  readonly hid = randomBytes(HID_BYTES);
  readonly rn = randomBytes(RN_BYTES);
  gen = 1;
  readonly #psk: (pskId: string) => Uint8Array | undefined;
  /** Runner PSKs, so that the same array is handed out for the same key, as a runner does. */
  readonly #derived = new Map<string, Bytes>();

  /** @param psk Looks a client's PSK up. */
  constructor(psk: (pskId: string) => Uint8Array | undefined) {
    this.#psk = psk;
  }

  /** What a recipient of this start takes. */
  get recipient(): {
    hid: Bytes;
    rn: Bytes;
    psk: (pskId: string) => Bytes | undefined;
  } {
    return { hid: this.hid, rn: this.rn, psk: (id) => this.runnerPsk(id) };
  }

  runnerPsk(pskId: string): Bytes | undefined {
    const psk = this.#psk(pskId);
    if (psk === undefined) return undefined;
    const name = `${pskId} ${toHex(psk)}`;
    let derived = this.#derived.get(name);
    if (derived === undefined) {
      derived = deriveRunnerPsk(deriveHostPsk(psk, this.hid), this.rn);
      this.#derived.set(name, derived);
    }
    return derived;
  }

  /** The host's word for one document; to nobody it knows, one that is worth nothing. */
  word(
    pskId: string,
    what: { model: string; challenge: Uint8Array },
  ): { gen: number; attest: Bytes } {
    const psk = this.#psk(pskId) ?? new Uint8Array(32);
    const { rn, gen } = this;
    return { gen, attest: attest(deriveHostPsk(psk, this.hid), { rn, gen, ...what }) };
  }

  /** A key document of `recipient`, with the host's word. */
  document(
    recipient: Recipient,
    request: { pskId: string; challenge: Uint8Array; model: string; suite?: number },
  ): Promise<KeyDocument> {
    return recipient.keyDocument({ ...request, ...this.word(request.pskId, request) });
  }
}
