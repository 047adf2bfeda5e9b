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
import type { AuditDatabase, StoredHead, StoredLine } from "./database.ts";
import { readHead, sameBytes } from "./head.ts";
import { parseLine } from "./line.ts";
import { inclusionProof, leafHash, rootFromInclusion } from "./tree.ts";
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
 * Reads an export.
 * @throws {SecLlamaError} `bad-request` if `text` is none, and where it cannot be read.
 */
export function readExport(text: string): AuditSourceFile {
  const rows = text.split("\n").filter((row) => row !== "").map((row, i) => parseRow(row, i + 1));
  const first = rows[0];
  if (first?.["secllama_audit"] !== 1 || !isHex(first["log"], 16) || !isCount(first["lines"])) {
    throw bad(1);
  }
  const lines: StoredLine[] = [];
  const heads: Pick<StoredHead, "size" | "cose">[] = [];
  rows.slice(1).forEach((row, i) => {
    if (typeof row["line"] === "string") {
      const text = row["line"];
      const n = parseLine(text)?.n;
      if (n === undefined) throw bad(i + 2);
      lines.push({ n, text, leaf: leafHash(utf8(text)), tag: undefined });
    } else if (isHex(row["forgotten"], 32) && Number.isSafeInteger(row["n"])) {
      const leaf = fromHex(row["forgotten"] as string);
      lines.push({ n: row["n"] as number, text: null, leaf, tag: undefined });
    } else if (typeof row["head"] === "string") {
      heads.push(headRow(row["head"], i + 2));
    } else throw bad(i + 2);
  });
  heads.sort((a, b) => a.size - b.size);
  const id = fromHex(first["log"] as string);
  return { id, count: first["lines"], lines: () => lines, heads: () => heads };
}

function headRow(text: string, row: number): Pick<StoredHead, "size" | "cose"> {
  try {
    const cose = fromBase64(text);
    return { size: readHead(cose).size, cose };
  } catch {
    throw bad(row);
  }
}

function parseRow(row: string, number: number): Record<string, unknown> {
  try {
    const value = JSON.parse(row);
    if (value !== null && typeof value === "object") return value;
  } catch { /* said below */ }
  throw bad(number);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function isHex(value: unknown, bytes: number): boolean {
  return typeof value === "string" && new RegExp(`^[0-9a-f]{${2 * bytes}}$`).test(value);
}

function bad(row: number): SecLlamaError {
  return new SecLlamaError("bad-request", `row ${row} is not one of an audit export`, {
    hint: "to make one: secllama audit export FILE",
  });
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
 * @throws {SecLlamaError} `not-found` if there is no such line, its text is gone, or no head counts it yet.
 */
export function proveLine(db: AuditDatabase, n: number): InclusionProof {
  const line = db.line(n);
  const head = db.lastHead();
  const none = (what: string) => new SecLlamaError("not-found", `line ${n}: ${what}`);
  if (line === undefined) throw none(`there is none, the log has ${db.size()}`);
  if (line.text === null) throw none("its text was taken away by retention");
  if (head === undefined || n >= head.size) throw none("no head is signed over it yet");
  const leaves: Bytes[] = [];
  for (const { leaf } of db.lines()) {
    if (leaves.length === head.size) break;
    leaves.push(leaf);
  }
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
