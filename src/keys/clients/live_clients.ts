/**
 * The clients that are not revoked, by id, read anew only when the list has changed. None while it does not verify: whoever was
 * revoked must not come back by a damaged file.
 */
import { SecLlamaError } from "../../errors.ts";
import type { PairedClient } from "./client_list.ts";
import type { ClientRegistry } from "./registry.ts";
import type { Role } from "./role.ts";

type Clients = ReadonlyMap<string, PairedClient>;
type Roles = ReadonlyMap<string, Role>;

export class LiveClients {
  readonly #registry: ClientRegistry;
  #seen: { fingerprint: string; rev: number; clients: Clients; roles: Roles } | undefined;
  #problem: SecLlamaError | undefined;

  constructor(registry: ClientRegistry) {
    this.#registry = registry;
  }

  /** Differs whenever the list was replaced. Cheap: one look at one file. */
  fingerprint(): string {
    return this.#registry.fingerprint();
  }

  /** The roles of the list that verified last, by name; undefined: none has, and nobody knows what a role forbids. */
  get roles(): Roles | undefined {
    return this.#seen?.roles;
  }

  /** Why the list did not verify when it was read last; undefined: it did. */
  get problem(): SecLlamaError | undefined {
    return this.#problem;
  }

  /** @throws {SecLlamaError} What {@link ClientRegistry.read} throws but `key-corrupt`. */
  async read(): Promise<Clients> {
    const fingerprint = this.#registry.fingerprint();
    if (this.#seen?.fingerprint === fingerprint) {
      this.#problem = undefined;
      return this.#seen.clients;
    }
    try {
      const atLeast = this.#seen?.rev;
      const list = await this.#registry.read(atLeast === undefined ? {} : { atLeast });
      const live = list.clients.filter(({ revoked }) => revoked === null);
      const clients = new Map(live.map((client) => [client.id, client]));
      const roles = new Map((list.roles ?? []).map((role) => [role.name, role]));
      this.#seen = { fingerprint, rev: list.rev, clients, roles };
      this.#problem = undefined;
      return clients;
    } catch (error) {
      if (!(error instanceof SecLlamaError) || error.code !== "key-corrupt") throw error;
      this.#problem = error;
      return new Map();
    }
  }
}
