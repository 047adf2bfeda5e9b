/** A keyset that comes back from a backup: its keys into the store of this machine, its manifest signed anew for that. */
import type { Bytes } from "../../bytes.ts";
import { utf8 } from "../../bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../../errors.ts";
import type { KeyStore } from "../stores/store.ts";
import { SecretMap } from "../../secret.ts";
import { parseClientList } from "../clients/client_list.ts";
import { adoptPairings } from "../clients/pairings.ts";
import { REVISION } from "../clients/client_list_file.ts";
import { HEAD, readHead } from "./keyset.ts";
import { isCommitted, parseManifest, verifyManifest } from "./manifest.ts";
import { commit, type Place, storeKeys } from "./transaction.ts";
import { readExport } from "./transfer.ts";

/** What a backup has of a keyset. */
interface KeysetToRestore {
  /** The keys, as an export wraps them. */
  readonly box: Bytes;
  readonly manifest: Bytes;
  /** The list of clients; undefined: there was none. */
  readonly clients: Bytes | undefined;
}

/** A keyset whose parts fit; nothing was changed yet. */
export interface CheckedKeyset extends Disposable {
  readonly gen: number;
  readonly active: string;
  /** How many pairings with gateways come with it. */
  readonly pairings: number;
  /** The generation that the store has keys of already; 0: what says it is damaged; undefined: none. */
  generationIn(store: KeyStore): Promise<number | undefined>;
  /**
   * Puts it in the place of whatever is there, with a generation above both. Keys that the store has besides stay in it. The caller
   * holds the lock, and has put the list of clients where it belongs.
   */
  put(place: Place): Promise<void>;
}

/** @throws {SecLlamaError} `key-locked` for another passphrase, `key-corrupt` if the parts do not fit. */
export async function checkKeyset(
  { box, manifest: bytes, clients }: KeysetToRestore,
  passphrase: Bytes,
): Promise<CheckedKeyset> {
  const keys = new SecretMap();
  const pairings = new SecretMap();
  try {
    const active = await readExport(box, passphrase, keys, pairings);
    const signed = parseManifest(bytes);
    const { manifest } = signed;
    await verifyManifest(signed, keys.get(active)!);
    if (!isCommitted(manifest) || manifest.active !== active) {
      throw new SecLlamaError("key-corrupt", "the backup's keys are not those of its keyset");
    }
    const rev = clients === undefined ? 0 : parseClientList(clients).list.rev;
    return {
      gen: manifest.gen,
      active,
      pairings: pairings.size,
      async generationIn(store) {
        try {
          return (await readHead(store))?.gen;
        } catch (error) {
          // There is something, and a host may live by it.
          return toSecLlamaError(error).code === "key-corrupt" ? 0 : undefined;
        }
      },
      async put(place) {
        const { store, profile } = place;
        await storeKeys(store, keys);
        for (const [account, value] of pairings) await store.put(account, value);
        await adoptPairings(place.file.dataDir, store.backend);
        const head = await readHead(store).catch(() => null);
        const gen = Math.max(manifest.gen, head?.gen ?? 0) + 1;
        // A head that names another key would make the new manifest an older one's.
        await store.remove(HEAD);
        await store.put(REVISION, utf8(rev === 0 ? "" : `sl1c:${rev}`));
        await commit(
          place,
          { ...manifest, gen, backend: store.backend, profile, pending: null },
          keys.get(active)!,
        );
      },
      [Symbol.dispose]() {
        keys[Symbol.dispose]();
        pairings[Symbol.dispose]();
      },
    };
  } catch (error) {
    keys[Symbol.dispose]();
    pairings[Symbol.dispose]();
    throw error;
  }
}
