/**
 * The file of a backup: a line of JSON, and sealed records of at most 1 MiB each.
 *
 *   {"v":1,"type":"secllama-backup","kdf":{…},"prefix":b64url}\n   record+
 *   record = u32 length | AES-256-GCM of the text
 *
 * The key is Argon2id (RFC 9106) of the passphrase. A record's nonce is the prefix (7 bytes), its number (4) and 1 for the last (STREAM,
 * Hoang, Reyhanitabar, Rogaway and Vizár, 2015), so that no record can be left out, moved or added; the line is each one's additional
 * data. The first record is empty: it tells a wrong passphrase from a damaged file.
 */
import { type Bytes, concat, fromBase64Url, toBase64Url, u32, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import {
  checkKdf,
  deriveBoxKey,
  type KdfParameters,
  newKdf,
  ordered,
} from "../keys/stores/envelope.ts";

const TYPE = "secllama-backup";
const VERSION = 1;
const PREFIX_BYTES = 7;
const TAG_BYTES = 16;
const RECORD_BYTES = 1 << 20;
const MAX_LINE_BYTES = 4_096;

interface Outside {
  readonly line: Bytes;
  readonly prefix: Bytes;
  readonly key: CryptoKey;
}

/** Writes a backup's records. */
export class SealedWriter {
  readonly #file: Deno.FsFile;
  readonly #outside: Outside;
  #number = 0;
  #held: Bytes = new Uint8Array(0);

  private constructor(file: Deno.FsFile, outside: Outside) {
    this.#file = file;
    this.#outside = outside;
  }

  /** Begins in an empty file. */
  static async begin(
    file: Deno.FsFile,
    passphrase: Uint8Array,
    kdf: KdfParameters = newKdf(),
  ): Promise<SealedWriter> {
    const prefix = crypto.getRandomValues(new Uint8Array(PREFIX_BYTES));
    const text = { v: VERSION, type: TYPE, kdf: ordered(kdf), prefix: toBase64Url(prefix) };
    const line = utf8(JSON.stringify(text) + "\n");
    const writer = new SealedWriter(file, {
      line,
      prefix,
      key: await deriveBoxKey(passphrase, kdf),
    });
    await writeAll(file, line);
    await writer.#record(new Uint8Array(0), false);
    return writer;
  }

  /** Seals more of the text. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#held = concat(this.#held, bytes);
    while (this.#held.length > RECORD_BYTES) {
      await this.#record(this.#held.subarray(0, RECORD_BYTES), false);
      this.#held = this.#held.slice(RECORD_BYTES);
    }
  }

  /** Seals the last of it; it is on the disk then. */
  async end(): Promise<void> {
    await this.#record(this.#held, true);
    await this.#file.sync();
  }

  async #record(text: Uint8Array<ArrayBuffer>, last: boolean): Promise<void> {
    const { prefix, line: additionalData, key } = this.#outside;
    const iv = nonce(prefix, this.#number++, last);
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, text);
    await writeAll(this.#file, concat(u32(sealed.byteLength), new Uint8Array(sealed)));
  }
}

/** Reads a backup's text, each part once it verified. */
export class SealedReader {
  readonly #file: Deno.FsFile;
  readonly #outside: Outside;
  #number = 0;
  #held: Bytes = new Uint8Array(0);
  #ended = false;

  private constructor(file: Deno.FsFile, outside: Outside) {
    this.#file = file;
    this.#outside = outside;
  }

  /** @throws {SecLlamaError} `key-corrupt` for what is no backup, or a newer version's; `key-locked` for a wrong passphrase. */
  static async begin(file: Deno.FsFile, passphrase: Uint8Array): Promise<SealedReader> {
    const line = await readLine(file);
    const { kdf, prefix } = readOutside(line);
    const key = await deriveBoxKey(passphrase, kdf);
    const reader = new SealedReader(file, { line, prefix, key });
    try {
      await reader.#record();
    } catch (cause) {
      throw new SecLlamaError("key-locked", "the passphrase does not open the backup", {
        hint: HINTS.passphraseAgain,
        cause,
      });
    }
    return reader;
  }

  /** At most `most` bytes more; undefined at the end. @throws {SecLlamaError} `key-corrupt`. */
  async some(most: number): Promise<Bytes | undefined> {
    while (this.#held.length === 0) {
      if (this.#ended) return undefined;
      this.#held = await this.#record();
    }
    const part = this.#held.slice(0, most);
    this.#held = this.#held.subarray(part.length);
    return part;
  }

  /** Exactly so many bytes more. @throws {SecLlamaError} `key-corrupt`. */
  async take(length: number): Promise<Bytes> {
    const parts: Bytes[] = [];
    for (let left = length; left > 0;) {
      const part = await this.some(left);
      if (part === undefined) throw damaged("it ends too early");
      parts.push(part);
      left -= part.length;
    }
    return concat(...parts);
  }

  /** @throws {SecLlamaError} `key-corrupt` if there is more. */
  async end(): Promise<void> {
    if (await this.some(1) !== undefined) throw damaged("it has more than it says");
    if ((await this.#file.read(new Uint8Array(1))) !== null) throw damaged("bytes follow its end");
  }

  async #record(): Promise<Bytes> {
    const { prefix, line: additionalData, key } = this.#outside;
    const [a, b, c, d] = await readExactly(this.#file, 4);
    const length = ((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0;
    if (length < TAG_BYTES || length > RECORD_BYTES + TAG_BYTES) {
      throw damaged(`record ${this.#number} has no length that is written`);
    }
    const sealed = await readExactly(this.#file, length);
    for (const last of [false, true]) {
      const iv = nonce(prefix, this.#number, last);
      try {
        const text = await crypto.subtle.decrypt(
          { name: "AES-GCM", iv, additionalData },
          key,
          sealed,
        );
        this.#number++;
        this.#ended = last;
        return new Uint8Array(text);
      } catch { /* the other, or neither */ }
    }
    throw damaged(`record ${this.#number} was changed`);
  }
}

function readOutside(line: Bytes): { kdf: KdfParameters; prefix: Bytes } {
  let o: Record<string, unknown>;
  try {
    o = JSON.parse(utf8Decode(line));
  } catch {
    throw damaged("it is no backup of secllama");
  }
  if (o["type"] !== TYPE) throw damaged("it is no backup of secllama");
  if (o["v"] !== VERSION) {
    throw new SecLlamaError("key-corrupt", `the backup is of version ${Number(o["v"])}, want 1`, {
      hint: HINTS.newerWrote,
    });
  }
  try {
    const { m, t, p, salt } = o["kdf"] as KdfParameters;
    const kdf = { name: "argon2id", m, t, p, salt } as const;
    checkKdf(kdf, "the backup");
    const prefix = fromBase64Url(String(o["prefix"]));
    if (prefix.length !== PREFIX_BYTES || fromBase64Url(salt).length !== 16) throw new Error();
    return { kdf, prefix };
  } catch (error) {
    if (error instanceof SecLlamaError) throw error;
    throw damaged("its first line is not one of a backup");
  }
}

async function readLine(file: Deno.FsFile): Promise<Bytes> {
  const line: number[] = [];
  const byte = new Uint8Array(1);
  while (line.at(-1) !== 0x0a) {
    if (line.length === MAX_LINE_BYTES || await file.read(byte) === null) {
      throw damaged("it is no backup of secllama");
    }
    line.push(byte[0]!);
  }
  return Uint8Array.from(line);
}

async function readExactly(file: Deno.FsFile, length: number): Promise<Bytes> {
  const out = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const read = await file.read(out.subarray(at));
    if (read === null) throw damaged("it was cut off");
    at += read;
  }
  return out;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

function nonce(prefix: Bytes, number: number, last: boolean): Bytes {
  return concat(prefix, u32(number), Uint8Array.of(last ? 1 : 0));
}

/** The error for a backup that is not whole. */
export function damaged(what: string): SecLlamaError {
  return new SecLlamaError("key-corrupt", `the backup cannot be used: ${what}`, {
    hint: "use another copy; nothing was changed here",
  });
}
