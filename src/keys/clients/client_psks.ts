/**
 * The pre-shared keys of paired clients, derived anew whenever the list or the keyset changes. A client that has not yet
 * taken up a new key is accepted under the one it has for the grace, and no longer once it has shown the new one.
 */
import { fromHex } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import type { ClientList } from "./client_list.ts";
import type { ClientRegistry } from "./registry.ts";
import { clientPskId, deriveClientPsk } from "../derive.ts";
import type { PskEntry } from "../source.ts";

export const DEFAULT_CLIENT_GRACE_MS = 30 * 86_400_000;

/** A local entry, with what decides how its key's clients are treated. */
export interface LocalPsk extends PskEntry {
  /** When the master key was made, unix ms. */
  readonly createdMs: number;
}

export class ClientPsks {
  readonly registry: ClientRegistry;
  readonly #graceMs: number;
  readonly #now: () => Date;
  #seen: { fingerprint: string; list: ClientList } | undefined;

  constructor(registry: ClientRegistry, graceMs: number, now: () => Date = () => new Date()) {
    this.registry = registry;
    this.#graceMs = graceMs;
    this.#now = now;
  }

  /** Differs whenever `entries` would, keysets apart. */
  changes(locals: readonly LocalPsk[]): string {
    const kids = locals.filter((local) => this.#inGrace(local)).map((local) => local.kid);
    return `${this.registry.fingerprint()} ${kids.join(" ")}`;
  }

  /**
   * One entry for each client and each key that it may use, the active key's first. None while the list does not verify:
   * whoever was revoked must not come back by a damaged file.
   * @param locals The active key first. Only read.
   */
  async entries(locals: readonly LocalPsk[]): Promise<PskEntry[]> {
    const list = await this.#list();
    const entries: PskEntry[] = [];
    for (const local of locals) {
      if (!this.#inGrace(local)) continue;
      for (const { id, revoked, kid } of list.clients) {
        if (revoked !== null) continue;
        // What came before the key that it has shown is of no use to it any more, only to a thief.
        const shown = locals.find((other) => other.kid === kid);
        const superseded = shown === undefined || local.createdMs < shown.createdMs;
        if (superseded && local.state !== "active") continue;
        entries.push({
          pskId: clientPskId(local.kid, id),
          psk: await deriveClientPsk(local.psk, fromHex(id)),
          kid: local.kid,
          state: local.state,
          client: id,
        });
      }
    }
    return entries;
  }

  async #list(): Promise<ClientList> {
    const fingerprint = this.registry.fingerprint();
    if (this.#seen?.fingerprint === fingerprint) return this.#seen.list;
    try {
      const atLeast = this.#seen?.list.rev;
      const list = await this.registry.read(atLeast === undefined ? {} : { atLeast });
      this.#seen = { fingerprint, list };
      return list;
    } catch (error) {
      if (!(error instanceof SecLlamaError) || error.code !== "key-corrupt") throw error;
      return { rev: 0, clients: [] };
    }
  }

  #inGrace({ state, retired }: LocalPsk): boolean {
    if (state === "active") return true;
    return retired !== undefined && this.#now().getTime() < retired.getTime() + this.#graceMs;
  }
}
