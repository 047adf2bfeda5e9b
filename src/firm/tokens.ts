/**
 * API tokens of programs: `tokens.json` in the data folder, with the SHA-256 of each. A token has 256 random bits, so that a plain
 * hash tells nobody what it was; it is shown once and kept nowhere.
 *
 *     slt_ID_SECRET        ID 12 hexadecimal digits, SECRET 32 bytes in base64url
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { equalConstantTime, fromHex, toBase64Url, toHex, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { endToken, HINTS } from "../hints.ts";
import { refuseNewer } from "../newer_file.ts";
import {
  fileFingerprint,
  ioError,
  isRoleName,
  ManifestFile,
  namedBy,
  writeFileAtomically,
} from "../keys/mod.ts";

/** Its name in the data folder. */
const TOKENS_FILE = "tokens.json";
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const TOKEN = /^slt_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** A token, as it is listed. */
export interface TokenEntry {
  readonly name: string;
  /** Part of the token itself, and no secret. */
  readonly id: string;
  /** SHA-256 of the token, hexadecimal. */
  readonly hash: string;
  /** ISO 8601. */
  readonly created: string;
  /** ISO 8601; null: it has no end. */
  readonly expires: string | null;
  /** ISO 8601; null: it was not revoked. */
  readonly revoked: string | null;
  /** The role whose limits are its own; absent: those of the default role, if there is one. */
  readonly role?: string;
}

/** A token that was made just now: the only time that its text is there. */
interface NewToken {
  readonly entry: TokenEntry;
  readonly text: string;
}

/** Whether a token is let in. @param now Unix ms. */
export function isAlive(
  { revoked, expires }: Pick<TokenEntry, "revoked" | "expires">,
  now: number,
): boolean {
  return revoked === null && (expires === null || Date.parse(expires) > now);
}

/** The tokens of a data folder. */
export class Tokens {
  readonly #path: string;
  readonly #lock: ManifestFile;
  readonly #now: () => Date;

  constructor(dataDir: string, now: () => Date = () => new Date()) {
    this.#path = join(dataDir, TOKENS_FILE);
    this.#lock = new ManifestFile(dataDir);
    this.#now = now;
  }

