/** The proxy's proof that it is this user's: see src/api/proxy_identity.ts. */
import { join } from "node:path";
import { announcementName, announcementText, signedText } from "../api/proxy_identity.ts";
import { type Bytes, utf8 } from "../bytes.ts";
import { writeFileAtomically } from "../keys/mod.ts";

export class ProxyIdentity {
  readonly #keys: CryptoKeyPair;
  #announced: { readonly port: number; readonly path: string } | undefined;

  private constructor(keys: CryptoKeyPair) {
    this.#keys = keys;
  }

  static async make(): Promise<ProxyIdentity> {
    const keys = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    return new ProxyIdentity(keys as CryptoKeyPair);
  }

  /**
   * Writes the public key down. The announcement of an earlier proxy on this port is replaced.
   * @param folder The data folder, private to its user.
   * @param token What this user's own commands show, where tokens are asked for.
   * @throws {SecLlamaError} `key-io` if it cannot be written.
   */
  async announce(folder: string, port: number, token?: string): Promise<void> {
    const publicKey = await crypto.subtle.exportKey("raw", this.#keys.publicKey);
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, announcementName(port));
    // The port is this process's, so nobody else writes the file.
    await writeFileAtomically(
      path,
      utf8(announcementText(new Uint8Array(publicKey), Deno.pid, token)),
    );
    this.#announced = { port, path };
  }

  /**
   * Signs a challenge, with the port: a proxy on another port cannot pass the answer on as its own.
   * @returns undefined before it was announced.
   */
  async sign(challenge: Bytes): Promise<Bytes | undefined> {
    if (this.#announced === undefined) return undefined;
    const text = signedText(this.#announced.port, challenge);
    return new Uint8Array(await crypto.subtle.sign("Ed25519", this.#keys.privateKey, text));
  }

  /** Removes the announcement, where this process may still write: what stays behind proves nothing, since the key is gone. */
  async withdraw(): Promise<void> {
    if (this.#announced) await Deno.remove(this.#announced.path).catch(() => {});
  }

  /**
   * Removes that of a proxy which has ended, and had given up writing; one that another made there since stays.
   * @returns Whether nobody else made one.
   */
  static async withdrawOf(folder: string, port: number, pid: number): Promise<boolean> {
    const path = join(folder, announcementName(port));
    try {
      if (Object(JSON.parse(await Deno.readTextFile(path)))["pid"] !== pid) return false;
      await Deno.remove(path);
    } catch (error) {
      return error instanceof Deno.errors.NotFound;
    }
    return true;
  }
}
