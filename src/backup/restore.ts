/**
 * Puts a backup in the place of what a data folder has. Everything is read and checked before anything is changed; from then on a mark
 * stands in the folder, without which nothing else of secllama would notice a restore that was killed. What was there is kept in a
 * folder beside it.
 */
import { dirname, join } from "node:path";
import { type Bytes, equalConstantTime, fromHex, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { readUpTo } from "../read_up_to.ts";
import { isHalfRestored, RESTORING } from "../keys/half_restored.ts";
import { ioError, writeFileAtomically } from "../keys/keyset/manifest_file.ts";
import { type CheckedKeyset, checkKeyset } from "../keys/keyset/restore.ts";
import type { Place } from "../keys/keyset/transaction.ts";
import { damaged, SealedReader } from "./container.ts";
import { besideOf, contentsOf, isContent } from "./contents.ts";
import { fileName, type Index, KEYS_ENTRY, POLICY_ENTRY, stagingFolder } from "./make.ts";
import { differences, summaryOf } from "./superseded.ts";

const MAX_INDEX_BYTES = 1 << 20;

/** What a restore needs. */
interface RestoreOptions {
  readonly passphrase: Bytes;
  /** Where keys go; a `kid`: the key comes from outside and is that one. */
  readonly keys: Place | { readonly kid: string };
  readonly dataDir: string;
  /** Where this machine's marks are. */
  readonly stateDir: string | undefined;
  /** Whether it may take the place of something. */
  readonly replace: boolean;
  /** Runs what changes the folder alone. */
  readonly withLock: <T>(change: () => Promise<T>) => Promise<T>;
}

/** What was done. */
interface Restored {
  readonly index: Index;
  /** What it took the place of, a line each; none: there was nothing. */
  readonly superseded: readonly string[];
  /** Where that is now. */
  readonly kept: string | undefined;
  /** How many pairings with gateways came back with their keys. */
  readonly pairings: number;
  /** Where the policy is; undefined: there was none, or one was there already, which stayed. */
  readonly policy: string | undefined;
  /** Where one was there already, which is another one than the backup's. */
  readonly otherPolicy: string | undefined;
}

/**
 * @throws {SecLlamaError} `key-locked` for a wrong passphrase, `key-corrupt` for a damaged backup or a newer version's, `key-refused`
 * for a key that is not the backup's, `key-already-initialised` without `replace` where something is there, `key-io`.
 */
export function restoreBackup(path: string, o: RestoreOptions): Promise<Restored> {
  return restoreBySteps(path, o, () => {});
}

/** As {@link restoreBackup}. @param step Told of each change before it is made; what it throws ends the restore there, as a kill does. */
export async function restoreBySteps(
  path: string,
  o: RestoreOptions,
  step: (name: string) => void,
): Promise<Restored> {
  const staging = await stagingFolder(o.dataDir);
  try {
    const index = await unpack(path, o.passphrase, staging);
    using keyset = await keysetIn(staging, index, o);
    return await o.withLock(async () => {
      const half = await isHalfRestored(o.dataDir);
      const there = await contentsOf(o.dataDir);
      const superseded = there.length === 0
        ? []
        : differences(await summaryOf(o.dataDir), await summaryOf(staging));
      if (there.length > 0 && !o.replace) throw notEmpty(o.dataDir, superseded);
      const used = keyset !== undefined && "store" in o.keys && there.length === 0 && !half
        ? await keyset.generationIn(o.keys.store)
        : undefined;
      if (used !== undefined && !o.replace) throw inUse(used);
      if (used !== undefined) superseded.push(`keys of generation ${used} in the key store`);
      // It may be where this user may not write: then nothing has been changed yet.
      const { policy, otherPolicy } = await putPolicy(staging, index);
      step("mark");
      const mark = join(o.dataDir, RESTORING);
      await writeFileAtomically(mark, utf8(JSON.stringify({ v: 1 }) + "\n"));
      // A log whose database is gone would be taken for the one of the database that comes.
      const come = index.entries.map(({ name }) => name).filter((name) => !there.includes(name));
      const logs = await Promise.all(come.map((name) => besideOf(o.dataDir, name)));
      const kept = await moveAway(o.dataDir, [...there, ...logs.flat()], step);
      await putFiles(staging, o.dataDir, index, step);
      step("marks");
      await forgetMarks(o.stateDir, index.hid);
      step("keys");
      if (keyset !== undefined && "store" in o.keys) await keyset.put(o.keys);
      step("done");
      await Deno.remove(mark);
      if (half) superseded.push("a restore that was not finished");
      return { index, superseded, kept, policy, otherPolicy, pairings: keyset?.pairings ?? 0 };
    });
  } finally {
    await Deno.remove(staging, { recursive: true }).catch(() => {});
  }
}

async function unpack(path: string, passphrase: Bytes, staging: string): Promise<Index> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw ioError("read", path, error);
    throw new SecLlamaError("usage", `there is no file ${path}`);
  }
  using _closing = file;
  const reader = await SealedReader.begin(file, passphrase);
  const [a, b, c, d] = await reader.take(4);
  const length = ((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0;
  if (length > MAX_INDEX_BYTES) throw damaged("its index is over 1 MiB");
  const index = JSON.parse(utf8Decode(await reader.take(length))) as Index;
  for (const { name, bytes } of index.entries) {
    if (name !== KEYS_ENTRY && name !== POLICY_ENTRY && !isContent(name)) {
      throw damaged("it has a file that is not known here");
    }
    using out = await Deno.open(join(staging, fileName(name)), {
      write: true,
      createNew: true,
      mode: 0o600,
    });
    for (let left = bytes; left > 0;) {
      const part = await reader.some(left);
      if (part === undefined) throw damaged("it ends too early");
      for (let at = 0; at < part.length;) at += await out.write(part.subarray(at));
      left -= part.length;
    }
    await out.sync();
  }
  await reader.end();
  return index;
}

/** The keyset of the backup, which fits; undefined: its key comes from outside, and is the right one. */
async function keysetIn(
  staging: string,
  index: Index,
  o: RestoreOptions,
): Promise<CheckedKeyset | undefined> {
  const outside = "kid" in o.keys ? o.keys.kid : null;
  if (index.gen === null && outside === index.kid) return undefined;
  if (index.gen === null || outside !== null) {
    throw new SecLlamaError(
      "key-refused",
      index.gen === null
        ? `the backup's key ${index.kid} came from outside, and is not the one that is given`
        : "the backup has its keys, and here a key comes from outside",
      { hint: "name the key source that its host had; see secllama help keys" },
    );
  }
  const read = (name: string) => Deno.readFile(join(staging, name));
  return await checkKeyset({
    box: await read(KEYS_ENTRY),
    manifest: await read("keyset.json"),
    clients: await read("clients.json").catch(() => undefined),
  }, o.passphrase);
}

async function moveAway(
  dataDir: string,
  there: readonly string[],
  step: (step: string) => void,
): Promise<string | undefined> {
  if (there.length === 0) return undefined;
  const kept = join(dataDir, `superseded-${new Date().toISOString().replaceAll(":", "")}`);
  for (const name of there) {
    for (const one of [...await besideOf(dataDir, name), name]) {
      const to = join(kept, one);
      await Deno.mkdir(dirname(to), { recursive: true, mode: 0o700 });
      step(`away ${one}`);
      await Deno.rename(join(dataDir, one), to);
    }
  }
  return kept;
}

/** Puts the policy where it was, unless one is there. */
async function putPolicy(
  staging: string,
  { entries, policy }: Index,
): Promise<Pick<Restored, "policy" | "otherPolicy">> {
  const neither = { policy: undefined, otherPolicy: undefined };
  if (policy === null || !entries.some(({ name }) => name === POLICY_ENTRY)) return neither;
  const from = join(staging, fileName(POLICY_ENTRY));
  if (await Deno.lstat(policy).then(() => true, () => false)) {
    return await haveOneText(from, policy) ? neither : { ...neither, otherPolicy: policy };
  }
  try {
    await Deno.mkdir(dirname(policy), { recursive: true });
    // It may be on another file system.
    await Deno.copyFile(from, policy);
    return { ...neither, policy };
  } catch (error) {
    throw ioError("write", policy, error);
  }
}

/** Whether two files say the same; one that cannot be read says something else. */
async function haveOneText(ours: string, theirs: string): Promise<boolean> {
  const bytes = await Deno.readFile(ours);
  const others = await readUpTo(theirs, bytes.length).catch(() => undefined);
  return others !== undefined && equalConstantTime(bytes, others);
}

async function putFiles(
  staging: string,
  dataDir: string,
  index: Index,
  step: (step: string) => void,
): Promise<void> {
  for (const { name } of index.entries) {
    if (name === KEYS_ENTRY || name === POLICY_ENTRY) continue;
    step(`put ${name}`);
    const to = join(dataDir, name);
    await Deno.mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await Deno.rename(join(staging, fileName(name)), to);
  }
}

/** What this machine has noted of the host would make of what comes back something that was put back. */
async function forgetMarks(stateDir: string | undefined, hid: string): Promise<void> {
  if (stateDir === undefined || hid === "" || fromHex(hid).length !== 16) return;
  for (const name of [`${hid}.json`, `${hid}-audit.json`]) {
    await Deno.remove(join(stateDir, "marks", name)).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw ioError("remove", name, error);
    });
  }
}

/** Its newer head would make every other folder's keyset an older one. */
function inUse(gen: number): SecLlamaError {
  return new SecLlamaError(
    "key-already-initialised",
    `the key store has a host's keys already, of generation ${gen}: a host with another data folder that uses them would stop`,
    {
      hint: "give the same command with --replace if that folder is gone, or another key store: " +
        "--key-file, or SECLLAMA_PROFILE",
    },
  );
}

function notEmpty(dataDir: string, superseded: readonly string[]): SecLlamaError {
  const what = superseded.length === 0 ? "the same, as far as it shows" : superseded.join("; ");
  return new SecLlamaError("key-already-initialised", `${dataDir} is not empty: ${what}`, {
    hint: "to replace it, and keep what is there in a folder beside it: --replace",
  });
}