  /** All of them, those that were revoked too. @throws {SecLlamaError} `key-corrupt` if the file is none, `key-io`. */
  async list(): Promise<TokenEntry[]> {
    return parseTokens(await this.#read(), this.#path);
  }

  /**
   * Makes one.
   * @param lifeMs undefined: it has no end.
   * @param role Whose limits it has; that there is such a role is for the caller to look.
   * @throws {SecLlamaError} `usage` for what cannot be a name, or is one already.
   */
  async create(name: string, lifeMs?: number, role?: string): Promise<NewToken> {
    if (!NAME.test(name)) {
      throw new SecLlamaError("usage", "a token's name is 1 to 64 letters, digits and ._-", {
        hint: "for instance: secllama token create open-webui",
      });
    }
    return await this.#lock.withLock(async () => {
      const all = await this.list();
      if (all.some((one) => one.name === name && one.revoked === null)) {
        throw new SecLlamaError("usage", `there is a token ${name} already`, {
          hint: endToken(name),
        });
      }
      const id = toHex(crypto.getRandomValues(new Uint8Array(6)));
      const text = `slt_${id}_${toBase64Url(crypto.getRandomValues(new Uint8Array(32)))}`;
      const now = this.#now();
      const entry: TokenEntry = {
        name,
        id,
        hash: hashOf(text),
        created: now.toISOString(),
        expires: lifeMs === undefined ? null : new Date(now.getTime() + lifeMs).toISOString(),
        revoked: null,
        ...(role === undefined ? {} : { role }),
      };
      await this.#write([...all, entry]);
      return { entry, text };
    });
  }

  /** Gives a token another role; null: none of its own. @throws {SecLlamaError} `not-found`. */
  async assign(name: string, role: string | null): Promise<TokenEntry> {
    return await this.#edit(name, ({ role: _, ...rest }) => ({
      ...rest,
      ...(role === null ? {} : { role }),
    }));
  }

  /** Ends the token of this name or id. @throws {SecLlamaError} `not-found` if there is none that lives. */
  async revoke(name: string): Promise<TokenEntry> {
    return await this.#edit(
      name,
      (entry) => ({ ...entry, revoked: this.#now().toISOString() }),
    );
  }

  async #edit(name: string, edit: (entry: TokenEntry) => TokenEntry): Promise<TokenEntry> {
    return await this.#lock.withLock(async () => {
      const all = await this.list();
      const found = namedBy(all.filter((one) => one.revoked === null), name);
      if (found === undefined) {
        throw new SecLlamaError("not-found", `there is no token ${name}`, {
          hint: "to see them: secllama token list; who is paired ends by: secllama clients revoke",
        });
      }
      const edited = edit(found);
      await this.#write(all.map((one) => one === found ? edited : one));
      return edited;
    });
  }

  async #read(): Promise<string | undefined> {
    try {
      if ((await Deno.stat(this.#path)).size > MAX_FILE_BYTES) throw corrupt(this.#path);
      return utf8Decode(await Deno.readFile(this.#path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error instanceof TypeError ? corrupt(this.#path) : ioError("read", this.#path, error);
    }
  }

  async #write(tokens: readonly TokenEntry[]): Promise<void> {
    await writeFileAtomically(this.#path, utf8(JSON.stringify({ v: 1, tokens }, null, 1) + "\n"));
  }
}

/**
 * The tokens as a proxy checks them: read again when the file changes. A check costs the same for one token and for ten thousand,
 * and takes a time that says nothing of how much of a guess was right. While the file is damaged or cannot be read nobody is let in, and
 * nobody's token is called wrong.
 */
export class TokenCheck {
  readonly #path: string;
  readonly #now: () => number;
  #seen = "";
  #byId = new Map<string, TokenEntry>();

  constructor(dataDir: string, now: () => number = Date.now) {
    this.#path = join(dataDir, TOKENS_FILE);
    this.#now = now;
  }

  /** That the tokens are known. @throws {SecLlamaError} `key-corrupt`, `key-io`: why they are not, with the file's name. */
  check(): void {
    this.#seen = "";
    try {
      this.#refresh();
    } catch (error) {
      throw error instanceof SecLlamaError && error.cause instanceof SecLlamaError
        ? error.cause
        : error;
    }
  }

  /** The token of this id that lives, for who has its id from somebody that saw it. @throws {SecLlamaError} As {@link TokenCheck.find}. */
  byId(id: string): TokenEntry | undefined {
    this.#refresh();
    const entry = this.#byId.get(id);
    return entry !== undefined && this.#lives(entry) ? entry : undefined;
  }

  /** The id in a text, if there is or was a token of this id. */
  idIn(text: string): string | undefined {
    this.#refresh();
    const id = TOKEN.exec(text)?.[1];
    return id !== undefined && this.#byId.has(id) ? id : undefined;
  }

  /** Whether the token of this id lives, and has this hash. For who was shown it and does not know the tokens. */
  byHash(id: string, hash: string): TokenEntry | undefined {
    const entry = this.byId(id);
    return entry !== undefined && equalConstantTime(fromHex(hash), fromHex(entry.hash))
      ? entry
      : undefined;
  }

  /**
   * Whether the token of this id was revoked, or is no more in the list. One that came to its end was not.
   * @throws {SecLlamaError} As {@link TokenCheck.find}.
   */
  wasRevoked(id: string): boolean {
    this.#refresh();
    const entry = this.#byId.get(id);
    return entry === undefined || entry.revoked !== null;
  }

  /**
   * Whose token it is; undefined: nobody's, or not any more.
   * @throws {SecLlamaError} `key-corrupt`, `key-io` while the tokens are not known; without a file's name, for whoever asks.
   */
  find(text: string): TokenEntry | undefined {
    this.#refresh();
    const id = TOKEN.exec(text)?.[1];
    const entry = id === undefined ? undefined : this.#byId.get(id);
    // A guess at an id that is not there is hashed and compared too.
    const same = equalConstantTime(fromHex(hashOf(text)), fromHex(entry?.hash ?? NOBODY));
    return same && entry !== undefined && this.#lives(entry) ? entry : undefined;
  }

  #lives(entry: TokenEntry): boolean {
    return isAlive(entry, this.#now());
  }

  #refresh(): void {
    try {
      const now = fileFingerprint(this.#path);
      if (now !== "" && now === this.#seen) return;
      const tokens = now === "" ? [] : parseTokens(readTokens(this.#path), this.#path);
      this.#byId = new Map(tokens.map((entry) => [entry.id, entry]));
      this.#seen = now;
    } catch (error) {
      this.#byId = new Map();
      this.#seen = "";
      const cause = ioError("read", this.#path, error);
      throw new SecLlamaError(cause.code, "this host's list of API tokens cannot be read", {
        hint: HINTS.whyTokens,
        cause,
      });
    }
  }
}

function readTokens(path: string): string | undefined {
  try {
    return utf8Decode(Deno.readFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error instanceof TypeError ? corrupt(path) : error;
  }
}

const NOBODY = "00".repeat(32);

/**
 * What a text that looks like one of our tokens claims, as the gateway is told it: `ID.HASH`; `-`: it cannot be one. undefined: it is
 * somebody else's key, which many programs must send.
 */
export function tokenClaim(text: string): string | undefined {
  if (!text.startsWith("slt_")) return undefined;
  const id = TOKEN.exec(text)?.[1];
  return id === undefined ? "-" : `${id}.${hashOf(text)}`;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function parseTokens(text: string | undefined, path: string): TokenEntry[] {
  if (text === undefined) return [];
  try {
    const value = JSON.parse(text);
    refuseNewer(path, value, 1);
    const { v, tokens } = value;
    if (v === 1 && Array.isArray(tokens) && tokens.every(isEntry)) return tokens;
  } catch (error) {
    if (error instanceof SecLlamaError) throw error;
  }
  throw corrupt(path);
}

function isEntry(value: unknown): value is TokenEntry {
  const { name, id, hash, created, expires, revoked, role } = Object(value) as Record<
    string,
    unknown
  >;
  const isTime = (time: unknown) => typeof time === "string" && !Number.isNaN(Date.parse(time));
  return typeof name === "string" && NAME.test(name) && /^[0-9a-f]{12}$/.test(String(id)) &&
    /^[0-9a-f]{64}$/.test(String(hash)) && isTime(created) &&
    (expires === null || isTime(expires)) && (revoked === null || isTime(revoked)) &&
    (role === undefined || typeof role === "string" && isRoleName(role));
}

function corrupt(path: string): SecLlamaError {
  return new SecLlamaError("key-corrupt", `${path} is no list of tokens`, {
    hint: "put it back from a copy, or remove it: then every token ends",
  });
}
