/**
 * Checks an audit log, whole: each line against its hash, its place and its tag, the tree of all lines against each signed head, and
 * the heads against the keys that are trusted. Names what is wrong by the numbers of the lines. Reads; changes nothing.
 */
import { type Bytes, fromBase64Url, toHex } from "../bytes.ts";
import { PublicKey } from "./cose.ts";
import type { StoredHead } from "./database.ts";
import { readHead, sameBytes, type SignedHead } from "./head.ts";
import { type AuditLine, LineHead, parseLine } from "./line.ts";
import type { Seen } from "./note.ts";
import type { AuditSigner } from "./signer.ts";
import { type LineBytes, textOf } from "./rows.ts";
import { sha256 } from "./sha256.ts";
import { Frontier, HASH_BYTES, sameHash } from "./tree.ts";
import { plural } from "../plural.ts";

/** Findings that are listed; the rest are counted. */
const MAX_FINDINGS = 50;
const NOBODYS =
  "under no key of this host's, nor under a signed head: anybody can have written them";

/** A log to be checked: the file of this host, or an export. */
export interface AuditSourceFile {
  /** Of the log, 16 bytes. */
  readonly id: Bytes;
  /** Lines that an export says to have, on its own word; undefined: it says nothing. */
  readonly count?: number;
  /** In the order in which they are found. @throws {SecLlamaError} `bad-request` for what is no line, `audit-broken`. */
  entries(): Iterable<LineBytes>;
  /** By size. */
  heads(): Iterable<Pick<StoredHead, "size" | "cose">>;
}

/** What it is checked with. */
export interface VerifyOptions {
  /** The public key that is trusted; undefined: the one that the log begins with, on its own word. */
  readonly key?: PublicKey | undefined;
  /** The host's own keys by the id of their master key: for the tags. */
  readonly signers?: ReadonlyMap<string, AuditSigner>;
  /** What this machine has noted of the log. */
  readonly seen?: Seen | undefined;
  /** Why it has noted nothing that can be read, where that is worth knowing. */
  readonly unnoted?: string | undefined;
  /** Called now and then with the lines that were read. */
  readonly onProgress?: (lines: number) => void;
}

/** Something that is not as it must be. */
export interface Problem {
  /** The first line that it is about. */
  readonly from: number;
  /** The last one. */
  readonly to: number;
  /** What is wrong with them. */
  readonly what: string;
}

/** What a check came to. */
export interface Verdict {
  /** The id of the log, hexadecimal. */
  readonly log: string;
  /** Lines that it has. */
  readonly lines: number;
  /** Of these the texts were taken away by retention. */
  readonly forgotten: number;
  /** Signed heads that it has. */
  readonly heads: number;
  /** The first so many lines are under a head that a trusted key signed. */
  readonly proven: number;
  /** The root of all lines, hexadecimal. */
  readonly root: string;
  /** The ids of the keys that signed, in the order of their use. */
  readonly keys: readonly string[];
  /** Whether the key was given, and not taken from the log itself. */
  readonly pinned: boolean;
  /** What is wrong; none: it is whole. */
  readonly problems: readonly Problem[];
  /** More problems than are listed. */
  readonly unlisted: number;
  /** Worth knowing, and no fault of the log. */
  readonly notes: readonly string[];
}

/** Checks `file`. */
export function verifyLog(file: AuditSourceFile, options: VerifyOptions = {}): Verdict {
  return new Check(file, options).run();
}

class Check {
  readonly #problems: Problem[] = [];
  #unlisted = 0;
  readonly #notes: string[] = [];
  /** By their id. */
  readonly #trusted = new Map<string, PublicKey>();
  readonly #signed: string[] = [];
  /** Keys that lines have introduced, and texts that they took away, which no head has vouched for yet. */
  #introduced: { n: number; key?: PublicKey; before?: number }[] = [];
  readonly #frontier = new Frontier();
  readonly #lineHead = new LineHead();
  readonly #hash: Bytes = new Uint8Array(HASH_BYTES);
  /** Lines of which nothing is known: the tree says nothing any more. */
  #broken = false;
  #forgotten = 0;
  #lastForgotten = -1;
  #prunedUpTo = 0;
  #proven = 0;
  #headCount = 0;
  #foreignHeads = 0;
  #backwards = 0;
  #moved = 0;
  #lastMs = 0;
  #kid: string | undefined;
  #untagged = 0;
  /** Of lines that no trusted head counts and no key here authenticates. */
  #unvouched: { from: number; to: number }[] = [];

  constructor(readonly file: AuditSourceFile, readonly options: VerifyOptions) {
    if (options.key !== undefined) this.#trusted.set(options.key.id, options.key);
  }

