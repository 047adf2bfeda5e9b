/**
 * A runner's recipient keys: one key pair per suite, made when the suite is first asked for, rolled every hour, the last two
 * generations valid, each with the replay window of what was sealed to it. The private keys are not extractable and leave
 * with the process.
 */
import type { KeyPair } from "hpke";
import { toHex } from "../bytes.ts";
import { ReplayWindow } from "./replay.ts";
import { recipientId, type Suite, suiteById } from "./suite.ts";

/** How long a recipient key is announced. It stays valid for as long again. */
export const DEFAULT_RECIPIENT_KEY_LIFE_MS = 60 * 60 * 1000;

export interface RecipientKey {
  readonly suite: Suite;
  readonly keyPair: KeyPair;
  readonly publicKey: Uint8Array;
  /** Hexadecimal `rk`. */
  readonly rk: string;
  readonly window: ReplayWindow;
}

interface RecipientKeysOptions {
  readonly suites: readonly number[];
  readonly lifeMs: number;
  readonly replayEntries: number;
  /** Unix ms. */
  readonly now: () => number;
  /** Ms of a clock that nobody sets. */
  readonly own: () => number;
  /** Makes a key pair; only reproducible vectors give their own. */
  readonly generate?: (suite: Suite) => Promise<KeyPair>;
}

interface Generation {
  /** When it was made, by both clocks. */
  readonly bornMs: number;
  readonly bornOwnMs: number;
  readonly keys: RecipientKey[];
  /** Suite → its key being made. */
  readonly making: Map<number, Promise<void>>;
}

export class RecipientKeys {
  readonly #options: RecipientKeysOptions;
  /** Newest first, at most two. */
  #generations: Generation[] = [];
  #rolling: Promise<void> | undefined;

  /** Holds no key until the first roll. */
  constructor(options: RecipientKeysOptions) {
    this.#options = options;
  }

  /** The newest key of a suite, or undefined if the suite is not offered or its key not made. */
  current(suite: number): RecipientKey | undefined {
    return this.#generations[0]?.keys.find((key) => key.suite.id === suite);
  }

  /** The valid key that `rk` names, or undefined. */
  find(rk: string): RecipientKey | undefined {
    return this.valid().find((key) => key.rk === rk);
  }

  /** Every key that may still open a request, newest first. */
  valid(): RecipientKey[] {
    return this.#alive().flatMap(({ keys }) => keys);
  }

  /** From when until when the newest generation's keys are valid, by the clock as it is now. */
  times(): { readonly nbf: number; readonly exp: number; readonly now: number } {
    const now = this.#options.now();
    const nbf = now - this.#ageOf(this.#generations[0]!);
    return { nbf, exp: nbf + 2 * this.#options.lifeMs, now };
  }

  /** Rolls if the newest generation has been announced for its life, and forgets what has expired. */
  async rollIfDue(): Promise<void> {
    const newest = this.#generations[0];
    if (newest === undefined || this.#ageOf(newest) >= this.#options.lifeMs) await this.roll();
    this.#generations = this.#alive();
  }

  #alive(): Generation[] {
    return this.#generations.filter((one) => this.#ageOf(one) < 2 * this.#options.lifeMs);
  }

  /**
   * By the clock that says more: the one that nobody sets stands still while the machine sleeps; the other one may be set back, and a
   * key that is of tomorrow then would be refused by every client until tomorrow.
   */
  #ageOf({ bornMs, bornOwnMs }: Generation): number {
    const { now, own } = this.#options;
    return Math.max(0, now() - bornMs, Math.floor(own() - bornOwnMs));
  }

  /** Adds a generation with the preferred suite's key; the oldest of three goes, its private keys and windows with it. */
  roll(): Promise<void> {
    this.#rolling ??= this.#roll().finally(() => {
      this.#rolling = undefined;
    });
    return this.#rolling;
  }

  /**
   * Makes the key of `suite` in the newest generation if it has none yet. A key that was retired is not made again: its
   * successor is another generation's.
   */
  async offer(suite: number): Promise<void> {
    const newest = this.#generations[0];
    if (newest === undefined || !this.#options.suites.includes(suite)) return;
    let making = newest.making.get(suite);
    if (making === undefined) {
      making = this.#make(newest, suite);
      newest.making.set(suite, making);
    }
    await making;
  }

  /** Ends one key now, for good: its window is full, so it can no longer tell a replay. */
  retire(key: RecipientKey): void {
    for (const { keys } of this.#generations) {
      const at = keys.indexOf(key);
      if (at >= 0) keys.splice(at, 1);
    }
  }

  async #roll(): Promise<void> {
    const { now, own, suites } = this.#options;
    const generation: Generation = {
      ...{ bornMs: now(), bornOwnMs: own() },
      ...{ keys: [], making: new Map() },
    };
    // Whoever used a suite in the older generation will ask for it again: have it ready before it is announced.
    const used = this.#generations[0]?.making.keys() ?? [];
    for (const suite of new Set([suites[0]!, ...used])) {
      const making = this.#make(generation, suite);
      generation.making.set(suite, making);
      await making;
    }
    const older = this.#generations.filter(({ keys }) => keys.length > 0);
    this.#generations = [generation, ...older].slice(0, 2);
  }

  async #make(generation: Generation, id: number): Promise<void> {
    const suite = suiteById(id);
    const keyPair =
      await (this.#options.generate?.(suite) ?? suite.hpke.kem.GenerateKeyPair(false));
    const publicKey = await suite.hpke.kem.SerializePublicKey(keyPair.publicKey);
    generation.keys.push({
      suite,
      keyPair,
      publicKey,
      rk: toHex(recipientId(publicKey)),
      window: new ReplayWindow(this.#options.replayEntries),
    });
  }
}
