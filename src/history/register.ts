/**
 * What a start needs of thousands of conversations, in few records: their keys, heads and filters once more, those of all ids that
 * begin with the same byte in two records under the vault's key. Opening each by itself takes ten times as long.
 *
 * It is believed only where it is of what lies in the tables: a head beside the same sealed bytes, a filter of the version that the
 * head names. All else is opened in its own place. Where a conversation ends, or its key is sealed anew, triggers of the database
 * (database.ts) take its part of the register away in the same transaction, whatever program does it.
 *
 *     heads    for each  id[16] | key[32] | length u32 | sealed key[60] | sealed head[length + 28] | head[length]
 *     filters  for each  id[16] | how many u32 | for each of these  version u64 | length u32 | filter[length]     big-endian
 */
import { equalConstantTime, fromHex, toHex, u32, u64 } from "../bytes.ts";
import { secret, wipe } from "../secret.ts";
import type { Database, Row } from "./database.ts";
import type { Head, Opened } from "./entries.ts";
import { KEY_BYTES, KIND, open, OVERHEAD_BYTES, seal } from "./seal.ts";
import type { VaultKey } from "./vault.ts";

const ID_BYTES = 16;
const SEALED_KEY_BYTES = KEY_BYTES + OVERHEAD_BYTES;
/** A part is written anew once so many in it had to be opened by themselves: a history of some hundreds has no register. */
const MOST_MISSED = 8;
/** Parts that are written in one transaction: about a megabyte. */
const PARTS_AT_ONCE = 8;

type Kind = typeof KIND.registerHeads | typeof KIND.registerFilters;

/** A head as it is kept: with the sealed bytes that it is of. */
interface KeptHead {
  readonly key: Buffer;
  readonly sealedKey: Buffer;
  readonly sealedHead: Buffer;
  readonly plain: Buffer;
}

/** By the version, each of a text. */
type KeptFilters = ReadonlyMap<number, Uint8Array>;

/** The parts of one kind, of which the last that was read is at hand. */
class Shelf<T> {
  readonly #db: Database;
  readonly #vault: readonly VaultKey[];
  readonly #kind: Kind;
  readonly #parse: (plain: Buffer) => Map<string, T>;
  #part = -1;
  #found = new Map<string, T>();
  #plain: Uint8Array | undefined;

  constructor(
    db: Database,
    vault: readonly VaultKey[],
    kind: Kind,
    parse: (plain: Buffer) => Map<string, T>,
  ) {
    this.#db = db;
    this.#vault = vault;
    this.#kind = kind;
    this.#parse = parse;
  }