  run(): Verdict {
    const heads = this.file.heads()[Symbol.iterator]();
    let [head, n] = [heads.next(), 0];
    for (const line of this.file.entries()) {
      n = this.#place(line, n);
      while (!head.done && head.value.size <= n) {
        this.#head(head.value, n);
        head = heads.next();
      }
      if (n % 65_536 === 0) this.options.onProgress?.(n);
    }
    for (; !head.done; head = heads.next()) this.#head(head.value, n);
    this.#end(n);
    return {
      log: toHex(this.file.id),
      lines: n,
      forgotten: this.#forgotten,
      heads: this.#headCount,
      proven: this.#proven,
      root: toHex(this.#frontier.root()),
      keys: this.#signed,
      pinned: this.options.key !== undefined,
      problems: this.#problems,
      unlisted: this.#unlisted,
      notes: this.#notes,
    };
  }

  /** Takes a line in where line `n` is expected. Returns the number of the next one. */
  #place(line: LineBytes, n: number): number {
    if (line.n < n) {
      this.#problem(line.n, line.n, `stands behind line ${n - 1}: out of order, or twice`);
      return n;
    }
    if (line.n > n) {
      this.#problem(n, line.n - 1, "missing");
      this.#broken = true;
    }
    this.#line(line);
    return line.n + 1;
  }

