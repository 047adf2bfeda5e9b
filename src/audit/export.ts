/**
 * What leaves the host: an export (the whole log as lines of JSON, with its signed heads) and a proof (one line, and that it is in
 * the tree that a head signs). Either is checked with the public key and nothing else.
 *
 * ```
 * {"secllama_audit":1,"log":"…","lines":N}
 * {"line":"{\"n\":0,…}"}            or {"n":N,"forgotten":"<leaf's hash>"}
 * {"head":"<base64 of the COSE_Sign1>"}     after the last line that it counts
 * ```
 */
import { type Bytes, fromBase64, fromHex, toBase64, toHex, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { PublicKey } from "./cose.ts";
import type { AuditDatabase, StoredHead } from "./database.ts";
import { damaged } from "./failing.ts";
import { readHead, sameBytes } from "./head.ts";
import { LineHead, parseLine } from "./line.ts";
import { HASH_BYTES, inclusionProof, leafHash, rootFromInclusion } from "./tree.ts";
import type { LineBytes } from "./rows.ts";
import type { AuditSourceFile } from "./verify.ts";

/** The export, line by line, each without its end: what is under a signed head. For the rest nobody has vouched yet. */
export function* exportLines(db: AuditDatabase): Generator<string> {
  const size = db.lastHead()?.size ?? 0;
  yield JSON.stringify({ secllama_audit: 1, log: toHex(db.id), lines: size });
  const heads = db.heads();
  let head = heads.next();
  for (const { n, leaf, text } of db.lines()) {
    if (n >= size) break;
    yield JSON.stringify(text === null ? { n, forgotten: toHex(leaf) } : { line: text });
    for (; !head.done && head.value.size <= n + 1; head = heads.next()) {
      yield JSON.stringify({ head: toBase64(head.value.cose) });
    }
  }
}

/**
 * Reads an export. Its lines are read when they are asked for: of a log of millions there is nothing in memory but the file.
 * @param name What the file is called in errors.
 * @throws {SecLlamaError} `bad-request` if it is none, and where it cannot be read; so do its lines.
 */
export function readExport(bytes: Uint8Array, name?: string): AuditSourceFile {
  const bad = (row: number) =>
    new SecLlamaError(
      "bad-request",
      `${name === undefined ? "" : `${name}: `}row ${row} is not one of an audit export`,
      { hint: "to make one: secllama audit export FILE" },
    );
  let first: ExportRow = {};
  const heads: Pick<StoredHead, "size" | "cose">[] = [];
  for (const { number, row } of rowsOf(bytes)) {
    if (startsWith(row, LINE_ROW)) continue;
    const value = parseRow(row);
    if (value === undefined) throw bad(number);
    if (number === 1) first = value;
    else if (typeof value.line === "string" || typeof value.head !== "string") continue;
    else heads.push(headRow(value.head) ?? thrown(bad(number)));
  }
  const { secllama_audit: version, log, lines: count } = first;
  if (version !== 1 || !isHex(log, 16) || !isCount(count)) throw bad(1);
  heads.sort((a, b) => a.size - b.size);
  return {
    ...{ id: fromHex(log as string), count },
    heads: () => heads,
    *entries() {
      for (const { number, row } of rowsOf(bytes)) {
        if (number === 1) continue;
        const line = lineRow(row);
        if (line === undefined) throw bad(number);
        if (line !== "head") yield line;
      }
    },
  };
}

/** Any of the fields may be anything. */
interface ExportRow {
  readonly secllama_audit?: unknown;
  readonly log?: unknown;
  readonly lines?: unknown;
  readonly line?: unknown;
  readonly n?: unknown;
  readonly forgotten?: unknown;
  readonly head?: unknown;
}

/** What most rows begin with. */
const LINE_ROW = utf8('{"line":"');

function startsWith(bytes: Uint8Array, what: Uint8Array): boolean {
  for (let i = 0; i < what.length; i++) if (bytes[i] !== what[i]) return false;
  return true;
}

/** The rows that are not empty, each with its number from 1 on. */
function* rowsOf(bytes: Uint8Array): Generator<{ number: number; row: Uint8Array }> {
  for (let at = 0, number = 0; at < bytes.length;) {
    const found = bytes.indexOf(0x0a, at);
    const end = found < 0 ? bytes.length : found;
    if (end > at) yield { number: ++number, row: bytes.subarray(at, end) };
    at = end + 1;
  }
}

const lineHead = new LineHead();

/** A line, or that the row is a head's; undefined: neither. */
function lineRow(row: Uint8Array): LineBytes | "head" | undefined {
  const { line, head, n, forgotten } = parseRow(row) ?? {};
  if (typeof line === "string") {
    const entry = utf8(`\0${line}`);
    // Cheaper than parsing each once more: what lineText writes begins so.
    const own = lineHead.read(entry, 1) ? lineHead.n : parseLine(line)?.n;
    return own === undefined ? undefined : { n: own, leaf: undefined, tag: undefined, entry };
  }
  if (isHex(forgotten, 32) && Number.isSafeInteger(n)) {
    const leaf = fromHex(forgotten as string);
    return { n: n as number, leaf, tag: undefined, entry: null };
  }
  return typeof head === "string" ? "head" : undefined;
}

function headRow(text: string): Pick<StoredHead, "size" | "cose"> | undefined {
  try {
    const cose = fromBase64(text);
    return { size: readHead(cose).size, cose };
  } catch {
    return undefined;
  }
}

// A byte that is no UTF-8 any more is a line that was changed, and no other kind of file.
const decoder = new TextDecoder();

function parseRow(row: Uint8Array): ExportRow | undefined {
  try {
    const value = JSON.parse(decoder.decode(row));
    return value !== null && typeof value === "object" ? value : undefined;
  } catch {
    return undefined;
  }
}

function thrown(error: Error): never {
  throw error;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function isHex(value: unknown, bytes: number): boolean {
  return typeof value === "string" && new RegExp(`^[0-9a-f]{${2 * bytes}}$`).test(value);
}

/** That a line is in the log, for whoever has the public key. */
export interface InclusionProof {
  /** Its version. */
  readonly secllama_proof: 1;
  /** The line's text. */
  readonly line: string;
  /** Its number. */
  readonly index: number;
  /** Lines that the head counts. */
  readonly size: number;
  /** Hexadecimal, from the leaf up. */
  readonly path: readonly string[];
  /** Base64. */
  readonly head: string;
}

/**
 * The proof of line `n` under the newest head that counts it.
 * @throws {SecLlamaError} `not-found` if there is no such line, its text is gone, or no head counts it yet; `audit-broken` if a line
 * before the head is missing.
 */
export function proveLine(db: AuditDatabase, n: number): InclusionProof {
  const line = db.line(n);
  const head = db.lastHead();
  const none = (what: string) => new SecLlamaError("not-found", `line ${n}: ${what}`);
  if (line === undefined) throw none(`there is none, the log has ${db.size()}`);
  if (line.text === null) throw none("its text was taken away by retention");
  if (head === undefined || n >= head.size) throw none("no head is signed over it yet");
  const leaves: Bytes[] = [];
  for (const { n: at, leaf } of db.entries()) {
    if (leaves.length === head.size) break;
    if (at !== leaves.length || leaf?.length !== HASH_BYTES) throw damaged(db.path);
    leaves.push(leaf.slice()); // of its batch nothing else is kept
  }
  if (leaves.length < head.size) throw damaged(db.path);
  return {
    secllama_proof: 1,
    line: line.text,
    index: n,
    size: head.size,
    path: inclusionProof((i) => leaves[i]!, n, head.size).map(toHex),
    head: toBase64(head.cose),
  };
}

/** Whether it proves its line under `key`; else why not. */
export function checkProof(
  proof: unknown,
  key: PublicKey,
): { ok: true } | { ok: false; why: string } {
  const { line, index, size, path, head } = Object(proof) as Record<string, unknown>;
  const good = typeof line === "string" && typeof head === "string" &&
    Number.isSafeInteger(index) &&
    Number.isSafeInteger(size) && Array.isArray(path) && path.every((hash) => isHex(hash, 32));
  if (!good) return { ok: false, why: "it is no proof of a line" };
  let signed;
  try {
    signed = readHead(fromBase64(head));
  } catch {
    return { ok: false, why: "its head cannot be read" };
  }
  if (signed.statement.kid !== key.id || !signed.statement.verify(key)) {
    return { ok: false, why: `its head is not signed by the key ${key.id}` };
  }
  if (signed.size !== size) return { ok: false, why: "its head is of another size" };
  if (parseLine(line)?.n !== index) return { ok: false, why: `it is not line ${index}` };
  const hashes = path.map((hash) => fromHex(hash as string));
  const root = rootFromInclusion(leafHash(utf8(line)), {
    index: index as number,
    size,
    path: hashes,
  });
  return root !== undefined && sameBytes(root, signed.root)
    ? { ok: true }
    : { ok: false, why: "the line is not in the tree that the head signs" };
}
