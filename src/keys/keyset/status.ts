/** What `secllama key status` reports: what was found, and what could not be found out. Never key bytes. */
import { SecLlamaError, toSecLlamaError } from "../../errors.ts";
import { wipe } from "../../secret.ts";
import { HEAD, type Keyset, readHead, readKey } from "./keyset.ts";
import { isKid } from "./kid.ts";
import type { KeyManager } from "./manager.ts";
import type { KeyState, Manifest } from "./manifest.ts";
import { ageDays, rotationReminder } from "./reminder.ts";
import type { Backend, YesNoUnknown } from "../stores/store.ts";
import { readUsage, useOf } from "./usage.ts";

interface KeyStatus {
  readonly kid: string;
  readonly state: KeyState;
  readonly created: string;
  readonly retired: string | null;
  readonly compromised: boolean;
  readonly ageDays: number;
  /** What the store has: `gone` is right for a destroyed key, `left` is a destroyed key whose item is still there. */
  readonly item: "ok" | "missing" | "corrupt" | "unknown" | "gone" | "left";
  readonly wraps: number;
  readonly loads: number;
  readonly lastUsed: string | null;
}

export interface StatusReport {
  readonly schema: 1;
  readonly backend: Backend;
  readonly profile: string;
  readonly reachable: boolean;
  readonly locked: boolean;
  readonly encryptedAtRest: YesNoUnknown;
  /** Whether the key is in memory only because no store was there or none was wanted. */
  readonly fallback: boolean;
  /** Whether manifest, HMAC, head and active key agree. */
  readonly verified: boolean;
  readonly generation: number | null;
  readonly active: string | null;
  readonly ageDays: number | null;
  readonly keys: readonly KeyStatus[];
  /** A change that was interrupted; the next change undoes or completes it. */
  readonly pending: { readonly op: "add" | "delete"; readonly kids: readonly string[] } | null;
  readonly headBehind: boolean;
  /** Keys in the store that the manifest does not know; null if the store could not be listed. */
  readonly orphans: readonly string[] | null;
  readonly reminder: string | null;
  readonly problem: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
  } | null;
  /** The exit code that this state has on the command line. */
  readonly exitCode: number;
}

/** Looks at everything and changes nothing. Prompts only where the store itself does. */
export async function keyStatus(
  manager: KeyManager,
  options: { maxAgeDays?: number } = {},
): Promise<StatusReport> {
  const { store } = manager;
  const now = manager.now();
  const status = await store.probe();
  const usable = status.reachable && !status.locked;
  let keyset: Keyset | undefined;
  let problem: SecLlamaError | undefined;
  try {
    keyset = await manager.read();
    wipe(keyset.activeKey);
  } catch (error) {
    problem = toSecLlamaError(error);
    if (problem.code === "internal") throw error;
  }
  const manifest = keyset?.manifest ?? await unverifiedManifest(manager);
  const usage = await readUsage(manager.file.dataDir);
  const accounts = usable ? await orNull(() => store.list()) : null;

  const keys: KeyStatus[] = [];
  for (const [kid, entry] of Object.entries(manifest?.keys ?? {})) {
    const item = entry.state === "destroyed"
      ? accounts === null ? "unknown" : accounts.includes(kid) ? "left" : "gone"
      : usable
      ? await itemState(manager, kid)
      : "unknown";
    if (problem === undefined && (item === "missing" || item === "corrupt")) {
      problem = new SecLlamaError(
        item === "missing" ? "key-lost" : "key-corrupt",
        `the key ${kid} is ${item} in the key store`,
        { hint: "restore it from an export: secllama key import FILE" },
      );
    }
    keys.push({ kid, ...entry, ageDays: ageDays(entry.created, now), item, ...useOf(usage, kid) });
  }
  const rank = { "active": 0, "decrypt-only": 1, "destroyed": 2 };
  keys.sort((a, b) => rank[a.state] - rank[b.state] || b.created.localeCompare(a.created));

  const active = manifest?.active ?? null;
  const activeStatus = keys.find((key) => key.kid === active);
  const head = usable ? await orNull(() => readHead(store)) : null;
  return {
    schema: 1,
    backend: store.backend,
    profile: manager.profile,
    reachable: status.reachable,
    locked: status.locked,
    encryptedAtRest: status.encryptedAtRest,
    fallback: store.backend === "memory",
    verified: keyset !== undefined,
    generation: manifest?.gen ?? null,
    active,
    ageDays: activeStatus?.ageDays ?? null,
    keys,
    pending: manifest?.pending ?? null,
    headBehind: keyset !== undefined && (head?.gen ?? 0) < keyset.manifest.gen,
    orphans:
      accounts?.filter((account) =>
        account !== HEAD && isKid(account) && !(account in (manifest?.keys ?? {}))
      ) ?? null,
    reminder: activeStatus === undefined ? null : rotationReminder({
      created: activeStatus.created,
      wraps: activeStatus.wraps,
      now,
      ...options,
    }) ?? null,
    problem: problem === undefined
      ? null
      : { code: problem.code, message: problem.message, hint: problem.hint ?? null },
    exitCode: problem?.exitCode ?? 0,
  };
}

/** The report on a key that comes from outside and has no keyset: the same fields, with nothing found out. */
export function outsideStatus(backend: Backend, kid: string): StatusReport {
  return {
    schema: 1,
    backend,
    profile: "default",
    reachable: true,
    locked: false,
    // In memory nothing is at rest; what keeps a descriptor's or variable's content is not known.
    encryptedAtRest: backend === "memory" ? "yes" : "unknown",
    fallback: backend === "memory",
    verified: true,
    generation: null,
    active: kid,
    ageDays: null,
    keys: [],
    pending: null,
    headBehind: false,
    orphans: null,
    reminder: null,
    problem: null,
    exitCode: 0,
  };
}

async function itemState(manager: KeyManager, kid: string): Promise<KeyStatus["item"]> {
  try {
    wipe(await readKey(manager.store, kid));
    return "ok";
  } catch (error) {
    if (!(error instanceof SecLlamaError)) throw error;
    if (error.code === "key-lost") return "missing";
    return error.code === "key-corrupt" ? "corrupt" : "unknown";
  }
}

/** The manifest as it is on the disk, for a report on a store that cannot be read. */
async function unverifiedManifest(manager: KeyManager): Promise<Manifest | undefined> {
  return await orNull(() => manager.manifest()) ?? undefined;
}

async function orNull<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SecLlamaError) return null;
    throw error;
  }
}
