/**
 * Search on this side of the seal: the texts of a conversation are opened, then matched. So that this is quick, what is
 * searched lies apart from the messages, in few records of some KiB: all messages of a short conversation are one. Beside each
 * record is a filter (filter.ts), sealed as it is, and kept in memory once it was opened.
 */
import type { Role, SearchHit, StoredMessage } from "../api/history.ts";
import { folded } from "../api/folding.ts";
import { concat, toHex } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { Database, Row } from "./database.ts";
import { wipe } from "../secret.ts";
import type { Head, Opened } from "./entries.ts";
import { filterOf } from "./filter.ts";
import { normalisedTitle, wordsOf } from "./normal.ts";
import { openMessage } from "./message.ts";
import type { Register } from "./register.ts";
import { KIND, open, seal } from "./seal.ts";
import {
  latin1,
  mayBeIn,
  partOf,
  type Pattern,
  patternOf,
  placeOfOne,
  positionAt,
} from "./text_record.ts";

/** A record that has this many bytes grows no more. */
const RECORD_BYTES = 32 * 1024;
/** Words of one search: each is looked for in what may have it. */
const SEARCH_WORDS = 256;
/**
 * Conversations whose filters are read one by one, rather than all there are: a look-up takes as long as three or four rows of a
 * scan.
 */
const FEW = 1000;
const SNIPPET_BEFORE = 60;
const SNIPPET_CHARACTERS = 200;

/** Adds one message to the texts of a conversation. */
export class TextWriter {
  readonly #db: Database;
  readonly #entry: Opened;
  /** The last record, if it may grow. */
  readonly #last: Uint8Array | undefined;

  constructor(db: Database, entry: Opened) {
    this.#db = db;
    this.#entry = entry;
    const { bytes, opened: { key, head } } = entry;
    const sealed = head.texts === 0 ? undefined : db.row(
      "SELECT sealed FROM texts WHERE conversation = ? AND position = ?",
      bytes,
      head.texts - 1,
    )?.["sealed"] as Uint8Array | undefined;
    if (sealed === undefined || sealed.length >= RECORD_BYTES) return;
    try {
      this.#last = open(key, placeOf(entry, head.texts - 1, KIND.text), sealed);
    } catch { /* damaged: what is new goes into a new record */ }
  }

  /** What the head says of the texts once `content` is in them, the message at `position`. */
  headWith(position: number, content: string): Pick<Head, "texts" | "through"> {
    const { texts, through = [] } = this.#entry.opened.head;
    if (content === "") return { texts, through };
    const count = this.#last !== undefined ? texts : texts + 1;
    // Those of an earlier version of this program have none.
    const known = Array.from({ length: count - 1 }, (_, i) => through[i] ?? 0);
    return { texts: count, through: [...known, position] };
  }

