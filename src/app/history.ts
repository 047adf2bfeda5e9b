/** The history's keys, from wherever this process has its own. */
import { SecLlamaError } from "../errors.ts";
import { Vault, type VaultKey } from "../history/vault.ts";
import {
  type KeyFacts,
  type KeySourceOptions,
  ManifestFile,
  openLastingKeySource,
  type StorageSource,
} from "../keys/mod.ts";

/** The vault of a data folder under this process's keys. */
export function vaultOf(dataDir: string, keys: StorageSource): Vault {
  return new Vault(new ManifestFile(dataDir), () => Promise.resolve(keys.storage()));
}

/**
 * Opens the vault under keys that are open.
 * @returns A function that throws `key-refused` where the key dies with the process: nothing sealed under it would ever open again.
 */
export function openVault(
  dataDir: string,
  keys: StorageSource & Pick<KeyFacts, "backend">,
): () => Promise<VaultKey[]> {
  return async () => {
    if (keys.backend === "memory") {
      throw new SecLlamaError(
        "key-refused",
        "no history is kept: the key is in memory only and ends with the process",
        { hint: "use the key store or another lasting key source: see secllama help keys" },
      );
    }
    return await vaultOf(dataDir, keys).open();
  };
}

/** Opens the vault with keys that are opened for it, and makes the first key where there is none. */
export function openVaultFrom(options: () => KeySourceOptions): () => Promise<VaultKey[]> {
  return async () => {
    const o = options();
    using keys = await openLastingKeySource({ ...o, autoInit: true });
    return await openVault(o.dataDir, keys)();
  };
}
