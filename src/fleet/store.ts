/**
 * Where a fleet's records are, by name. Whoever keeps them is not trusted: it can keep one back or show an older one. One that is
 * here in memory, one in a file for each host, and one in NATS (nats_store.ts).
 */
import { SecLlamaError } from "../errors.ts";
import { fileStamp } from "../file_stamp.ts";
import { HINTS } from "../hints.ts";
import { readAtMost } from "../read_up_to.ts";

/** Of a hundred thousand clients it has some 130 MB. */
const MAX_FILE_BYTES = 2 ** 29 - 2 ** 20;

/** Told of a record. @param text Undefined: it was removed. */
export type OnRecord = (name: string, text: string | undefined) => void;

/** A store that cannot be reached says `fleet-unreachable`. */
export interface FleetStore extends AsyncDisposable {
  /** A record's text; undefined: there is none. */
  get(name: string): Promise<string | undefined>;
  /** Replaces it. */
  put(name: string, text: string): Promise<void>;
  /** Removes it, if it is there. Those who watch need not be told. */
  remove(name: string): Promise<void>;
  /** The names that begin so. */
  list(prefix: string): Promise<string[]>;
  /** Calls with each record that is there and, from then on, that is written; ends when the returned is called. */
  watch(prefix: string, onChange: OnRecord): Promise<() => void>;
}

/** In memory: for one process. */
export class MemoryFleetStore implements FleetStore {
  readonly #records = new Map<string, string>();
  readonly #watchers = new Set<OnRecord>();
  /** Bytes that were written, and how often. */
  readonly written = { bytes: 0, records: 0 };

  get(name: string): Promise<string | undefined> {
    return Promise.resolve(this.#records.get(name));
  }

  put(name: string, text: string): Promise<void> {
    this.#records.set(name, text);
    this.written.bytes += text.length;
    this.written.records++;
    for (const told of this.#watchers) told(name, text);
    return Promise.resolve();
  }

  remove(name: string): Promise<void> {
    this.#records.delete(name);
    for (const told of this.#watchers) told(name, undefined);
    return Promise.resolve();
  }

  list(prefix: string): Promise<string[]> {
    return Promise.resolve([...this.#records.keys()].filter((name) => name.startsWith(prefix)));
  }

  async watch(prefix: string, onChange: OnRecord): Promise<() => void> {
    const told: OnRecord = (name, text) => {
      if (name.startsWith(prefix)) onChange(name, text);
    };
    this.#watchers.add(told);
    for (const name of await this.list(prefix)) onChange(name, this.#records.get(name));
    return () => this.#watchers.delete(told);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** What a host reads its records from. */
export interface RecordSource {
  /** Another text when they may have changed. */
  version(): Promise<string>;
  get(name: string): Promise<string | undefined>;
  /** Whether a record that is not there may still come: a file is written as a whole. */
  readonly mayCome: boolean;
}

/** Of a file that {@link packRecords} made. */
export class FileSource implements RecordSource {
  readonly mayCome = false;
  readonly #path: string;
  #read: { readonly version: string; readonly records: ReadonlyMap<string, string> } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async version(): Promise<string> {
    return await fileStamp(this.#path).catch(() => "");
  }

  async get(name: string): Promise<string | undefined> {
    return (await this.records()).get(name);
  }

  /** All of them, by name. @throws {SecLlamaError} `key-refused` if the file cannot be read or is none. */
  async records(): Promise<ReadonlyMap<string, string>> {
    const version = await this.version();
    if (version === "" || this.#read?.version !== version) {
      this.#read = { version, records: unpackRecords(await this.#text()) };
    }
    return this.#read.records;
  }

  async #text(): Promise<string> {
    try {
      return new TextDecoder().decode(await readAtMost(this.#path, MAX_FILE_BYTES));
    } catch (cause) {
      throw new SecLlamaError("key-refused", `the fleet's file ${this.#path} cannot be read`, {
        hint: "bring it from the issuer: secllama fleet publish FOLDER",
        cause,
      });
    }
  }
}

/** Of a store: its head is watched, so a change is seen when it comes. */
export class StoreSource implements RecordSource {
  readonly mayCome = true;
  readonly #store: FleetStore;
  #end: () => void = () => {};
  #version = 0;

  private constructor(store: FleetStore) {
    this.#store = store;
  }

  /** @param head The record that is written last. `onChange` is called after each change of it. */
  static async watching(
    store: FleetStore,
    head: string,
    onChange: () => void = () => {},
  ): Promise<StoreSource> {
    const source = new StoreSource(store);
    source.#end = await store.watch(head, () => {
      source.#version++;
      onChange();
    });
    return source;
  }

  version(): Promise<string> {
    return Promise.resolve(String(this.#version));
  }

  get(name: string): Promise<string | undefined> {
    return this.#store.get(name);
  }

  /** Ends the watch. */
  close(): void {
    this.#end();
  }
}

/** Records in one text. */
export function packRecords(records: ReadonlyMap<string, string>): string {
  return JSON.stringify({ v: 2, records: Object.fromEntries(records) }) + "\n";
}

function unpackRecords(text: string): ReadonlyMap<string, string> {
  try {
    const { v, records } = Object(JSON.parse(text));
    if (v === 2) {
      return new Map(Object.entries(Object(records)).map(([name, text]) => [name, String(text)]));
    }
  } catch { /* said below */ }
  throw new SecLlamaError("key-refused", "the fleet's file is damaged or of another version", {
    hint: HINTS.newestFleetFile,
  });
}
