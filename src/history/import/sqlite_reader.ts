/**
 * Reads the tables of a SQLite file that somebody else wrote, from its bytes: no SQL, no native code, no file beside it. For the
 * database of Ollama's app, which may be anything. Source: the SQLite file format, sqlite.org/fileformat2.html sections 1.3 to 2.1.
 */
import { SecLlamaError } from "../../errors.ts";

type Cell = string | number | Uint8Array | null;
type Table = readonly { readonly [column: string]: Cell }[];

const MAGIC = "SQLite format 3\0";
const LEAF = 0x0d;
const INTERIOR = 0x05;
/** Values of one table; an app's history has some hundred thousand. */
const MOST_VALUES = 10_000_000;

function bad(why: string): SecLlamaError {
  return new SecLlamaError("bad-request", `the file is no whole SQLite database: ${why}`);
}

/** Whether bytes begin as a SQLite database does. */
export function isSqlite(bytes: Uint8Array): boolean {
  return MAGIC.split("").every((char, i) => bytes[i] === char.charCodeAt(0));
}

/** The tables of a database. */
export class SqliteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #pageSize: number;
  readonly #usable: number;
  readonly #decoder: TextDecoder;
  #visits = 0;
  #taken = 0;

  /** @throws {SecLlamaError} `bad-request` if it is none. */
  constructor(bytes: Uint8Array) {
    if (!isSqlite(bytes) || bytes.length < 512) throw bad("it begins otherwise");
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = this.#view.getUint16(16);
    this.#pageSize = size === 1 ? 65536 : size;
    this.#usable = this.#pageSize - bytes[20]!;
    if (this.#pageSize < 512 || (this.#pageSize & (this.#pageSize - 1)) !== 0) {
      throw bad("its pages have no size");
    }
    if (this.#usable < 480) throw bad("its pages have no room");
    const encoding = this.#view.getUint32(56);
    this.#decoder = new TextDecoder(
      ["utf-8", "utf-8", "utf-16le", "utf-16be"][encoding] ?? "utf-8",
    );
  }

  /** All rows of a table by the names of its columns; none if there is no such table. */
  table(name: string): Table {
    // Each byte is in one row once, so more bytes than the file has are rows that share them.
    this.#taken = 0;
    for (const { values } of this.#rows(1)) {
      const [type, found, , root, sql] = values;
      if (type !== "table" || found !== name || typeof root !== "number") continue;
      const columns = columnsOf(String(sql));
      const rows: { [column: string]: Cell }[] = [];
      for (const { rowid, values } of this.#rows(root)) {
        rows.push(Object.fromEntries(
          columns.map(({ name, isRowid }, i) => [name, isRowid ? rowid : values[i] ?? null]),
        ));
        if (rows.length * Math.max(columns.length, 1) > MOST_VALUES) {
          throw bad("a table has too many rows");
        }
      }
      return rows;
    }
    return [];
  }

  *#rows(page: number, depth = 0): Generator<{ rowid: number; values: Cell[] }> {
    // Each page is in one tree once, so more visits than pages are a circle.
    if (depth > 40 || this.#visits++ > 4 * (this.#bytes.length / this.#pageSize) + 64) {
      throw bad("its pages go in a circle");
    }
    const start = this.#start(page);
    const header = start + (page === 1 ? 100 : 0);
    const type = this.#bytes[header];
    const count = this.#view.getUint16(header + 3);
    if (type !== LEAF && type !== INTERIOR) throw bad("a page is none of a table");
    const cells = header + (type === LEAF ? 8 : 12);
    if (cells + 2 * count > start + this.#pageSize) throw bad("a page has too many cells");
    for (let i = 0; i < count; i++) {
      const at = start + this.#view.getUint16(cells + 2 * i);
      if (at + 4 > start + this.#pageSize) throw bad("a cell lies outside its page");
      if (type === LEAF) yield this.#cell(at, start + this.#pageSize);
      else yield* this.#rows(this.#view.getUint32(at), depth + 1);
    }
    if (type === INTERIOR) yield* this.#rows(this.#view.getUint32(header + 8), depth + 1);
  }

  #start(page: number): number {
    const start = (page - 1) * this.#pageSize;
    if (page < 1 || start + this.#pageSize > this.#bytes.length) throw bad("a page is missing");
    return start;
  }

  #cell(at: number, end: number): { rowid: number; values: Cell[] } {
    const [size, afterSize] = this.#varint(at);
    const [rowid, start] = this.#varint(afterSize);
    this.#taken += size;
    if (this.#taken > this.#bytes.length) throw bad("its rows are longer than the file");
    const most = this.#usable - 35;
    const least = Math.floor(((this.#usable - 12) * 32) / 255) - 23;
    const rest = least + ((size - least) % (this.#usable - 4));
    const local = size <= most ? size : rest <= most ? rest : least;
    if (start + local > end) throw bad("a row lies outside its page");
    const payload = new Uint8Array(size);
    payload.set(this.#bytes.subarray(start, start + local));
    let filled = local;
    let next = size > local ? this.#view.getUint32(start + local) : 0;
    while (filled < size) {
      const page = this.#start(next);
      const part = Math.min(this.#usable - 4, size - filled);
      payload.set(this.#bytes.subarray(page + 4, page + 4 + part), filled);
      filled += part;
      next = this.#view.getUint32(page);
    }
    return { rowid, values: this.#record(payload) };
  }

  /** Section 2.1: the types of the values, then the values. */
  #record(payload: Uint8Array): Cell[] {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    let [headerSize, at] = varint(payload, 0);
    if (headerSize > payload.length) throw bad("a row's head is longer than the row");
    const types: number[] = [];
    while (at < headerSize) {
      const [type, next] = varint(payload, at);
      types.push(type);
      at = next;
    }
    at = headerSize;
    return types.map((type) => {
      const size = type >= 12 ? (type - (type % 2 === 0 ? 12 : 13)) / 2 : FIXED[type] ?? 0;
      if (at + size > payload.length) throw bad("a value lies outside its row");
      const from = at;
      at += size;
      if (type >= 12) {
        const part = payload.subarray(from, at);
        return type % 2 === 0 ? part : this.#decoder.decode(part);
      }
      if (type === 0) return null;
      if (type === 7) return view.getFloat64(from);
      if (type === 8 || type === 9) return type - 8;
      let value = view.getInt8(from);
      for (let i = 1; i < size; i++) value = value * 256 + payload[from + i]!;
      return value;
    });
  }

  #varint(at: number): [number, number] {
    return varint(this.#bytes, at);
  }
}

/** Bytes of the values of types 0 to 9. */
const FIXED = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

/** Section 1.6: seven bits a byte, the first ones first, of a ninth byte all eight. */
function varint(bytes: Uint8Array, at: number): [value: number, next: number] {
  let value = 0;
  for (let i = 0; i < 9; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) throw bad("it ends within a number");
    if (i === 8) return [value * 256 + byte, at + 9];
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return [value, at + i + 1];
  }
  throw bad("a number does not end");
}

/** The columns that a CREATE TABLE statement names, in their order. */
function columnsOf(sql: string): { name: string; isRowid: boolean }[] {
  const body = sql.replace(/--[^\n]*/g, " ").replace(/\/\*[^]*?\*\//g, " ");
  const inner = body.slice(body.indexOf("(") + 1, body.lastIndexOf(")"));
  const parts: string[] = [];
  let [depth, part] = [0, ""];
  for (const char of inner) {
    if (char === "(") depth++;
    if (char === ")") depth--;
    if (char === "," && depth === 0) {
      parts.push(part);
      part = "";
    } else part += char;
  }
  parts.push(part);
  return parts.map((text) => text.trim()).filter((text) =>
    text !== "" && !/^(?:FOREIGN|PRIMARY|UNIQUE|CHECK|CONSTRAINT)\b/i.test(text)
  ).map((text) => ({
    name: nameOf(text),
    isRowid: /^(?:"[^"]*"|\S+)\s+INTEGER\s+PRIMARY\s+KEY/i.test(text),
  }));
}

/** The first word of a column's definition, which may be quoted in four ways. */
function nameOf(definition: string): string {
  const quoted = /^(?:"((?:[^"]|"")*)"|'([^']*)'|`([^`]*)`|\[([^\]]*)\])/.exec(definition);
  const name = quoted?.slice(1).find((part) => part !== undefined);
  return name?.replaceAll('""', '"') ?? definition.split(/\s/, 1)[0]!;
}
