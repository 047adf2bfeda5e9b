/**
 * What a running gateway or proxy may do with the host's keys, one interface for each use: a function names those that it needs,
 * and a reader sees what it cannot do. No interface hands out a master key. `StoreSource` and `FixedSource` implement all of
 * them; source.ts opens one.
 */
import type { Bytes } from "../bytes.ts";
import type { ClientRegistry } from "./clients/registry.ts";
import type { KeyRing } from "./key_ring.ts";
import type { StorageKeys } from "./keyset/wrap.ts";
import type { Backend } from "./stores/store.ts";

/** What may be told about the keys. Nothing of it is secret. */
export interface KeyFacts {
  /** Where the keys live. */
  readonly backend: Backend;
  /** One line: "key 0011223344556677 in the Secret Service key store". */
  readonly describe: string;
  /** The key that new exchanges are under now, and when it was made, unix ms; null: nobody knows, it came from outside. */
  readonly active: { readonly kid: string; readonly createdMs: number | null };
  /** What the user should know before relying on it, one line each. */
  readonly warnings: readonly string[];
  /** Whether the key dies with this process. */
  readonly ephemeral: boolean;
  /** Whether the first key was made just now. */
  readonly initialised: boolean;
  /** The host's id, 16 random bytes made once. */
  readonly hid: Bytes;
}

/** Derives the pre-shared keys of those who may come. */
export interface RingSource {
  /** Differs whenever `ring` would: a rotation, a client that came or went, the end of a grace. Cheap: two files' dates. */
  changes(): Promise<string>;
  /**
   * The keys as they are now, for the caller's `using`. Keys retired as compromised are not in it. While the list of clients
   * cannot be verified no client is; {@link ClientSource.clients} says why.
   */
  ring(): Promise<KeyRing>;
}

/** Pairs, lists, renames and revokes clients. */
export interface ClientSource {
  /** The paired clients. @throws {SecLlamaError} `key-refused` for a key that dies with this process. */
  clients(): ClientRegistry;
}

/** Seals short secrets for the disk, and opens them. */
export interface StorageSource {
  /** Wraps and unwraps under the active key, across rotations. */
  storage(): StorageKeys;
}

/** The keys of the audit log under one master key, for the caller's `using`. */
export interface AuditKeys extends Disposable {
  /** The master key's id. */
  readonly kid: string;
  /** The Ed25519 seed of the log's heads, 32 bytes. */
  readonly seed: Bytes;
  /** Of the HMAC over its lines, 32 bytes. */
  readonly line: Bytes;
}

/** Signs and authenticates the audit log. */
export interface AuditSource {
  /**
   * The audit log's keys under the active master key, or under `kid`.
   * @throws {SecLlamaError} `not-found` or `key-lost` for a key that is not there any more, and what the key store throws.
   */
  auditKeys(kid?: string): Promise<AuditKeys>;
}

/** All uses. Disposing of it zeroes what it holds. */
export interface KeySource
  extends KeyFacts, RingSource, ClientSource, StorageSource, AuditSource, Disposable {}
