/**
 * A runner's boot keys: one key pair per suite, rolled every hour, the last two generations valid, each with the replay
 * window of what was sealed to it. The private keys are not extractable and leave with the process.
 */
import type { KeyPair } from "hpke";
import { toHex } from "../bytes.ts";
import { ReplayWindow } from "./replay.ts";
import { recipientId, type Suite, suiteById } from "./suite.ts";

/** How long a boot key is announced. It stays valid for as long again. */
export const DEFAULT_BOOT_KEY_LIFE_MS = 60 * 60 * 1000;

export interface BootKey {
  readonly suite: Suite;
  readonly keyPair: KeyPair;
  readonly publicKey: Uint8Array;
  /** Hexadecimal `rk`. */
  readonly rk: string;
  readonly nbf: number;
  readonly exp: number;
  readonly window: ReplayWindow;
}

export interface BootKeysOptions {
  readonly suites: readonly number[];
  readonly lifeMs: number;
  readonly replayEntries: number;
  readonly now: () => number;
  /** Makes a key pair; only reproducible vectors give their own. */
  readonly generate?: (suite: Suite) => Promise<KeyPair>;
}

export class BootKeys {
  readonly #options: BootKeysOptions;
  /** Newest generation first, at most two. */
  #generations: BootKey[][] = [];
  #rolling: Promise<void> | undefined;

  /** Holds no key until the first roll. */
  constructor(options: BootKeysOptions) {
    this.#options = options;
  }

  /** The newest key of a suite, or undefined if the suite is not offered. */
  current(suite: number): BootKey | undefined {
    return this.#generations[0]?.find((key) => key.suite.id === suite);
  }

  /** The valid key that `rk` names, or undefined. */
  find(rk: string): BootKey | undefined {
    return this.valid().find((key) => key.rk === rk);
  }

  /** Every key that may still open a request, newest first. */
  valid(): BootKey[] {
    const now = this.#options.now();
    return this.#generations.flat().filter((key) => now < key.exp);
  }

  /** Rolls if the newest generation has been announced for its life, and forgets what has expired. */
  async rollIfDue(): Promise<void> {
    const newest = this.#generations[0]?.[0];
    const now = this.#options.now();
    if (newest === undefined || now >= newest.nbf + this.#options.lifeMs) await this.roll();
    this.#generations = this.#generations.filter((keys) => keys.some((key) => now < key.exp));
  }

  /** Adds a generation; the oldest of three goes, its private keys and windows with it. */
  roll(): Promise<void> {
    this.#rolling ??= this.#roll().finally(() => {
      this.#rolling = undefined;
    });
    return this.#rolling;
  }

  /** Ends one key now, for good: its window is full, so it can no longer tell a replay. */
  retire(key: BootKey): void {
    this.#generations = this.#generations.map((keys) => keys.filter((other) => other !== key));
  }

  async #roll(): Promise<void> {
    const { suites, now, lifeMs, replayEntries } = this.#options;
    const nbf = now();
    const generation = await Promise.all(suites.map(async (id): Promise<BootKey> => {
      const suite = suiteById(id);
      const keyPair =
        await (this.#options.generate?.(suite) ?? suite.hpke.kem.GenerateKeyPair(false));
      const publicKey = await suite.hpke.kem.SerializePublicKey(keyPair.publicKey);
      return {
        suite,
        keyPair,
        publicKey,
        rk: toHex(recipientId(publicKey)),
        nbf,
        exp: nbf + 2 * lifeMs,
        window: new ReplayWindow(replayEntries),
      };
    }));
    const older = this.#generations.filter((keys) => keys.length > 0);
    this.#generations = [generation, ...older].slice(0, 2);
  }
}
