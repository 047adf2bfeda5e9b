/**
 * Offers to pair by words: `pairing-offers.json` in the data folder, written by `secllama pair` and by the gateway that redeems
 * them. Each offer is wrapped under the keyset's storage key, the one-time secret in it, so the file neither gives one away nor
 * can be edited. An offer ends when it is used, after ten minutes, when it is withdrawn, or by the third wrong try of anybody:
 * a try names no offer, so it counts against all that are open.
 */
import { join } from "node:path";
import {
  PAIRING_INFO,
  PAIRING_LIFE_MS,
  PAIRING_SECRET_BYTES,
  PAIRING_TRIES,
  pairingAad,
} from "../../api/pairing_words.ts";
import {
  type Bytes,
  equalConstantTime,
  fromBase64Url,
  toBase64Url,
  toHex,
  utf8,
  utf8Decode,
} from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { refuseNewer } from "../../newer_file.ts";
import { secret, wipe } from "../../secret.ts";
import type { ClientSource, RingSource, StorageSource } from "../key_source.ts";
import {
  fileFingerprint,
  ioError,
  type ManifestFile,
  writeFileAtomically,
} from "../keyset/manifest_file.ts";
import type { PairedClient, Permission } from "./client_list.ts";
import { sealerTo } from "./sealed_credentials.ts";

const VERSION = 1;
const CONTEXT = "pairing offer";
/** Of a file of {@link MAX_OPEN} offers there are some 10 KiB. */
const CAP_BYTES = 64 * 1024;
/** So many can be open at a time: each is one more secret that a guess may hit. */
const MAX_OPEN = 8;

/** Those that have ended and are kept, since somebody may wait to hear how. */
const MAX_ENDED = 16;

/** `open`, or how it ended. `failed`: the words were right, and nobody could be paired. `gone`: it is not there any more. */
export type OfferState =
  | "open"
  | "used"
  | "failed"
  | "guessed"
  | "expired"
  | "withdrawn"
  | "gone";

/** Whom an offer lets in. */
export interface OfferTerms {
  /** What the client is called. */
  readonly name: string;
  /** End the client that has the name now. */
  readonly replace: boolean;
  /** What it may do besides asking. */
  readonly may: readonly Permission[];
}

interface Offer extends OfferTerms {
  readonly id: string;
  /** base64url of the fingerprint and the one-time secret; the latter empty once it has ended. */
  readonly fingerprint: string;
  readonly secret: string;
  /** Unix ms. */
  readonly expires: number;
  readonly tries: number;
  readonly state: Exclude<OfferState, "expired" | "gone">;
}

/** How far a clock is corrected that only drifted. */
const CLOCK_DRIFT_MS = 60_000;

/** The offers of a data folder. */
export class PairingOffers {
  readonly #file: ManifestFile;
  readonly #path: string;
  readonly #keys: StorageSource & ClientSource & RingSource;
  readonly #now: () => number;
  /** Of a file in which no offer is open: it need not be read again until it changes. */
  #closed = "";

  /** Nothing is read yet. `now` is in unix ms. */
  constructor(
    file: ManifestFile,
    keys: StorageSource & ClientSource & RingSource,
    now: () => number = Date.now,
  ) {
    this.#file = file;
    this.#path = join(file.dataDir, "pairing-offers.json");
    this.#keys = keys;
    this.#now = now;
  }

