/**
 * The interface of a key store: small named items that hold one ASCII line each. A store knows nothing of kids, of the
 * manifest or of rotation; the manager writes an item once and never in place, except `head`.
 *
 * The rule every store keeps: `get` returns undefined only when the item is known to be absent. A store that is locked,
 * dead, slow or of unknown state throws, so that no key is ever made over a failed read.
 */
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";

/** Where keys live. The first five are stores; a keyset records its own in the manifest. */
export type Backend =
  | "secret-service"
  | "macos-keychain"
  | "windows-credential-manager"
  | "file"
  | "memory"
  | "key-fd"
  | "credential"
  | "environment";

/** Also where it cannot be known. */
export type YesNoUnknown = "yes" | "no" | "unknown";

/** What a key store can do just now. */
export interface StoreStatus {
  /** Whether it answers. */
  readonly reachable: boolean;
  /** Whether it must be unlocked first. */
  readonly locked: boolean;
  /** Whether new items can be written without somebody answering a prompt. */
  readonly writable: boolean;
  /** Whether what it keeps on the disk is encrypted. */
  readonly encryptedAtRest: YesNoUnknown;
  /** Why it is not reachable or not writable, one line for a person. */
  readonly reason?: string;
  /** What to do about it, one line. */
  readonly hint?: string;
}

/** Named items in the system's key store, or in what stands for one. */
export interface KeyStore {
  /** Which kind it is, as the manifest records it. */
  readonly backend: Backend;
  /** What the user should know about it, one line each; complete once it was read. */
  readonly warnings?: readonly string[];
  /** Never throws and never prompts. */
  probe(): Promise<StoreStatus>;
  /** Asks for what a first write needs, before anything is written; a store that asks nothing has none. @throws As `put`. */
  prepare?(): Promise<void>;
  /**
   * The item's value, which the caller zeroes, or undefined if it is known to be absent.
   * @throws {SecLlamaError} `key-locked`, `key-cancelled` or `key-store-unavailable`.
   */
  get(account: string): Promise<Bytes | undefined>;
  /**
   * Writes one item, in place of one of the same name.
   * @throws {SecLlamaError} As `get`, and `key-refused` if the store would keep the item in plaintext.
   */
  put(account: string, value: Uint8Array): Promise<void>;
  /** Removes one item; no error if it is absent. @throws {SecLlamaError} As `get`. */
  remove(account: string): Promise<void>;
  /** The accounts of all items of this profile. @throws {SecLlamaError} As `get`. */
  list(): Promise<string[]>;
  /** The file that it is to be, where there is none: its path is perhaps mistyped. */
  missingFile?(): Promise<string | undefined>;
}

/** What a person calls the backend. */
export const BACKEND_NAMES: { readonly [backend in Backend]: string } = {
  "secret-service": "the Secret Service key store",
  "macos-keychain": "the macOS keychain",
  "windows-credential-manager": "the Windows Credential Manager",
  "file": "a passphrase-wrapped file",
  "memory": "memory only",
  "key-fd": "a file descriptor (--key-fd)",
  "credential": "a systemd credential",
  "environment": "the environment (SECLLAMA_KEY)",
};

/** The error for a store whose probe said it cannot be used. */
export function unavailable(status: StoreStatus, cause?: unknown): SecLlamaError {
  return new SecLlamaError(
    "key-store-unavailable",
    `the key store is not available: ${status.reason ?? "it gave no reason"}`,
    { ...(status.hint ? { hint: status.hint } : {}), ...(cause === undefined ? {} : { cause }) },
  );
}

/** The error for a locked store. */
export function locked(status: StoreStatus): SecLlamaError {
  return new SecLlamaError("key-locked", `the key store is locked: ${status.reason ?? ""}`, {
    ...(status.hint ? { hint: status.hint } : {}),
  });
}

/** The error for a keyring that would keep the key as it is. */
export function plaintextKeyring(): SecLlamaError {
  return new SecLlamaError(
    "key-refused",
    "the default keyring has a blank password and would keep the key in plaintext",
    {
      hint:
        "give the keyring a password, or use a passphrase-wrapped file: --key-file (secllama help keys)",
    },
  );
}
