/** The runner PSKs that the gateway gave to this start of this runner: those of clients that came, and no others. */
import type { Bytes } from "../src/bytes.ts";
import { decodeKeyFrame, type GivenKey } from "../src/pipe/key_frames.ts";
import { wipe } from "../src/secret.ts";

export class RunnerKeys {
  readonly #keys = new Map<string, GivenKey>();

  /**
   * Does what a key frame says. Keys that are replaced or taken away are zeroed: an exchange under way has derived its own.
   * @returns The psk_ids whose exchanges under way are to end.
   * @throws {SecLlamaError} `pipe-broken` if the frame is malformed.
   */
  apply(payload: Bytes): readonly string[] {
    const frame = decodeKeyFrame(payload);
    if (frame.kind === "give") {
      for (const key of frame.keys) {
        wipe(this.#keys.get(key.pskId)?.psk);
        this.#keys.set(key.pskId, key);
      }
      return [];
    }
    for (const id of frame.ids) {
      wipe(this.#keys.get(id)?.psk);
      this.#keys.delete(id);
    }
    return frame.kind === "revoke" ? frame.ids : [];
  }

  has(pskId: string): boolean {
    return this.#keys.has(pskId);
  }

  psk(pskId: string): Uint8Array | undefined {
    return this.#keys.get(pskId)?.psk;
  }

  /** The client's new key, sealed to it: carried unread. */
  renewal(pskId: string): Uint8Array | undefined {
    return this.#keys.get(pskId)?.renewal;
  }
}
