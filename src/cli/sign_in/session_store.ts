/** What keeps a session going, in the key store beside its pairing: the provider and the refresh token. */
import { utf8, utf8Decode } from "../../bytes.ts";
import type { KeyStore } from "../../keys/mod.ts";
import { secret } from "../../secret.ts";

/** As it is kept. */
interface Session {
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
  /** Undefined: the provider gave none. */
  readonly refresh: string | undefined;
  /** As the gateway said last; absent in what an older version kept. */
  readonly role?: string;
  /** ISO 8601. */
  readonly expires?: string;
}

/** The session at one gateway. */
export class SessionStore {
  readonly #store: KeyStore;
  readonly #account: string;

  /** @param name What the gateway is called here. */
  constructor(store: KeyStore, name: string) {
    this.#store = store;
    this.#account = `session${utf8(name).toHex()}`.slice(0, 200);
  }

  /** Undefined: there is none. */
  async read(): Promise<Session | undefined> {
    using value = secret(await this.#store.get(this.#account));
    if (value === undefined) return undefined;
    try {
      return JSON.parse(utf8Decode(value));
    } catch {
      return undefined;
    }
  }

  /** Forgets it. */
  remove(): Promise<void> {
    return this.#store.remove(this.#account);
  }

  /** Replaces what there is. */
  async keep(session: Session): Promise<void> {
    using value = secret(utf8(JSON.stringify(session)));
    await this.#store.put(this.#account, value);
  }
}
