/** Makes a backup: keys, clients, roles, tokens, settings, policy, history and audit log in one sealed file. */
import { join } from "node:path";
import { type Bytes, toHex, u32, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { type ExportedPairings, isOfPairings } from "../keys/mod.ts";
import { readHostId } from "../keys/host_id.ts";
import { isCommitted, parseManifest } from "../keys/keyset/manifest.ts";
import { ioError, type ManifestFile } from "../keys/keyset/manifest_file.ts";
import type { KdfParameters } from "../keys/stores/envelope.ts";
import { VERSION } from "../version.ts";
import { SealedWriter } from "./container.ts";
import { contentsOf, mustBeWhole, snapshot } from "./contents.ts";

/** Bytes of a file that are read at once. */
const CHUNK = 1 << 18;
const STAGING = ".backup-";
const DAY_MS = 86_400_000;

/** What a backup says of itself, sealed. */
export interface Index {
  /** When it was made, RFC 3339. */
  readonly made: string;
  /** By which version. */
  readonly program: string;
  /** The host's id, hexadecimal; empty: it had none yet. */
  readonly hid: string;
  /** The active key. */
  readonly kid: string;
  /** The keyset's generation; null: the key came from outside, and is not in it. */
  readonly gen: number | null;
  /** Where the model policy lay; null: there is none. */
  readonly policy: string | null;
  /** In their order. */
  readonly entries: readonly { readonly name: string; readonly bytes: number }[];
}

/** Names of entries that are no file of the data folder. */
export const KEYS_ENTRY = "@keys";
export const POLICY_ENTRY = "@policy";

/** Which keys there are, and, unless they come from outside, these as `secllama key export` wraps them. */
export type BackedUpKeys =
  & { readonly kid: string }
  & (
    | {
      readonly gen: number;
      readonly box: Bytes;
      /** What the box has of pairings. */
      readonly pairings: ExportedPairings;
    }
    | { readonly gen: null }
  );

/** What goes in. */
interface ToBackUp {
  readonly file: ManifestFile;
  readonly passphrase: Bytes;
  readonly keys: BackedUpKeys;
  /** Path of the model policy, where there is one. */
  readonly policy: string | undefined;
  /** Default: {@link newKdf}'s. */
  readonly kdf?: KdfParameters;
}

/**
 * Writes it to `path`, which must not exist; a kill leaves `path.part` at most.
 * @throws {SecLlamaError} `usage`, `key-io`, `key-lock-busy`.
 */
export async function makeBackup(path: string, what: ToBackUp): Promise<Index> {
  if (await Deno.lstat(path).then(() => true, () => false)) {
    throw new SecLlamaError("usage", `${path} exists already`, { hint: HINTS.newFile });
  }
  const part = `${path}.part`;
  const { dataDir } = what.file;
  const staging = await stagingFolder(dataDir);
  try {
    const index = await what.file.withLock(() => collect(staging, dataDir, what));
    using file = await open(part);
    const writer = await SealedWriter.begin(file, what.passphrase, what.kdf);
    const text = utf8(JSON.stringify(index));
    await writer.write(u32(text.length));
    await writer.write(text);
    for (const { name, bytes } of index.entries) {
      let written = 0;
      for await (const piece of pieces(join(staging, fileName(name)))) {
        await writer.write(piece);
        written += piece.length;
      }
      if (written !== bytes) throw new SecLlamaError("key-io", `${name} changed while it was read`);
    }
    await writer.end();
    await Deno.rename(part, path);
    return index;
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error instanceof SecLlamaError ? error : ioError("write", path, error);
  } finally {
    await Deno.remove(staging, { recursive: true }).catch(() => {});
  }
}

/** A folder beside what it is for, so that renames stay on one file system. */
export async function stagingFolder(dataDir: string): Promise<string> {
  try {
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    await removeStale(dataDir);
    return await Deno.makeTempDir({ dir: dataDir, prefix: STAGING });
  } catch (error) {
    throw ioError("write", dataDir, error);
  }
}

/** What a process left that was killed. One that is younger may be another's that runs. */
async function removeStale(dataDir: string): Promise<void> {
  for await (const { name } of Deno.readDir(dataDir)) {
    if (!name.startsWith(STAGING)) continue;
    const path = join(dataDir, name);
    const made = (await Deno.stat(path)).mtime?.getTime() ?? 0;
    if (Date.now() - made > DAY_MS) await Deno.remove(path, { recursive: true }).catch(() => {});
  }
}

async function collect(staging: string, dataDir: string, what: ToBackUp): Promise<Index> {
  await mustBeWhole(dataDir);
  const names = await contentsOf(dataDir);
  for (const name of names) await snapshot(join(dataDir, name), join(staging, fileName(name)));
  if (what.keys.gen !== null) {
    await checkUnchanged(staging, what.keys);
    await Deno.writeFile(join(staging, KEYS_ENTRY), what.keys.box, { mode: 0o600 });
    names.push(KEYS_ENTRY);
  }
  if (what.policy !== undefined) {
    await snapshot(what.policy, join(staging, POLICY_ENTRY));
    names.push(POLICY_ENTRY);
  }
  const entries: Index["entries"][number][] = [];
  for (const name of names) {
    entries.push({ name, bytes: (await Deno.stat(join(staging, fileName(name)))).size });
  }
  const hid = await readHostId(dataDir);
  return {
    made: new Date().toISOString(),
    program: VERSION,
    hid: hid === undefined ? "" : toHex(hid),
    kid: what.keys.kid,
    gen: what.keys.gen,
    policy: what.policy ?? null,
    entries,
  };
}

/** The keys were wrapped before this machine's other commands had to wait: none may have changed them since. */
async function checkUnchanged(
  staging: string,
  { kid, gen, pairings }: BackedUpKeys & { readonly pairings: ExportedPairings },
): Promise<void> {
  const { manifest } = parseManifest(await Deno.readFile(join(staging, "keyset.json")));
  const same = isCommitted(manifest) && manifest.gen === gen && manifest.active === kid;
  if (same && await isOfPairings(staging, pairings)) return;
  throw new SecLlamaError("key-lock-busy", "the keys changed while the backup was made", {
    hint: "run it again",
  });
}

/** As it lies in a staging folder, which has no folders in it. */
export function fileName(name: string): string {
  return name.replace("/", "%");
}

async function open(part: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(part, { write: true, create: true, truncate: true, mode: 0o600 });
  } catch (error) {
    throw ioError("write", part, error);
  }
}

async function* pieces(path: string): AsyncGenerator<Bytes> {
  using file = await Deno.open(path);
  for (;;) {
    const buffer = new Uint8Array(CHUNK);
    const read = await file.read(buffer);
    if (read === null) return;
    yield buffer.subarray(0, read);
  }
}