  /** What is kept of an id, given once: whoever takes it may overwrite it. A head's bytes end with the next part that is read. */
  take(id: Uint8Array): T | undefined {
    if (id[0] !== this.#part) this.#read(id[0]!);
    const hex = toHex(id);
    const found = this.#found.get(hex);
    this.#found.delete(hex);
    return found;
  }

  #read(part: number): void {
    this.forget();
    this.#part = part;
    try {
      const row = this.#db.row(
        "SELECT vault, sealed FROM register WHERE part = ? AND kind = ?",
        new Uint8Array([part]),
        this.#kind,
      );
      if (row === undefined) return;
      const vault = this.#vault.find(({ id }) => id === toHex(row["vault"] as Uint8Array));
      const plain = open(vault!.key, placeOf(part, this.#kind), row["sealed"] as Uint8Array);
      this.#plain = plain;
      this.#found = this.#parse(Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength));
    } catch {
      /* damaged, or of a database that no newer program has written: each is opened by itself */
    }
  }

  /** Within a transaction. */
  write(part: number, plain: Buffer): void {
    const vault = this.#vault[0]!;
    this.#db.run(
      "INSERT OR REPLACE INTO register (part, kind, vault, sealed) VALUES (?, ?, ?, ?)",
      new Uint8Array([part]),
      this.#kind,
      fromHex(vault.id),
      seal(vault.key, placeOf(part, this.#kind), plain),
    );
  }

  forget(): void {
    // Filters are given away as they lie there: a copy of each takes as much memory once more.
    if (this.#kind === KIND.registerHeads) wipe(this.#plain);
    this.#plain = undefined;
    this.#part = -1;
    this.#found = new Map();
  }
}

/** The register of a database. */
export class Register implements Disposable {
  readonly #db: Database;
  readonly #vault: readonly VaultKey[];
  readonly #heads: Shelf<KeptHead>;
  readonly #filters: Shelf<KeptFilters>;
  /** How many in each part had to be opened by themselves since it was written. */
  readonly #missed = new Map<number, number>();

  /** @param vault The key for what is new first. */
  constructor(db: Database, vault: readonly VaultKey[]) {
    this.#db = db;
    this.#vault = vault;
    this.#heads = new Shelf(db, vault, KIND.registerHeads, parseHeads);
    this.#filters = new Shelf(db, vault, KIND.registerFilters, parseFilters);
  }

  /** What a row's key and head open to, if it is known. Rows in the order of their ids are the quickest. */
  headOf(row: Row): Opened["opened"] | undefined {
    const id = row["id"] as Uint8Array;
    const kept = this.#heads.take(id);
    if (
      kept?.sealedKey.equals(row["key"] as Uint8Array) &&
      kept.sealedHead.equals(row["head"] as Uint8Array)
    ) {
      // A copy of its own, not of the pool that small buffers share: it is overwritten by itself.
      const key = new Uint8Array(kept.key);
      return { key, head: JSON.parse(kept.plain.toString("utf8")) as Head };
    }
    this.#miss(id);
    return undefined;
  }

  /** What {@link headOf} has at hand is overwritten; it is read again where it is asked for. */
  forgetHeads(): void {
    this.#heads.forget();
  }

  /** The filters of all texts of a conversation, if all are known. */
  filtersOf(
    { bytes, opened: { head: { texts, through = [] } } }: Opened,
  ): Uint8Array[] | undefined {
    // What an earlier version of this program wrote names no versions.
    if (through.length < texts || through.includes(0)) return undefined;
    const kept = this.#filters.take(bytes);
    const found: Uint8Array[] = [];
    for (let i = 0; i < texts; i++) {
      const filter = kept?.get(through[i]!);
      if (filter === undefined) {
        this.#miss(bytes);
        return undefined;
      }
      found.push(filter);
    }
    return found;
  }

  /** All of it ends, also parts in which nothing can be read any more; within a transaction. */
  clear(): void {
    this.#db.run("DELETE FROM register");
    this.#forget();
  }

  #miss(id: Uint8Array): void {
    this.#missed.set(id[0]!, (this.#missed.get(id[0]!) ?? 0) + 1);
  }

  /**
   * Writes some of the parts anew that missed too many. Says whether these were all, or nothing can be written.
   * @param entries All that can be read. @param filtersOf Of one of them, by position; undefined where one cannot be read.
   */
  keepSome(
    entries: readonly Opened[],
    filtersOf: (entry: Opened) => readonly (Uint8Array | undefined)[],
  ): boolean {
    if (!this.#db.writable) return true;
    const parts = [...this.#missed].filter(([, count]) => count >= MOST_MISSED).map(([part]) =>
      part
    );
    const now = new Set(parts.slice(0, PARTS_AT_ONCE));
    if (now.size === 0) return true;
    const byPart = Map.groupBy(
      entries.filter(({ bytes }) => now.has(bytes[0]!)),
      ({ bytes }) => bytes[0]!,
    );
    this.#db.transaction(() => {
      for (const part of now) {
        const there = byPart.get(part) ?? [];
        const heads = Buffer.concat(there.flatMap((entry) => this.#headParts(entry)));
        this.#heads.write(part, heads);
        wipe(heads);
        const filters = there.flatMap((entry) => filterParts(entry, filtersOf(entry)));
        this.#filters.write(part, Buffer.concat(filters));
      }
    });
    for (const part of now) this.#missed.delete(part);
    this.#forget();
    return parts.length === now.size;
  }

  /**
   * What is kept of one: of the bytes that lie there now, which may have been changed since it was opened. Nothing is, unless all of
   * them open: whoever put some of his own into a part would be believed.
   */
  #headParts({ bytes, opened: { key } }: Opened): Uint8Array[] {
    const row = this.#db.row("SELECT vault, key, head FROM conversations WHERE id = ?", bytes);
    try {
      const [sealedKey, sealedHead] = [row!["key"], row!["head"]] as [Uint8Array, Uint8Array];
      const wanted = toHex(row!["vault"] as Uint8Array);
      const vault = this.#vault.find(({ id }) => id === wanted)!;
      const place = { conversation: bytes, position: 0 };
      using own = secret(open(vault.key, { ...place, kind: KIND.key }, sealedKey));
      if (!equalConstantTime(own, key)) return [];
      const plain = open(key, { ...place, kind: KIND.head }, sealedHead);
      return [bytes, key, u32(plain.length), sealedKey, sealedHead, plain];
    } catch {
      return [];
    }
  }

  #forget(): void {
    this.forgetHeads();
    this.#filters.forget();
  }

  [Symbol.dispose](): void {
    this.#forget();
  }
}

function filterParts(
  { bytes, opened: { head: { through = [] } } }: Opened,
  filters: readonly (Uint8Array | undefined)[],
): Uint8Array[] {
  const parts = [...filters.entries()].flatMap(([i, filter]) =>
    filter === undefined || !through[i] ? [] : [u64(through[i]), u32(filter.length), filter]
  );
  return [bytes, u32(parts.length / 3), ...parts];
}

function parseHeads(plain: Buffer): Map<string, KeptHead> {
  const found = new Map<string, KeptHead>();
  const take = taker(plain);
  while (take.left() > 0) {
    const id = toHex(take.bytes(ID_BYTES));
    const key = take.bytes(KEY_BYTES);
    const length = take.bytes(4).readUInt32BE();
    const sealedKey = take.bytes(SEALED_KEY_BYTES);
    const sealedHead = take.bytes(length + OVERHEAD_BYTES);
    found.set(id, { key, sealedKey, sealedHead, plain: take.bytes(length) });
  }
  return found;
}

function parseFilters(plain: Buffer): Map<string, KeptFilters> {
  const found = new Map<string, KeptFilters>();
  const take = taker(plain);
  while (take.left() > 0) {
    const id = toHex(take.bytes(ID_BYTES));
    const filters = new Map<number, Uint8Array>();
    for (let count = take.bytes(4).readUInt32BE(); count > 0; count--) {
      const version = Number(take.bytes(8).readBigUInt64BE());
      filters.set(version, take.bytes(take.bytes(4).readUInt32BE()));
    }
    found.set(id, filters);
  }
  return found;
}

/** Reads from the front. @throws {RangeError} Where the bytes end too soon. */
function taker(plain: Buffer) {
  let at = 0;
  return {
    left: () => plain.length - at,
    bytes(count: number): Buffer {
      if (at + count > plain.length) throw new RangeError("it ends too soon");
      return plain.subarray(at, at += count);
    },
  };
}

/** Of no conversation, and each part in its own place. */
function placeOf(part: number, kind: Kind) {
  return { kind, conversation: new Uint8Array(ID_BYTES), position: part };
}
