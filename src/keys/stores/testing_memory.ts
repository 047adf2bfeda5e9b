/** For tests: a key store in this process's memory. Nothing in it outlives the process. Not part of the product. */
import type { Bytes } from "../../bytes.ts";
import type { Backend, KeyStore, StoreStatus } from "./store.ts";
import { wipe } from "../../secret.ts";

/** What `put` gave, by account. */
export class MemoryStore implements KeyStore {
  /** "memory". */
  readonly backend: Backend = "memory";
  readonly #items = new Map<string, Bytes>();

  /** Always there and never locked. */
  probe(): Promise<StoreStatus> {
    // Nothing is at rest, so nothing is there in plaintext.
    return Promise.resolve({
      reachable: true,
      locked: false,
      writable: true,
      encryptedAtRest: "yes",
    });
  }

  /** A copy of the item. */
  get(account: string): Promise<Bytes | undefined> {
    return Promise.resolve(this.#items.get(account)?.slice());
  }

  /** Keeps a copy. */
  put(account: string, value: Uint8Array): Promise<void> {
    wipe(this.#items.get(account));
    this.#items.set(account, new Uint8Array(value));
    return Promise.resolve();
  }

  /** Zeroes and drops the item. */
  remove(account: string): Promise<void> {
    wipe(this.#items.get(account));
    this.#items.delete(account);
    return Promise.resolve();
  }

  /** The accounts of all items. */
  list(): Promise<string[]> {
    return Promise.resolve([...this.#items.keys()]);
  }

  /** Zeroes and drops every item. */
  clear(): void {
    wipe(...this.#items.values());
    this.#items.clear();
  }
}
