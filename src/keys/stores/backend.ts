/**
 * Which key source a process uses. The order is fixed and everything but the operating system's own store has to be named
 * by the user: --key-fd, systemd's credential, SECLLAMA_KEY, --key-file, --ephemeral, else the store.
 */
import type { Bytes } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { keyFromCredential, keyFromDescriptor, keyFromEnvironment } from "./headless.ts";
import { newKey } from "../keyset/kid.ts";
import { isProfile } from "../keyset/manifest.ts";
import type { Backend, KeyStore } from "./store.ts";
import { OTHER_SOURCES } from "./packages.ts";
import { FileStore } from "./file.ts";
import { SecretServiceStore } from "./linux.ts";
import { MacosStore } from "./macos.ts";
import { WindowsStore } from "./windows.ts";

/** Which key source the user named, and what it needs. */
export interface BackendOptions {
  /**
   * The caller's environment: `CREDENTIALS_DIRECTORY` and `SECLLAMA_KEY`, which name a key, and what the store's tools need. Nothing
   * else is taken from it: name the variables in --allow-env.
   */
  readonly env: { readonly [name: string]: string | undefined };
  /** Lower-case letters, digits and `-`; default `default`. Several keysets in one store. */
  readonly profile?: string;
  /** Whether somebody is there to answer the store's prompt. */
  readonly interactive: boolean;
  /** --key-fd: an open file descriptor to read the key from. */
  readonly keyFd?: number;
  /** --key-file: the path of a passphrase-wrapped key file. */
  readonly keyFile?: string;
  /** Asked once, when the key file is first used; undefined when nobody answered. Called again with `confirm` to make one. */
  readonly passphrase?: (
    question: { confirm: boolean; wrong?: SecLlamaError },
  ) => Promise<Bytes | undefined>;
  /** --ephemeral: a key in memory only. */
  readonly ephemeral?: boolean;
  /** Stands in for the operating system's store; for tests and embedders. */
  readonly store?: KeyStore;
}

export type Chosen =
  | { readonly kind: "fixed"; readonly backend: Backend; readonly key: Bytes }
  | { readonly kind: "store"; readonly store: KeyStore; readonly profile: string };

/**
 * Chooses and, for a fixed key, reads it. Nothing is contacted for a store yet.
 * @throws {SecLlamaError} `usage` for a bad profile or descriptor, `key-corrupt` for a value that is no key.
 */
export async function chooseBackend(options: BackendOptions): Promise<Chosen> {
  const profile = options.profile ?? "default";
  if (!isProfile(profile)) {
    throw new SecLlamaError("usage", "a profile is 1 to 32 lower-case letters, digits and -", {
      field: "--profile",
    });
  }
  if (options.keyFd !== undefined) {
    return { kind: "fixed", backend: "key-fd", key: await keyFromDescriptor(options.keyFd) };
  }
  const credentials = options.env["CREDENTIALS_DIRECTORY"];
  if (credentials) {
    const key = await keyFromCredential(credentials);
    if (key) return { kind: "fixed", backend: "credential", key };
  }
  const envKey = options.env["SECLLAMA_KEY"];
  if (envKey) {
    return { kind: "fixed", backend: "environment", key: keyFromEnvironment(envKey) };
  }
  if (options.keyFile !== undefined) {
    const store = new FileStore({
      path: options.keyFile,
      passphrase: options.passphrase ?? (() => Promise.resolve(undefined)),
    });
    return { kind: "store", store, profile };
  }
  if (options.ephemeral) return { kind: "fixed", backend: "memory", key: newKey() };
  return { kind: "store", store: options.store ?? systemStore(options, profile), profile };
}

/** The operating system's own key store. @throws {SecLlamaError} `key-store-unavailable` where there is none. */
export function systemStore(
  options: Pick<BackendOptions, "env" | "interactive">,
  profile: string,
  os: typeof Deno.build.os = Deno.build.os,
): KeyStore {
  const { env, interactive } = options;
  switch (os) {
    case "linux":
      return new SecretServiceStore({ env, profile, interactive });
    case "darwin":
      return new MacosStore({ env, profile, interactive });
    case "windows":
      return new WindowsStore({ env, profile });
    default:
      throw new SecLlamaError("key-store-unavailable", `there is no key store for ${os}`, {
        hint: OTHER_SOURCES,
      });
  }
}
