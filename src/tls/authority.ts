/**
 * The gateway's own certificate authority, made when it is first needed: `tls.json` in the data folder, with the certificate,
 * the names that clients use, and the private key wrapped under the keyset's storage key. The listener's own key is made at
 * each start and is on no disk.
 */
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { type Bytes, fromBase64Url, toBase64Url, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { refuseNewer } from "../newer_file.ts";
import { secret } from "../secret.ts";
import { ioError, type ManifestFile, type StorageKeys, writeFileAtomically } from "../keys/mod.ts";
import { fromPem, toPem } from "../pem.ts";
import { importAuthorityKey, issue, makeAuthority } from "./certificate.ts";
import { isHostName } from "./names.ts";

const VERSION = 1;
const CONTEXT = "tls authority";
const CAP_BYTES = 64 * 1024;

/** What a listener needs: PEM, the private key included. */
export interface TlsCredentials {
  readonly cert: string;
  readonly key: string;
}

interface Stored {
  readonly certificate: string;
  readonly names: readonly string[];
  /** base64url of the wrapped private key. */
  readonly key: string;
}

/** When this program was written: no clock that is right is before it. */
const EARLIEST = new Date("2026-01-01T00:00:00Z");

/** Why other machines would refuse the authority's certificate (PEM) by its dates, one line each. */
export function clockWarnings(certificate: string, now: Date): string[] {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const [from, until] = [new Date(validFrom), new Date(validTo)];
  const clock = `this machine's clock is at ${dayOf(now)}`;
  if (now < from) {
    return [
      `${clock}, before the TLS certificate begins (${
        dayOf(from)
      }): no other machine can connect; set the clock, and start serve again`,
    ];
  }
  if (now <= until) return [];
  return [
    `${clock}, and the TLS certificate ended on ${
      dayOf(until)
    }: no other machine can connect; set the clock, or, if it is right, move tls.json away and pair every client anew: secllama pair NAME --replace --url …`,
  ];
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

export class GatewayAuthority {
  readonly #file: ManifestFile;
  readonly #path: string;
  readonly #storage: StorageKeys;
  readonly #now: () => Date;

  /** @param file Where the data folder is, and its lock. */
  constructor(file: ManifestFile, storage: StorageKeys, now: () => Date = () => new Date()) {
    this.#file = file;
    this.#path = join(file.dataDir, "tls.json");
    this.#storage = storage;
    this.#now = now;
  }

  /**
   * The authority's certificate (PEM) and the names it is used for, made if there is none; `names` are added for good.
   * @throws {SecLlamaError} `key-corrupt` for a damaged file, `bad-config` if one were to be made by a clock that cannot be right, and
   * what the key store throws.
   */
  ensure(names: readonly string[]): Promise<{ certificate: string; names: readonly string[] }> {
    return this.#file.withLock(async () => {
      const stored = await this.#read() ?? await this.#make();
      const all = [...new Set([...stored.names, ...names])];
      if (all.length !== stored.names.length || !await this.#exists()) {
        await this.#write({ ...stored, names: all });
      }
      return { certificate: stored.certificate, names: all };
    });
  }

  /**
   * A certificate and key for a listener that is reached under `names`.
   * @throws {SecLlamaError} `decrypt-failed` if the authority's key cannot be unwrapped.
   */
  async issue(names: readonly string[]): Promise<TlsCredentials> {
    const stored = await this.#read();
    if (stored === undefined) throw corrupt("is missing");
    const key = await this.#unwrap(stored);
    const x509 = new X509Certificate(stored.certificate);
    const spki = new Uint8Array(
      x509.publicKey.export({ type: "spki", format: "der" }) as Uint8Array,
    );
    const name = /^CN=(.+)$/m.exec(x509.subject)?.[1];
    if (name === undefined) throw corrupt("holds a certificate that is not ours");
    const authority = { certificate: fromPem("CERTIFICATE", stored.certificate), name, key };
    const leaf = await issue(authority, spki, names, this.#now());
    using pkcs8 = secret(leaf.pkcs8);
    return {
      cert: toPem("CERTIFICATE", leaf.certificate) + stored.certificate,
      key: toPem("PRIVATE KEY", pkcs8),
    };
  }

  /** Wraps the key under the active storage key, so that an older one can be destroyed. Does nothing if there is none. */
  rewrap(): Promise<void> {
    return this.#file.withLock(async () => {
      const stored = await this.#read();
      if (stored === undefined) return;
      const old = fromBase64Url(stored.key);
      const key = toBase64Url(await this.#storage.rewrap(old, CONTEXT));
      if (key !== stored.key) await this.#write({ ...stored, key });
    });
  }

  /** @throws {SecLlamaError} `bad-config` where the clock cannot be right: every client is given what is made now, for years. */
  async #make(): Promise<Stored> {
    const now = this.#now();
    if (now < EARLIEST) {
      throw new SecLlamaError("bad-config", `this machine's clock is at ${dayOf(now)}, long ago`, {
        hint: "set it (timedatectl set-ntp true, or date), then run the command again",
      });
    }
    const { certificate, pkcs8 } = await makeAuthority(now);
    using _wiped = secret(pkcs8);
    const key = toBase64Url(await this.#storage.wrap(pkcs8, CONTEXT));
    return { certificate: toPem("CERTIFICATE", certificate), names: [], key };
  }

  async #unwrap(stored: Stored): Promise<CryptoKey> {
    let pkcs8: Bytes;
    try {
      pkcs8 = await this.#storage.unwrap(fromBase64Url(stored.key), CONTEXT);
    } catch (cause) {
      if (!(cause instanceof SecLlamaError) || cause.code !== "decrypt-failed") throw cause;
      throw new SecLlamaError("decrypt-failed", "the key of the TLS certificate cannot be opened", {
        hint:
          "it was made under another key; to make a new one, move tls.json away and pair every " +
          "client anew: secllama pair NAME --replace --url …",
        cause,
      });
    }
    using _wiped = secret(pkcs8);
    return await importAuthorityKey(pkcs8);
  }

  async #exists(): Promise<boolean> {
    return await Deno.stat(this.#path).then(() => true, () => false);
  }

  async #read(): Promise<Stored | undefined> {
    let text: string;
    try {
      if ((await Deno.stat(this.#path)).size > CAP_BYTES) throw corrupt("is over 64 KiB");
      text = await Deno.readTextFile(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw ioError("read", this.#path, error);
    }
    try {
      const value = JSON.parse(text);
      refuseNewer("tls.json", value, VERSION);
      const { v, certificate, names, key } = value as Record<string, unknown>;
      if (
        v === VERSION && typeof certificate === "string" && typeof key === "string" &&
        Array.isArray(names) && names.every((n) => typeof n === "string" && isHostName(n))
      ) {
        new X509Certificate(certificate);
        fromBase64Url(key);
        return { certificate, names, key };
      }
    } catch (error) {
      if (error instanceof SecLlamaError) throw error;
    }
    throw corrupt("is damaged");
  }

  async #write(stored: Stored): Promise<void> {
    const text = JSON.stringify({ v: VERSION, ...stored }, null, 2) + "\n";
    await writeFileAtomically(this.#path, utf8(text));
  }
}

function corrupt(what: string): SecLlamaError {
  return new SecLlamaError("key-corrupt", `tls.json ${what}`, {
    hint:
      "put it back; or move it away and pair every client anew: secllama pair NAME --replace --url …",
  });
}
