/** The fleet's clients as one host has them, with their host PSKs; overwritten when they end. */
import type { Bytes } from "../bytes.ts";
import { wipe } from "../secret.ts";
import { type BundleClient, type BundleKey, parseClients } from "./bundle.ts";
import { type Contents, refused } from "./record.ts";

const PSK_BYTES = 32;

/** A key of a client. */
export interface TableKey extends BundleKey {
  readonly client: BundleClient;
  /** 32 bytes; the table's own. */
  readonly psk: Bytes;
}

/** Changes while rings look at it: nobody is served by what is no more in it. */
export class ClientTable implements Disposable {
  readonly #clients = new Map<string, BundleClient>();
  readonly #keys = new Map<string, TableKey>();

  get size(): number {
    return this.#clients.size;
  }

  client(id: string): BundleClient | undefined {
    return this.#clients.get(id);
  }

  key(pskId: string): TableKey | undefined {
    return this.#keys.get(pskId);
  }

  /**
   * Takes a base's part or a change up, or leaves the table as it is; the secrets are its own from then on.
   * @throws {SecLlamaError} `key-refused`.
   */
  apply({ json, secrets }: Contents): void {
    const said = parseClients(json);
    if (said === undefined) throw refused("has clients that this version does not understand");
    const { clients, gone = [] } = said;
    const count = clients.reduce((sum, { keys }) => sum + keys.length, 0);
    if (count !== secrets.length || secrets.some(({ length }) => length !== PSK_BYTES)) {
      throw refused("is not whole");
    }
    const replaced = new Set([...gone, ...clients.map(({ id }) => id)]);
    for (const { pskId } of clients.flatMap(({ keys }) => keys)) {
      const there = this.#keys.get(pskId);
      if (there && !replaced.has(there.client.id)) throw refused("has one key for two clients");
    }
    for (const id of gone) this.#remove(id);
    let at = 0;
    for (const client of clients) {
      this.#remove(client.id);
      this.#clients.set(client.id, client);
      for (const key of client.keys) {
        this.#keys.set(key.pskId, { ...key, client, psk: secrets[at++]! });
      }
    }
  }

  #remove(id: string): void {
    for (const { pskId } of this.#clients.get(id)?.keys ?? []) {
      wipe(this.#keys.get(pskId)?.psk);
      this.#keys.delete(pskId);
    }
    this.#clients.delete(id);
  }

  [Symbol.dispose](): void {
    for (const { psk } of this.#keys.values()) wipe(psk);
    this.#keys.clear();
    this.#clients.clear();
  }
}