  /** Within a transaction. */
  add(position: number, content: string): void {
    if (content === "") return;
    const { texts } = this.#entry.opened.head;
    const at = this.#last === undefined ? texts : texts - 1;
    const text = concat(this.#last ?? new Uint8Array(), partOf(position, content));
    writeRecord(this.#db, this.#entry, at, position, text);
  }
}

/** A record and its filter, in the place of an older one, with the position of its last message; within a transaction. */
function writeRecord(
  db: Database,
  { bytes, opened: { key } }: Opened,
  position: number,
  version: number,
  text: Uint8Array,
): void {
  const place = { conversation: bytes, position, version };
  for (
    const [table, kind, plain] of [
      ["texts", KIND.text, text],
      ["filters", KIND.filter, filterOf(text)],
    ] as const
  ) {
    db.run(
      `INSERT OR REPLACE INTO ${table} (conversation, position, sealed) VALUES (?, ?, ?)`,
      bytes,
      position,
      seal(key, { ...place, kind }, plain),
    );
  }
}

/**
 * Writes the texts of a whole conversation that has none yet, each record once; within a transaction. Says what its head says of
 * them.
 */
export function writeTexts(
  db: Database,
  entry: Opened,
  contents: readonly string[],
): Pick<Head, "texts" | "through"> {
  const through: number[] = [];
  let [parts, size]: [Uint8Array[], number] = [[], 0];
  const close = (version: number) => {
    if (parts.length === 0) return;
    writeRecord(db, entry, through.length, version, concat(...parts));
    through.push(version);
    [parts, size] = [[], 0];
  };
  let last = 0;
  for (const [i, content] of contents.entries()) {
    if (content === "") continue;
    if (size >= RECORD_BYTES) close(last);
    last = i + 1;
    const part = partOf(last, content);
    parts.push(part);
    size += part.length;
  }
  close(last);
  return { texts: through.length, through };
}

function placeOf(
  { bytes, opened: { head: { through = [] } } }: Opened,
  position: number,
  kind: typeof KIND.text | typeof KIND.filter,
) {
  // No message is at 0: it stands for what an earlier version of this program wrote.
  return { kind, conversation: bytes, position, version: through[position] || undefined };
}

/** The filters of all texts, opened at the first search. */
export class Filters implements Disposable {
  readonly #db: Database;
  /** By conversation, then by the record's position; undefined where there is none that can be read: the text is opened. */
  readonly #kept = new Map<string, (Uint8Array | undefined)[]>();
  readonly #register: Register;
  #changes = "";

  constructor(db: Database, register: Register) {
    this.#db = db;
    this.#register = register;
  }

  /** Those of a conversation changed, or end. */
  forget(id: string): void {
    wipe(...this.#kept.get(id) ?? []);
    this.#kept.delete(id);
  }

  [Symbol.dispose](): void {
    for (const id of [...this.#kept.keys()]) this.forget(id);
  }

  /** All of them that are asked for, for one search. */
  of(entries: readonly Opened[]): ReadonlyMap<string, readonly (Uint8Array | undefined)[]> {
    const { changes } = this.#db;
    if (changes !== this.#changes) this[Symbol.dispose]();
    this.#changes = changes;
    const missing = entries.filter(({ id }) => !this.#kept.has(id))
      // A part of the register is read once, in whatever order they are.
      .sort((a, b) => a.bytes[0]! - b.bytes[0]!)
      .filter((entry) => !this.#isKnown(entry));
    if (missing.length > FEW) {
      const byId = new Map(missing.map((entry) => [entry.id, entry]));
      for (const row of this.#db.each("SELECT conversation, position, sealed FROM filters")) {
        const entry = byId.get(toHex(row["conversation"] as Uint8Array));
        if (entry !== undefined) this.#keep(entry, row);
      }
    } else {
      for (const entry of missing) {
        const rows = this.#db.rows(
          "SELECT position, sealed FROM filters WHERE conversation = ?",
          entry.bytes,
        );
        for (const row of rows) this.#keep(entry, row);
      }
    }
    for (const { id } of missing) if (!this.#kept.has(id)) this.#kept.set(id, []);
    return this.#kept;
  }

  #isKnown(entry: Opened): boolean {
    const filters = this.#register.filtersOf(entry);
    if (filters !== undefined) this.#kept.set(entry.id, filters);
    return filters !== undefined;
  }

  #keep(entry: Opened, row: Row): void {
    const { id, opened: { key } } = entry;
    const position = Number(row["position"]);
    let filter: Uint8Array | undefined;
    try {
      filter = open(key, placeOf(entry, position, KIND.filter), row["sealed"] as Uint8Array);
    } catch { /* damaged, or an earlier one put back: its text is opened */ }
    const list = this.#kept.get(id) ?? [];
    list[position] = filter;
    this.#kept.set(id, list);
  }
}

/** Searches conversations that were opened. */
export class Searcher {
  readonly #db: Database;
  readonly #entries: readonly Opened[];
  readonly #filters: ReturnType<Filters["of"]>;

  constructor(db: Database, entries: readonly Opened[], filters: Filters) {
    this.#db = db;
    this.#entries = entries;
    this.#filters = filters.of(entries);
  }

  /**
   * The newest `limit` conversations with all the words of `query` in their title and messages.
   * @throws {SecLlamaError} `bad-request`: more than {@link SEARCH_WORDS}.
   */
  find(query: string, limit: number): SearchHit[] {
    const words = wordsOf(query);
    if (words.length === 0) return [];
    if (words.length > SEARCH_WORDS) {
      throw new SecLlamaError(
        "bad-request",
        `query must have at most ${SEARCH_WORDS} different words`,
        { field: "query", hint: "search for a few words of what is to be found" },
      );
    }
    const patterns = words.map(patternOf);
    const hits: SearchHit[] = [];
    for (const entry of this.#entries.toSorted(newest)) {
      const title = normalisedTitle(entry.opened.head);
      const missing = new Set(words.keys());
      for (const [i, [word]] of words.entries()) if (title.includes(word)) missing.delete(i);
      if (!this.#mayHave(entry, [...missing].map((i) => patterns[i]!))) continue;
      let message: number | undefined;
      // Until it is known which message to show, one is looked for that has any of them.
      const wanted = () => message === undefined ? [...words.keys()] : [...missing];
      for (const { text, filter } of this.#texts(entry, () => wanted().map((i) => patterns[i]!))) {
        for (const i of wanted()) {
          if (message !== undefined && !missing.has(i)) continue;
          const at = placeOfOne(text, patterns[i]!, filter);
          if (at === undefined) continue;
          missing.delete(i);
          message ??= positionAt(text, at);
        }
        if (missing.size === 0 && message !== undefined) break;
      }
      if (missing.size > 0) continue;
      hits.push(this.#hit(entry, words.map(([word]) => word), message));
      if (hits.length === limit) break;
    }
    return hits;
  }

  /** Whether each of the words, in one of its forms, may be in one of its texts. */
  #mayHave(
    { id, opened: { head: { texts } } }: Opened,
    words: readonly Pattern[],
  ): boolean {
    const filters = this.#filters.get(id) ?? [];
    return words.every((forms) => {
      for (let at = 0; at < texts; at++) {
        const filter = filters[at];
        if (forms.some((form) => mayBeIn(filter, form))) return true;
      }
      return false;
    });
  }

  /** Its texts that may have one of the words, which are fewer from text to text. */
  *#texts(
    entry: Opened,
    words: () => readonly Pattern[],
  ): Generator<{ text: string; filter: Uint8Array | undefined }> {
    const { id, bytes, opened: { key, head: { texts } } } = entry;
    const filters = this.#filters.get(id) ?? [];
    for (let position = 0; position < texts; position++) {
      const filter = filters[position];
      if (!words().some((forms) => forms.some((form) => mayBeIn(filter, form)))) continue;
      const row = this.#db.row(
        "SELECT sealed FROM texts WHERE conversation = ? AND position = ?",
        bytes,
        position,
      );
      let plain: Uint8Array;
      try {
        const at = placeOf(entry, position, KIND.text);
        plain = open(key, at, row!["sealed"] as Uint8Array);
      } catch {
        plain = this.#made(entry, position);
      }
      yield { text: latin1(plain), filter };
    }
  }

  /** A text that is damaged, gone, or an earlier one put back, made anew of the messages. */
  #made({ bytes, opened: { key, head: { through = [], messages } } }: Opened, position: number) {
    const rows = this.#db.rows(
      "SELECT position, sealed FROM messages WHERE conversation = ? AND position BETWEEN ? AND ?",
      bytes,
      (through[position - 1] ?? 0) + 1,
      through[position] || messages,
    );
    return concat(...rows.map((row) => {
      const at = Number(row["position"]);
      return partOf(at, openMessage(key, bytes, at, row["sealed"] as Uint8Array).content);
    }));
  }

  #hit({ id, bytes, opened: { key, head } }: Opened, words: string[], at?: number): SearchHit {
    const sealed = at === undefined ? undefined : this.#db.row(
      "SELECT sealed FROM messages WHERE conversation = ? AND position = ?",
      bytes,
      at,
    )?.["sealed"] as Uint8Array | undefined;
    const found: StoredMessage | undefined = sealed && openMessage(key, bytes, at!, sealed);
    const role: Role | null = found?.role ?? null;
    return {
      id,
      title: head.title,
      updated: head.updated,
      message: found?.id ?? null,
      role,
      snippet: snippet(found?.content ?? head.title, words),
    };
  }
}

/** Conversations as a search without a word finds them. */
export function newestOf(entries: readonly Opened[], limit: number): SearchHit[] {
  return entries.toSorted(newest).slice(0, limit).map(({ id, opened: { head } }) => ({
    ...{ id, title: head.title, updated: head.updated },
    ...{ message: null, role: null, snippet: "" },
  }));
}

function newest(a: Opened, b: Opened): number {
  return b.opened.head.updated - a.opened.head.updated;
}

/** The text around the first of the words, one line. Offsets of the two forms may differ by a little; nothing depends on it. */
function snippet(content: string, words: readonly string[]): string {
  const line = content.replace(/[\s\p{Cc}]+/gu, " ").trim();
  const lower = folded(line);
  let first: number | undefined;
  for (const word of words) {
    // Only in front of what was found.
    const place = lower.slice(0, first && first + word.length).indexOf(word);
    if (place >= 0) first = place;
  }
  const start = Math.max(0, (first ?? 0) - SNIPPET_BEFORE);
  const part = line.slice(start, start + SNIPPET_CHARACTERS);
  return `${start > 0 ? "…" : ""}${part}${start + part.length < line.length ? "…" : ""}`;
}
