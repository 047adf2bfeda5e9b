/**
 * The gateways that this machine is paired with: names and addresses in `pairings.json`, and each pairing string as an item
 * of the key store. The string is opaque here. An item is written once and never in place: a renewed one is a new item, which
 * the file names before the old one goes.
 */
import { join } from "node:path";
import { toHex, utf8, utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { refuseNewer } from "../../newer_file.ts";
import { secret, SecretMap } from "../../secret.ts";
import { isClientName } from "./client_list.ts";
import { ioError, ManifestFile, writeFileAtomically } from "../keyset/manifest_file.ts";
import { type Backend, BACKEND_NAMES, type KeyStore } from "../stores/store.ts";

const VERSION = 1;
const CAP_BYTES = 1_048_576;

interface Entry {
  /** The key store's item is `pairing<id>`. */
  readonly id: string;
  readonly url: string;
}

interface Pairings {
  readonly backend: Backend;
  /** The one that is used unless another is named. */
  readonly current: string | null;
  readonly gateways: { readonly [name: string]: Entry };
}

/** One gateway as it is listed. */
export interface PairedGateway {
  /** What it is called here. */
  readonly name: string;
  /** Its address. */
  readonly url: string;
  /** Whether it is used unless another is named. */
  readonly current: boolean;
}

/** Pairings on their way into a backup. */
export interface ExportedPairings extends Disposable {
  /** By the names that their store has for them. */
  readonly items: SecretMap;
  /** Names of those whose key is in another store, or lost. */
  readonly without: readonly string[];
}

/** Whether exactly these items are what `pairings.json` in a copy of the data folder names, but for those `without` a key. */
export async function isOfPairings(
  folder: string,
  { items, without }: ExportedPairings,
): Promise<boolean> {
  const all = Object.entries((await readFile(folder))?.gateways ?? {});
  const rest = all.filter(([name]) => !without.includes(name));
  return all.length - rest.length === without.length && rest.length === items.size &&
    rest.every(([, { id }]) => items.has(account(id)));
}

/** Says that the pairings in `dataDir` are in a store of this kind, where they were put. The caller holds the lock. */
export async function adoptPairings(dataDir: string, backend: Backend): Promise<void> {
  const pairings = await readFile(dataDir);
  if (pairings === undefined || pairings.backend === backend) return;
  await write(dataDir, { ...pairings, backend });
}

/** The gateways in `dataDir`, by name. Reads no key store. @throws {SecLlamaError} `key-corrupt`, `key-io`. */
export async function listPairings(dataDir: string): Promise<PairedGateway[]> {
  const found = await readFile(dataDir);
  return Object.entries(found?.gateways ?? {}).map(([name, { url }]) => ({
    name,
    url,
    current: name === found!.current,
  })).sort((a, b) => a.name.localeCompare(b.name));
}

/**
 * The kind of store that the pairings in `dataDir` are in; undefined: there are none. @throws {SecLlamaError} As {@link
 * listPairings}.
 */
export async function pairingsBackend(dataDir: string): Promise<Backend | undefined> {
  return (await readFile(dataDir))?.backend;
}

/** Refuses what no gateway may be called here. @throws {SecLlamaError} `usage`. */
export function checkPairingName(name: string): void {
  if (isClientName(name)) return;
  throw new SecLlamaError("usage", "a gateway's name is 1 to 64 letters, digits, spaces and . _ -");
}

/** The pairing strings of this machine: names and addresses in one file, the strings in a key store. */
export class PairingStore {
  readonly #dataDir: string;
  readonly #store: KeyStore;

  /** Nothing is read or written yet. */
  constructor(dataDir: string, store: KeyStore) {
    this.#dataDir = dataDir;
    this.#store = store;
  }

  /**
   * Stores a pairing string under `name` and makes it the current one; one of the same name is replaced.
   * @throws {SecLlamaError} `usage` for a bad name, `key-refused` if other pairings are in another store, and what the store
   * throws.
   */
  async add(name: string, url: string, text: string): Promise<void> {
    checkPairingName(name);
    await this.#change(async (pairings) => {
      const id = await this.#put(text);
      return {
        next: {
          ...pairings,
          current: name,
          gateways: { ...pairings.gateways, [name]: { id, url } },
        },
        stale: pairings.gateways[name]?.id,
      };
    });
  }

  /** The pairing string of `name`, or of the current one. @throws {SecLlamaError} `not-found`, `key-lost`, the store's. */
  async read(name?: string): Promise<{ name: string; text: string }> {
    // A renewal by another process may replace the item between the two reads.
    for (let attempt = 0;; attempt++) {
      const pairings = await readFile(this.#dataDir);
      const wanted = name ?? pairings?.current ?? undefined;
      const entry = wanted === undefined ? undefined : pairings?.gateways[wanted];
      if (wanted === undefined || entry === undefined) throw unknown(name);
      this.#checkBackend(pairings!);
      using value = secret(await this.#store.get(account(entry.id)));
      if (value !== undefined) return { name: wanted, text: utf8Decode(value) };
      if (attempt === 3) {
        throw new SecLlamaError(
          "key-lost",
          `the key of the gateway ${wanted} is not in ${BACKEND_NAMES[this.#store.backend]}`,
          {
            hint: "pair this machine anew: on the host, run: secllama pair NAME --replace --url …",
          },
        );
      }
    }
  }

  /** Replaces the pairing string of `name`, which stays current or not. @throws {SecLlamaError} `not-found`, the store's. */
  replace(name: string, text: string): Promise<void> {
    return this.#change(async (pairings) => {
      const entry = pairings.gateways[name];
      if (entry === undefined) throw unknown(name);
      const id = await this.#put(text);
      const gateways = { ...pairings.gateways, [name]: { ...entry, id } };
      return { next: { ...pairings, gateways }, stale: entry.id };
    });
  }

  /** Makes `name` the current one. @throws {SecLlamaError} `not-found`. */
  use(name: string): Promise<void> {
    return this.#change((pairings) => {
      if (pairings.gateways[name] === undefined) throw unknown(name);
      return Promise.resolve({ next: { ...pairings, current: name } });
    });
  }

  /** Forgets a gateway and its key. Returns its name. @throws {SecLlamaError} `not-found`, the store's. */
  async remove(name?: string): Promise<string> {
    let removed = "";
    await this.#change((pairings) => {
      removed = name ?? pairings.current ?? "";
      const { [removed]: entry, ...gateways } = pairings.gateways;
      if (entry === undefined) throw unknown(name);
      const current = pairings.current === removed ? null : pairings.current;
      return Promise.resolve({ next: { ...pairings, current, gateways }, stale: entry.id });
    });
    return removed;
  }

  /** What a backup needs of them. @throws {SecLlamaError} `key-corrupt`, `key-io`, the store's. */
  async exported(): Promise<ExportedPairings> {
    const items = new SecretMap();
    const without: string[] = [];
    try {
      const file = await readFile(this.#dataDir);
      for (const [name, { id }] of Object.entries(file?.gateways ?? {})) {
        const value = file!.backend === this.#store.backend
          ? await this.#store.get(account(id))
          : undefined;
        if (value === undefined) without.push(name);
        else items.set(account(id), value);
      }
    } catch (error) {
      items[Symbol.dispose]();
      throw error;
    }
    return { items, without, [Symbol.dispose]: () => items[Symbol.dispose]() };
  }

  async #put(text: string): Promise<string> {
    const id = toHex(crypto.getRandomValues(new Uint8Array(8)));
    using value = secret(utf8(text));
    await this.#store.put(account(id), value);
    return id;
  }

  async #change(
    change: (pairings: Pairings) => Promise<{ next: Pairings; stale?: string | undefined }>,
  ): Promise<void> {
    await new ManifestFile(this.#dataDir).withLock(async () => {
      const old = await readFile(this.#dataDir) ??
        { backend: this.#store.backend, current: null, gateways: {} };
      if (Object.keys(old.gateways).length > 0) this.#checkBackend(old);
      const { next, stale } = await change({ ...old, backend: this.#store.backend });
      await write(this.#dataDir, next);
      if (stale !== undefined) await this.#store.remove(account(stale));
    });
  }

  #checkBackend(pairings: Pairings): void {
    if (pairings.backend === this.#store.backend) return;
    throw new SecLlamaError(
      "key-refused",
      `the pairings of this machine are in ${BACKEND_NAMES[pairings.backend]}, not in ${
        BACKEND_NAMES[this.#store.backend]
      }`,
      { hint: "run with the key source that they were made with: see secllama proxy --help" },
    );
  }
}

function account(id: string): string {
  return `pairing${id}`;
}

/** Whether a key store's item is a pairing with a gateway, by what it is called there. */
export function isPairingAccount(name: string): boolean {
  return /^pairing[0-9a-f]{16}$/.test(name);
}

function pathIn(dataDir: string): string {
  return join(dataDir, "pairings.json");
}

async function write(dataDir: string, pairings: Pairings): Promise<void> {
  const text = JSON.stringify({ v: VERSION, ...pairings }, null, 2) + "\n";
  await writeFileAtomically(pathIn(dataDir), utf8(text));
}

async function readFile(dataDir: string): Promise<Pairings | undefined> {
  const path = pathIn(dataDir);
  let text: string;
  try {
    if ((await Deno.stat(path)).size > CAP_BYTES) throw damaged();
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw ioError("read", path, error);
  }
  try {
    const value = JSON.parse(text);
    refuseNewer("pairings.json", value, VERSION);
    const { v, backend, current, gateways } = value;
    const good = v === VERSION && Object.hasOwn(BACKEND_NAMES, backend) &&
      typeof gateways === "object" && gateways !== null &&
      Object.entries(gateways as Record<string, Entry>).every(([name, entry]) =>
        isClientName(name) && /^[0-9a-f]{16}$/.test(entry.id) && typeof entry.url === "string"
      ) && (current === null || Object.hasOwn(gateways, current));
    if (good) return { backend, current, gateways };
  } catch (error) {
    if (error instanceof SecLlamaError) throw error;
  }
  throw damaged();
}

function damaged(): SecLlamaError {
  return new SecLlamaError("key-corrupt", "pairings.json is damaged", {
    hint: "put it back; or move it away and pair this machine anew: secllama proxy --pair -",
  });
}

function unknown(name: string | undefined): SecLlamaError {
  return new SecLlamaError(
    "not-found",
    name === undefined
      ? "this machine is paired with no gateway"
      : `this machine is not paired with a gateway named ${name.slice(0, 64)}`,
    {
      hint: "to see the gateways: secllama proxy --pairings; to pair: secllama proxy --pair -",
    },
  );
}
