/**
 * How often each key was used: `key-usage.json`, no secrets, best effort. It is no part of the keyset: a lost or damaged
 * one costs counts and nothing else, so nothing here fails a caller.
 */
import { join } from "node:path";
import { utf8, utf8Decode } from "../../bytes.ts";
import { newerFile } from "../../newer_file.ts";
import { isKid } from "./kid.ts";
import { ManifestFile, writeFileAtomically } from "./manifest_file.ts";

interface KeyUse {
  /** Secrets wrapped under it. */
  readonly wraps: number;
  /** Times a gateway or proxy loaded it. */
  readonly loads: number;
  /** ISO 8601; null if it was never used. */
  readonly lastUsed: string | null;
}

const LOCK_TIMEOUT_MS = 500;
const CAP_BYTES = 1_048_576;
const NO_USE: KeyUse = { wraps: 0, loads: 0, lastUsed: null };

/** The counts by kid; empty if there are none or they cannot be read. */
export async function readUsage(dataDir: string): Promise<Map<string, KeyUse>> {
  const out = new Map<string, KeyUse>();
  try {
    const path = pathIn(dataDir);
    if ((await Deno.stat(path)).size > CAP_BYTES) return out;
    const value: unknown = JSON.parse(utf8Decode(await Deno.readFile(path)));
    if (typeof value !== "object" || value === null) return out;
    for (const [kid, entry] of Object.entries(value)) {
      const { wraps, loads, lastUsed } = (entry ?? {}) as { [name: string]: unknown };
      if (!isKid(kid) || !count(wraps) || !count(loads)) continue;
      out.set(kid, { wraps, loads, lastUsed: typeof lastUsed === "string" ? lastUsed : null });
    }
  } catch { /* none yet, or damaged: start from nothing */ }
  return out;
}

/** Why nothing is counted: a newer secllama wrote the counts; undefined: it did not. */
export async function usageOfNewer(dataDir: string): Promise<string | undefined> {
  const path = pathIn(dataDir);
  try {
    return newerFile(path, JSON.parse(utf8Decode(await Deno.readFile(path))), 1);
  } catch {
    return undefined;
  }
}

/** The use of one key. */
export function useOf(usage: ReadonlyMap<string, KeyUse>, kid: string): KeyUse {
  return usage.get(kid) ?? NO_USE;
}

/** Adds to the counts of `kid` under the keyset's lock; returns the wraps so far. Never throws. */
export async function recordUse(
  file: ManifestFile,
  kid: string,
  add: { wraps?: number; loads?: number },
): Promise<number> {
  try {
    // Counting is not worth the wait that a change of the keys is.
    const hasty = new ManifestFile(file.dataDir, { lockTimeoutMs: LOCK_TIMEOUT_MS });
    return await hasty.withLock(async () => {
      const usage = await readUsage(file.dataDir);
      if (await usageOfNewer(file.dataDir) !== undefined) return useOf(usage, kid).wraps;
      const old = useOf(usage, kid);
      const wraps = old.wraps + (add.wraps ?? 0);
      usage.set(kid, {
        wraps,
        loads: old.loads + (add.loads ?? 0),
        lastUsed: new Date().toISOString(),
      });
      await writeFileAtomically(
        pathIn(file.dataDir),
        utf8(JSON.stringify(Object.fromEntries(usage), null, 2) + "\n"),
      );
      return wraps;
    });
  } catch {
    return useOf(await readUsage(file.dataDir), kid).wraps;
  }
}

function pathIn(dataDir: string): string {
  return join(dataDir, "key-usage.json");
}

function count(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
