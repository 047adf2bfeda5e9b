/** The pre-shared keys that the gateway gave to this runner, and what follows from them for each client. */
import type { Bytes } from "../src/bytes.ts";
import { decodePsks } from "../src/pipe/messages.ts";
import type { Renewal } from "../src/sealed/envelope.ts";
import { clientPskId, parsePskId } from "../src/sealed/suite.ts";

export class RunnerKeys {
  static readonly none = new RunnerKeys(new Map());

  readonly #psks: ReadonlyMap<string, Bytes>;
  /** The kid of the active key: the first entry is its own. */
  readonly #active: string | undefined;
  /** Client → how many keys it has here. */
  readonly #clients = new Map<string, number>();

  private constructor(psks: ReadonlyMap<string, Bytes>) {
    this.#psks = psks;
    const [first] = psks.keys();
    this.#active = first === undefined ? undefined : parsePskId(first)?.kid;
    for (const id of psks.keys()) {
      const client = parsePskId(id)?.client;
      if (client !== undefined) this.#clients.set(client, (this.#clients.get(client) ?? 0) + 1);
    }
  }

  /** @throws {SecLlamaError} `pipe-broken` if the payload is malformed. */
  static decode(payload: Uint8Array): RunnerKeys {
    return new RunnerKeys(decodePsks(payload));
  }

  get(pskId: string): Bytes | undefined {
    return this.#psks.get(pskId);
  }

  /** Whether `pskId` is of a paired client that has no key here at all any more. Local clients are never revoked. */
  isRevoked(pskId: string): boolean {
    const client = parsePskId(pskId)?.client;
    return client !== undefined && !this.#clients.has(client);
  }

  /** The key that the client of `pskId` is to take up; undefined if it uses the newest. */
  renewalOf(pskId: string): Renewal | undefined {
    const named = parsePskId(pskId);
    if (named?.client === undefined || this.#active === undefined) return undefined;
    if (named.kid === this.#active) return undefined;
    const newer = clientPskId(this.#active, named.client);
    const psk = this.#psks.get(newer);
    return psk && { pskId: newer, psk: psk.slice() };
  }

  /** Whether `pskId` is a client's newest key and it still has an older one. */
  supersedes(pskId: string): boolean {
    const named = parsePskId(pskId);
    return named?.client !== undefined && named.kid === this.#active &&
      (this.#clients.get(named.client) ?? 0) > 1;
  }

  zero(): void {
    for (const psk of this.#psks.values()) psk.fill(0);
  }
}
