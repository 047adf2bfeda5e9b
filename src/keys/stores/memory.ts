/** A key store in this process's memory. Nothing in it outlives the process. */
import type { Bytes } from "../../bytes.ts";
import type { Backend, KeyStore, StoreStatus } from "./store.ts";
import { wipe } from "../../secret.ts";

export class MemoryStore implements KeyStore {
  readonly backend: Backend = "memory";
  readonly #items = new Map<string, Bytes>();

  probe(): Promise<StoreStatus> {
    // Nothing is at rest, so nothing is there in plaintext.
    return Promise.resolve({
      reachable: true,
      locked: false,
      writable: true,
      encryptedAtRest: "yes",
    });
  }

  get(account: string): Promise<Bytes | undefined> {
    return Promise.resolve(this.#items.get(account)?.slice());
  }

  put(account: string, value: Uint8Array): Promise<void> {
    wipe(this.#items.get(account));
    this.#items.set(account, new Uint8Array(value));
    return Promise.resolve();
  }

  remove(account: string): Promise<void> {
    wipe(this.#items.get(account));
    this.#items.delete(account);
    return Promise.resolve();
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.#items.keys()]);
  }

  /** Zeroes and drops every item. */
  clear(): void {
    wipe(...this.#items.values());
    this.#items.clear();
  }
}