  /**
   * Opens an offer.
   * @param fingerprint What the client will know the gateway by.
   * @returns Its id, when it ends (unix ms), and the one-time secret, which is the caller's to wipe.
   * @throws {SecLlamaError} `key-refused` if the name is taken, or eight offers are open; what the key store throws.
   */
  async open(
    terms: OfferTerms,
    fingerprint: Uint8Array,
  ): Promise<{ id: string; secret: Bytes; expires: number }> {
    await this.#keys.clients().checkNew(terms.name, terms);
    return await this.#change((offers) => {
      const open = offers.filter((offer) => this.#isOpen(offer));
      if (open.length >= MAX_OPEN) {
        throw new SecLlamaError("key-refused", `${MAX_OPEN} pairings are open already`, {
          hint: "use them, end one with Ctrl-C, or wait: each ends after ten minutes",
        });
      }
      const own = this.#freshSecret(open);
      const id = toHex(crypto.getRandomValues(new Uint8Array(8)));
      const expires = this.#now() + PAIRING_LIFE_MS;
      const offer: Offer = {
        ...terms,
        id,
        fingerprint: toBase64Url(fingerprint),
        secret: toBase64Url(own),
        expires,
        tries: PAIRING_TRIES,
        state: "open",
      };
      const past = offers.filter((offer) => !open.includes(offer)).slice(-MAX_ENDED);
      return { offers: [...past, ...open, offer], result: { id, secret: own, expires } };
    });
  }

  /** How an offer stands. */
  async state(id: string): Promise<OfferState> {
    const offer = (await this.#read()).find((one) => one.id === id);
    if (offer === undefined) return "gone";
    return offer.state === "open" && !this.#isOpen(offer) ? "expired" : offer.state;
  }

  /** Whether anybody could be paired by words now. */
  async anyOpen(): Promise<boolean> {
    return (await this.#read()).some((offer) => this.#isOpen(offer));
  }

  /** Ends an offer that nobody used. Does nothing else. */
  async withdraw(id: string): Promise<void> {
    await this.#end(id, "open", "withdrawn");
  }

  /**
   * Pairs whoever knows the secret of an open offer, and ends the offer first: nothing is given twice.
   * @param tried The one-time secret, {@link PAIRING_SECRET_BYTES}.
   * @param publicKey Of the client's, for this once: a public key of suite {@link PAIRING_SUITE}.
   * @returns `sealed` is `u16 length | enc | ciphertext`: the client's credentials, `{psk_id, psk, hid}` as JSON, sealed to that
   * key. And the client, and whether it takes another's place.
   * @throws {SecLlamaError} `pairing-refused`, one message for every reason; with the right secret, `key-refused` if the name was
   * taken meanwhile; what the key store throws.
   */
  async redeem(
    tried: Uint8Array,
    publicKey: Uint8Array,
  ): Promise<{ sealed: Bytes; client: PairedClient; replaced: boolean }> {
    if (tried.length !== PAIRING_SECRET_BYTES) {
      throw new SecLlamaError("malformed", "the request to pair has a field of a wrong length");
    }
    // Before anything is taken: a key that is none shall not cost the offer.
    const sealTo = await sealerTo(publicKey);
    const offer = await this.#take(tried);
    const client = await this.#keys.clients().add(offer.name, {
      replace: offer.replace,
      may: offer.may,
    }).catch(async (error) => {
      await this.#end(offer.id, "used", "failed");
      throw error;
    });
    const aad = pairingAad({
      fingerprint: fromBase64Url(offer.fingerprint),
      secret: new Uint8Array(tried),
    });
    const sealed = await sealTo(this.#keys, client.id, { info: PAIRING_INFO, aad });
    return { sealed, client, replaced: offer.replace };
  }

  /** The open offer of this secret, ended; else the try is counted. */
  async #take(tried: Uint8Array): Promise<Offer> {
    if (fileFingerprint(this.#path) === this.#closed) throw refused();
    const taken = await this.#change<Offer | undefined>((offers) => {
      const open = offers.filter((offer) => this.#isOpen(offer));
      if (open.length === 0) return undefined;
      // All are compared, whichever fits: how long it takes says nothing.
      let found: Offer | undefined;
      for (const offer of open) {
        using own = secret(fromBase64Url(offer.secret));
        if (equalConstantTime(own, tried)) found = offer;
      }
      const next = (offer: Offer): Offer => {
        if (!open.includes(offer)) return offer;
        if (found !== undefined) return offer === found ? ended(offer, "used") : offer;
        const tries = offer.tries - 1;
        return tries > 0 ? { ...offer, tries } : ended(offer, "guessed");
      };
      return { offers: offers.map(next), result: found };
    }).catch((error) => {
      // A newer version's file: its offers are not this one's to end, and whoever guesses hears no more than otherwise.
      if (error instanceof SecLlamaError && error.code === "key-corrupt") throw refused();
      throw error;
    });
    if (taken !== undefined) return taken;
    // Before it is read: an offer that is opened meanwhile is then seen by the next try.
    const read = fileFingerprint(this.#path);
    if (!await this.anyOpen()) this.#closed = read;
    throw refused();
  }

  /** From one state to another; does nothing in any other state. */
  async #end(
    id: string,
    from: Offer["state"],
    to: Exclude<Offer["state"], "open">,
  ): Promise<void> {
    await this.#change((offers) => ({
      offers: offers.map((o) => o.id === id && o.state === from ? ended(o, to) : o),
      result: undefined,
    }));
  }

  #isOpen(offer: Offer): boolean {
    const left = offer.expires - this.#now();
    // A clock that is set back by more than it drifts must not lengthen an offer's life, maybe by years.
    return offer.state === "open" && left > 0 && left <= PAIRING_LIFE_MS + CLOCK_DRIFT_MS;
  }

  /** Different from those that are open: a secret says which offer is meant. */
  #freshSecret(open: readonly Offer[]): Bytes {
    for (;;) {
      const own = crypto.getRandomValues(new Uint8Array(PAIRING_SECRET_BYTES));
      if (!open.some((offer) => offer.secret === toBase64Url(own))) return own;
      wipe(own);
    }
  }

  /** Runs `change` under the keyset's lock; undefined changes nothing. */
  #change<T>(
    change: (offers: readonly Offer[]) => { offers: readonly Offer[]; result: T } | undefined,
  ): Promise<T> {
    return this.#file.withLock(async () => {
      const changed = change(await this.#read());
      if (changed === undefined) return undefined as T;
      const wrapped = await Promise.all(changed.offers.map((offer) => this.#wrap(offer)));
      const text = JSON.stringify({ v: VERSION, offers: wrapped }, null, 2) + "\n";
      await writeFileAtomically(this.#path, utf8(text));
      return changed.result;
    });
  }

  async #wrap(offer: Offer): Promise<string> {
    using json = secret(utf8(JSON.stringify(offer)));
    return toBase64Url(await this.#keys.storage().wrap(json, CONTEXT));
  }

  /** Those that open; one that does not was made under a key that is gone, or is not ours. */
  async #read(): Promise<Offer[]> {
    let wrapped: unknown;
    try {
      if ((await Deno.stat(this.#path)).size > CAP_BYTES) return [];
      const value = Object(JSON.parse(await Deno.readTextFile(this.#path)));
      refuseNewer(this.#path, value, VERSION);
      const { v, offers } = value;
      wrapped = v === VERSION ? offers : [];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return [];
      throw ioError("read", this.#path, error);
    }
    const storage = this.#keys.storage();
    const all = Array.isArray(wrapped) ? wrapped.filter((one) => typeof one === "string") : [];
    const offers = await Promise.all(all.map(async (text): Promise<Offer[]> => {
      try {
        using json = secret(await storage.unwrap(fromBase64Url(text), CONTEXT));
        return [JSON.parse(utf8Decode(json))];
      } catch (error) {
        const damaged = error instanceof SyntaxError ||
          error instanceof SecLlamaError && error.code === "decrypt-failed";
        if (damaged) return [];
        throw error;
      }
    }));
    return offers.flat();
  }
}

/** Its secret goes with it. */
function ended(offer: Offer, state: Exclude<Offer["state"], "open">): Offer {
  return { ...offer, state, secret: "" };
}

function refused(): SecLlamaError {
  return new SecLlamaError("pairing-refused", "the gateway has no open pairing with these words", {
    hint: "they are good once, for ten minutes, and end after three wrong tries; " +
      "for new ones, run on the host: secllama pair NAME",
  });
}