  #line({ n, leaf: said, tag, entry }: LineBytes): void {
    let good = true;
    let leaf = said;
    if (entry === null) {
      this.#forgotten++;
      this.#lastForgotten = n;
    } else {
      const hash = sha256(entry, this.#hash);
      leaf ??= hash;
      if (!sameHash(hash, leaf, HASH_BYTES)) {
        this.#problem(n, n, "changed: its text is not the one that was recorded");
        good = false;
      }
      good = this.#read(n, entry, good) && good;
    }
    if (leaf?.length !== HASH_BYTES) {
      this.#problem(n, n, "has no hash");
      this.#broken = true;
      return;
    }
    this.#tag(n, leaf, tag, good);
    if (!this.#broken) this.#frontier.append(leaf);
  }

  #tag(n: number, leaf: Bytes, tag: Bytes | undefined, good: boolean): void {
    const signer = this.options.signers?.get(this.#kid ?? "");
    if (signer === undefined || tag === undefined) {
      this.#untagged++;
      const last = this.#unvouched.at(-1);
      if (last?.to === n - 1) last.to = n;
      else this.#unvouched.push({ from: n, to: n });
      return;
    }
    if (signer.isTag(tag, this.file.id, n, leaf) || !good) return;
    this.#problem(n, n, "changed, moved or added by somebody without the host's key");
  }

  /** Whether it is line `n`, and what the log says of itself there. @param good Whether its text is the one that was recorded. */
  #read(n: number, entry: Bytes, good: boolean): boolean {
    const head = this.#lineHead;
    // Cheaper than parsing each: what lineText writes begins so.
    const line = head.read(entry, 1) && !head.isOwn ? head : parseLine(textOf(entry));
    if (line?.n !== n) {
      if (good) this.#problem(n, n, line === undefined ? "is no line" : `holds line ${line.n}`);
      return false;
    }
    if (!good) return false;
    if (line.t < this.#lastMs) this.#backwards++;
    this.#lastMs = line.t;
    if (line === head) return true;
    const own = line as AuditLine;
    if (own.event === "clock-moved") this.#moved++;
    if (own.event === "audit-pruned") this.#introduced.push({ n, before: Number(own["before"]) });
    if (own.event === "audit-begun" || own.event === "audit-key") this.#newKey(n, own);
    return true;
  }

  #newKey(n: number, line: AuditLine): void {
    this.#kid = String(line["kid"]);
    let key: PublicKey;
    try {
      key = new PublicKey(fromBase64Url(String(line["key"])));
    } catch {
      return this.#problem(n, n, "names a key that is none");
    }
    if (line.event === "audit-begun") {
      if (n !== 0) this.#problem(n, n, "begins a log inside the log");
      if (line["log"] !== toHex(this.file.id)) this.#problem(n, n, "is of another log");
      if (this.options.key === undefined) this.#trusted.set(key.id, key);
      if (typeof line["before"] === "string") {
        this.#notes.push(
          `it follows the log ${line["before"]}, of which this machine had seen ${
            plural(Number(line["before_size"]), "line")
          }`,
        );
      }
    } else if (line["endorsed"] === false) {
      this.#problem(n, n, "a key took over without the word of the one before it");
    }
    this.#introduced.push({ key, n });
  }

  #head({ size, cose }: Pick<StoredHead, "size" | "cose">, n: number): void {
    this.#headCount++;
    let head: SignedHead;
    try {
      head = readHead(cose);
    } catch {
      return this.#problem(Math.max(0, size - 1), Math.max(0, size - 1), "its head cannot be read");
    }
    const last = Math.max(0, head.size - 1);
    const { kid } = head.statement;
    const key = this.#trusted.get(kid);
    if (key === undefined) {
      this.#foreignHeads++;
      return;
    }
    if (!head.statement.verify(key)) {
      return this.#problem(
        last,
        last,
        `a head over them is not signed by the key ${kid} that it names`,
      );
    }
    if (!sameBytes(head.log, this.file.id)) {
      return this.#problem(last, last, "the head over them is of another log");
    }
    if (!this.#signed.includes(kid)) this.#signed.push(kid);
    if (head.size > n) return this.#problem(n, last, "missing: a signed head counts them");
    if (head.size !== size || size !== this.#frontier.size || this.#broken) {
      if (!this.#broken) this.#problem(last, last, "a head stands at another place");
      return;
    }
    if (!sameBytes(head.root, this.#frontier.root())) {
      const from = this.#proven;
      this.#broken = true;
      // Where a line was found already, it is that one.
      if (this.#problems.some((p) => p.to >= from)) return;
      return this.#problem(from, last, "one of these is not what was signed");
    }
    this.#proven = head.size;
    this.#unvouched = this.#unvouched.filter(({ to }) => to >= head.size);
    for (const { key, before = 0 } of this.#introduced.filter(({ n }) => n < head.size)) {
      if (key !== undefined) this.#trusted.set(key.id, key);
      if (before > this.#prunedUpTo) this.#prunedUpTo = before;
    }
    this.#introduced = this.#introduced.filter(({ n }) => n >= head.size);
  }

  #end(n: number): void {
    const { seen, unnoted, key } = this.options;
    if (unnoted !== undefined) this.#notes.push(unnoted);
    const isExport = this.file.count !== undefined;
    // The host's tags vouch for lines that no head counts yet.
    const tagged = this.options.signers !== undefined && this.#untagged === 0;
    const isNobodys = (n > 0 || isExport) && this.#proven === 0 && !tagged;
    // Under another's key nothing is known of retention either: that it is another's is what is to be said.
    const isOthers = isNobodys && this.#foreignHeads > 0;
    if (this.#lastForgotten >= this.#prunedUpTo && !isOthers) {
      this.#problem(this.#prunedUpTo, this.#lastForgotten, "a text is gone that no retention took");
    }
    if (seen?.log === toHex(this.file.id) && seen.size > n) {
      this.#problem(n, seen.size - 1, "missing: this machine has seen them; put back from earlier");
    }
    const { count = n } = this.file;
    if (count > n) this.#problem(n, count - 1, "missing: the export says that it has them");
    if (count < n) this.#problem(count, n - 1, "more than the export says that it has");
    if (isNobodys && this.#problems.length === 0) {
      this.#problem(
        0,
        Math.max(0, n - 1),
        key === undefined ? "no head is signed" : "no head is signed by the given key",
      );
    }
    // Which key a line is under, the file itself says: it must be one of this host's, or a head must count the line.
    const asHost = this.options.signers !== undefined && this.#problems.length === 0;
    for (const { from, to } of asHost ? this.#unvouched : []) {
      this.#problem(Math.max(from, this.#proven), to, NOBODYS);
    }
    if (this.#foreignHeads > 0) {
      this.#notes.push(
        `${plural(this.#foreignHeads, "head")} of keys that nothing here vouches for`,
      );
    }
    const open = n - this.#proven;
    if (open > 0 && this.#problems.length === 0 && isExport) {
      // An export ends with a head: these are nobody's word.
      this.#problem(this.#proven, n - 1, "not under a signed head: anybody can have written them");
    } else if (open > 0 && this.#problems.length === 0) {
      this.#notes.push(`not under a signed head yet: the last ${plural(open, "line")}`);
    }
    if (this.#backwards > 0) {
      const clock = this.#moved > 0
        ? `the clock was moved ${plural(this.#moved, "time")}`
        : "nothing says why";
      this.#notes.push(`time goes back ${plural(this.#backwards, "time")}; ${clock}`);
    }
    if (this.options.signers !== undefined && this.#untagged > 0) {
      this.#notes.push(
        `the tags of ${plural(this.#untagged, "line")} were not checked: their key is gone`,
      );
    }
    if (key === undefined) {
      this.#notes.push("checked against the key that it names itself; to pin one: --key FILE");
    }
  }

  /** Joins what is said of neighbours. */
  #problem(from: number, to: number, what: string): void {
    const last = this.#problems.at(-1);
    if (last?.what === what && last.to + 1 === from) {
      this.#problems[this.#problems.length - 1] = { ...last, to };
    } else if (this.#problems.length < MAX_FINDINGS) {
      this.#problems.push({ from, to, what });
    } else {
      this.#unlisted++;
    }
  }
}
