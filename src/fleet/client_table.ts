/** The fleet's clients as one host has them, with their host PSKs; overwritten when they end. */
import type { Bytes } from "../bytes.ts";
import { wipe } from "../secret.ts";
import type { BundleClient, BundleClients, BundleKey } from "./bundle.ts";
import { type Contents, refused } from "./record.ts";

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

  /** Takes a base's part or a change up; the secrets are its own from then on. @throws {SecLlamaError} `key-refused`. */
  apply({ json, secrets }: Contents): void {
    const { clients, gone = [] } = json as BundleClients;
    const count = clients.reduce((sum, { keys }) => sum + keys.length, 0);
    if (count !== secrets.length) throw refused("is not whole");
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
