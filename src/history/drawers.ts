/**
 * What a user keeps beside conversations, a JSON document each: the prompt library, the model for embeddings. Sealed under the
 * vault's key.
 */
import { createHash } from "node:crypto";
import { fromHex, toHex, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { Database } from "./database.ts";
import { KIND, open, seal } from "./seal.ts";
import type { VaultKey } from "./vault.ts";

/** The drawers that there are. */
const NAMES = ["prompts", "embedding"] as const;
type DrawerName = typeof NAMES[number];

/** The drawers of a database. */
export class Drawers {
  readonly #db: Database;
  readonly #vault: readonly VaultKey[];

  constructor(db: Database, vault: readonly VaultKey[]) {
    this.#db = db;
    this.#vault = vault;
  }

  /** What is in it; undefined: nothing. @throws {SecLlamaError} `decrypt-failed`. */
  read(name: DrawerName): unknown {
    const row = this.#db.row("SELECT vault, sealed FROM drawers WHERE id = ?", idOf(name));
    if (row === undefined) return undefined;
    const vault = this.#vault.find(({ id }) => id === toHex(row["vault"] as Uint8Array));
    if (vault === undefined) {
      throw new SecLlamaError("decrypt-failed", `the ${name} cannot be opened: their key is gone`, {
        hint: "put the history back from a backup, or save new ones in their place",
      });
    }
    return JSON.parse(utf8Decode(open(vault.key, place(name), row["sealed"] as Uint8Array)));
  }

  /** Replaces what is in it. */
  write(name: DrawerName, value: unknown, vault: VaultKey = this.#vault[0]!): void {
    this.#db.transaction(() => {
      this.#db.run(
        "INSERT OR REPLACE INTO drawers (id, vault, sealed) VALUES (?, ?, ?)",
        idOf(name),
        fromHex(vault.id),
        seal(vault.key, place(name), utf8(JSON.stringify(value))),
      );
    });
  }

  /** Seals all of them anew, within a transaction. What is damaged stays damaged. */
  rekey(next: VaultKey): void {
    for (const name of NAMES) {
      let value: unknown;
      try {
        value = this.read(name);
      } catch (error) {
        if (!(error instanceof SecLlamaError) || error.code !== "decrypt-failed") throw error;
      }
      if (value !== undefined) this.write(name, value, next);
    }
  }
}

function idOf(name: DrawerName): Uint8Array {
  return new Uint8Array(createHash("sha256").update(name).digest().subarray(0, 16));
}

function place(name: DrawerName) {
  return { kind: KIND.drawer, conversation: idOf(name), position: 0 };
}
