/**
 * The host's id: 16 random bytes in `host.json` in the data folder, made once. Every pre-shared key that leaves the key code is
 * bound to it, and clients pin it when they are paired. It is no secret. The list of clients repeats it under its HMAC, so that
 * one that was lost comes back with the clients that know it.
 */
import { join } from "node:path";
import { type Bytes, fromHex, toHex, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { refuseNewer } from "../newer_file.ts";
import { ioError, type ManifestFile, writeFileAtomically } from "./keyset/manifest_file.ts";

const FILE = "host.json";
const BYTES = 16;
const CAP_BYTES = 4_096;

/** The id in the data folder, or undefined if there is none. @throws {SecLlamaError} `key-corrupt`, `key-io`. */
export async function readHostId(dataDir: string): Promise<Bytes | undefined> {
  const path = pathIn(dataDir);
  let text: string;
  try {
    if ((await Deno.stat(path)).size > CAP_BYTES) throw damaged(path);
    text = utf8Decode(await Deno.readFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error instanceof TypeError ? damaged(path) : ioError("read", path, error);
  }
  try {
    const value = JSON.parse(text);
    refuseNewer(path, value, 1);
    const { v, hid } = value;
    if (v === 1 && typeof hid === "string" && /^[0-9a-f]{32}$/.test(hid)) return fromHex(hid);
  } catch (error) {
    if (error instanceof SecLlamaError) throw error;
  }
  throw damaged(path);
}

/**
 * The id in the data folder, made if there is none.
 * @param known Where there is none: the id that clients know this host by, if any are left that do.
 * @throws {SecLlamaError} `key-corrupt`, `key-io`, `key-lock-busy`.
 */
export async function ensureHostId(
  file: ManifestFile,
  known: () => Promise<Bytes | undefined>,
): Promise<Bytes> {
  const { dataDir } = file;
  const there = await readHostId(dataDir);
  if (there !== undefined) return there;
  return await file.withLock(async () => {
    const meanwhile = await readHostId(dataDir);
    if (meanwhile !== undefined) return meanwhile;
    return await makeHostId(dataDir, await known());
  });
}

/** Writes the id `known`, or a new one. The caller holds the keyset's lock. @throws {SecLlamaError} `key-io`. */
export async function makeHostId(
  dataDir: string,
  known: Bytes = crypto.getRandomValues(new Uint8Array(BYTES)),
): Promise<Bytes> {
  const text = JSON.stringify({ v: 1, hid: toHex(known) }) + "\n";
  await writeFileAtomically(pathIn(dataDir), utf8(text));
  return known;
}

/** Forgets the id: who knew this host by it knows no key of it any more. The caller holds the keyset's lock. */
export async function forgetHostId(dataDir: string): Promise<void> {
  try {
    await Deno.remove(pathIn(dataDir));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw ioError("remove", pathIn(dataDir), error);
  }
}

function pathIn(dataDir: string): string {
  return join(dataDir, FILE);
}

function damaged(path: string): SecLlamaError {
  return new SecLlamaError("key-corrupt", `${path} is damaged`, {
    hint: "put it back; or remove it: the id is then taken from clients.json",
  });
}
