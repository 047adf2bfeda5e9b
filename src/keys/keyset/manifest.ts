/**
 * The keyset manifest: which keys there are, which one is active, and how far the keyset has moved on. It holds no
 * secret. An HMAC under a subkey of the active key covers every field, so an edited manifest shows; the store's item
 * `head` repeats generation and active kid, so a manifest put back from earlier shows too.
 *
 * Pure: bytes in, bytes out. manifest_file.ts reads and writes it.
 */
import { createHmac } from "node:crypto";
import { type Bytes, equalConstantTime, fromHex, toHex, utf8, utf8Decode } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { refuseNewer } from "../../newer_file.ts";
import { secret } from "../../secret.ts";
import { deriveManifest } from "../derive.ts";
import { isKid } from "./kid.ts";
import { type Backend, BACKEND_NAMES } from "../stores/store.ts";

const MANIFEST_VERSION = 1;
export const MANIFEST_CAP_BYTES = 1_048_576;

export type KeyState = "active" | "decrypt-only" | "destroyed";

/** A key's entry. The dates are ISO 8601, UTC. */
export type ManifestKey = ActiveKey | RetiredKey;

export interface ActiveKey {
  readonly state: "active";
  readonly created: string;
  readonly retired: null;
  readonly compromised: false;
}

interface RetiredKey {
  readonly state: "decrypt-only" | "destroyed";
  readonly created: string;
  /** When it stopped being active. */
  readonly retired: string;
  /** Retired because somebody else may hold it: no exchange is accepted under it any more. */
  readonly compromised: boolean;
}

/** What a change is about to do to the store, written before it does; see transaction.ts. */
interface Pending {
  /** `add` is undone after a crash, `delete` is completed. */
  readonly op: "add" | "delete";
  readonly kids: readonly string[];
}

export type Manifest = InitialManifest | CommittedManifest;

interface AnyManifest {
  readonly backend: Backend;
  readonly profile: string;
}

/** Of an `init` that has not committed: there is a key to add, and none that is active. */
interface InitialManifest extends AnyManifest {
  readonly gen: 0;
  readonly active: null;
  readonly pending: Pending & { readonly op: "add" };
  readonly keys: { readonly [kid: string]: ManifestKey };
}

/** A manifest that was committed: it has an active key. */
export interface CommittedManifest extends AnyManifest {
  /** Counts committed changes from 1. */
  readonly gen: number;
  readonly active: string;
  readonly pending: Pending | null;
  readonly keys: { readonly [kid: string]: ManifestKey };
}

export function isCommitted(manifest: Manifest): manifest is CommittedManifest {
  return manifest.active !== null;
}

interface SignedManifest {
  readonly manifest: Manifest;
  /** HMAC-SHA256, 32 bytes; empty in generation 0, which has no key to make one with. */
  readonly mac: Bytes;
}

/** The manifest's fields in one fixed order: what the HMAC covers. */
function canonical(m: Manifest): string {
  const keys: { [kid: string]: ManifestKey } = {};
  for (const kid of Object.keys(m.keys).sort()) {
    const { state, created, retired, compromised } = m.keys[kid]!;
    keys[kid] = { state, created, retired, compromised } as ManifestKey;
  }
  const pending = m.pending && { op: m.pending.op, kids: [...m.pending.kids] };
  return JSON.stringify({
    v: MANIFEST_VERSION,
    gen: m.gen,
    backend: m.backend,
    profile: m.profile,
    active: m.active,
    pending,
    keys,
  });
}

async function macOf(m: Manifest, activeKey: Bytes): Promise<Bytes> {
  using key = secret(await deriveManifest(activeKey));
  return new Uint8Array(createHmac("sha256", key).update(canonical(m)).digest());
}

/** The file's content. `activeKey` is the key that `manifest.active` names; null only in generation 0. */
export async function serialiseManifest(m: Manifest, activeKey: Bytes | null): Promise<Bytes> {
  const mac = activeKey === null ? "" : toHex(await macOf(m, activeKey));
  return utf8(JSON.stringify({ ...JSON.parse(canonical(m)), mac }, null, 2) + "\n");
}

/** @throws {SecLlamaError} `key-corrupt` if the HMAC is not the one that `activeKey` makes. */
export async function verifyManifest(signed: SignedManifest, activeKey: Bytes): Promise<void> {
  if (!equalConstantTime(await macOf(signed.manifest, activeKey), signed.mac)) {
    throw corruptManifest("does not match its HMAC: it was edited, or is another keyset's");
  }
}

/**
 * Parses the file's content. Every field is checked, and an unknown one refused; the HMAC is not checked here.
 * @throws {SecLlamaError} `key-corrupt` naming the first thing that is wrong, or that the version is newer.
 */
export function parseManifest(bytes: Uint8Array): SignedManifest {
  let value: unknown;
  try {
    value = JSON.parse(utf8Decode(bytes));
  } catch (cause) {
    throw corruptManifest("is not complete JSON", cause);
  }
  const o = record(value, "the document");
  refuseNewer("keyset.json", o, MANIFEST_VERSION);
  only(o, ["v", "gen", "backend", "profile", "active", "pending", "keys", "mac"]);
  if (o["v"] !== MANIFEST_VERSION) throw corruptManifest("has no version");
  const gen = o["gen"];
  if (!Number.isSafeInteger(gen) || (gen as number) < 0) throw corruptManifest("has a bad gen");
  const backend = o["backend"];
  if (typeof backend !== "string" || !Object.hasOwn(BACKEND_NAMES, backend)) {
    throw corruptManifest("has an unknown backend");
  }
  const profile = o["profile"];
  if (typeof profile !== "string" || !isProfile(profile)) {
    throw corruptManifest("has a bad profile");
  }
  const keys: { [kid: string]: ManifestKey } = {};
  for (const [kid, entry] of Object.entries(record(o["keys"], "keys"))) {
    keys[kidField(kid, "keys")] = parseKey(entry);
  }
  const active = o["active"] === null ? null : kidField(o["active"], "active");
  const pending = o["pending"] === null ? null : parsePending(o["pending"]);
  const macText = o["mac"];
  if (typeof macText !== "string" || !/^([0-9a-f]{64})?$/.test(macText)) {
    throw corruptManifest("has a bad mac");
  }
  const actives = Object.keys(keys).filter((kid) => keys[kid]!.state === "active");
  const about = { backend: backend as Backend, profile };
  const mac = fromHex(macText);
  if (gen === 0) {
    if (active === null && actives.length === 0 && macText === "" && pending?.op === "add") {
      const { kids } = pending;
      return { manifest: { ...about, gen, active, pending: { op: "add", kids }, keys }, mac };
    }
  } else if (active !== null && actives.join() === active && macText !== "") {
    return { manifest: { ...about, gen: gen as number, active, pending, keys }, mac };
  }
  throw corruptManifest("contradicts itself on the active key");
}

/** Whether the content says it is of a version that this program does not know. */
export function isNewerVersion(bytes: Uint8Array): boolean {
  try {
    const v: unknown = JSON.parse(utf8Decode(bytes))?.v;
    return typeof v === "number" && v > MANIFEST_VERSION;
  } catch {
    return false;
  }
}

/** Whether `text` can be a profile's name: 1 to 32 lower-case letters, digits and `-`. */
export function isProfile(text: string): boolean {
  return /^[a-z0-9-]{1,32}$/.test(text);
}

/** `key-corrupt` about the manifest. */
export function corruptManifest(what: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("key-corrupt", `keyset.json ${what}`, {
    hint: "put the right keyset.json back, or rebuild it from the key store: " +
      "secllama key init --recover",
    ...(cause === undefined ? {} : { cause }),
  });
}

function parseKey(value: unknown): ManifestKey {
  const o = record(value, "a key");
  only(o, ["state", "created", "retired", "compromised"]);
  const { state, created, retired, compromised } = o;
  if (state !== "active" && state !== "decrypt-only" && state !== "destroyed") {
    throw corruptManifest("has a key of unknown state");
  }
  if (typeof compromised !== "boolean") throw corruptManifest("has a key with bad flags");
  if (!isDate(created) || !(retired === null || isDate(retired))) {
    throw corruptManifest("has a key with a bad date");
  }
  if (state === "active" && retired === null && !compromised) {
    return { state, created, retired, compromised: false };
  }
  if (state !== "active" && retired !== null) return { state, created, retired, compromised };
  throw corruptManifest("has a key whose dates contradict its state");
}

function parsePending(value: unknown): Pending {
  const o = record(value, "pending");
  only(o, ["op", "kids"]);
  if (o["op"] !== "add" && o["op"] !== "delete") throw corruptManifest("has an unknown pending");
  if (!Array.isArray(o["kids"])) throw corruptManifest("has a bad pending");
  return { op: o["op"], kids: o["kids"].map((kid) => kidField(kid, "pending")) };
}

function record(value: unknown, what: string): { [name: string]: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw corruptManifest(`holds no object where ${what} should be`);
  }
  return value as { [name: string]: unknown };
}

function only(o: object, names: readonly string[]): void {
  for (const name of Object.keys(o)) {
    if (!names.includes(name)) throw corruptManifest("has a field that is not its own");
  }
}

function kidField(value: unknown, where: string): string {
  if (typeof value !== "string" || !isKid(value)) {
    throw corruptManifest(`has a bad kid in ${where}`);
  }
  return value;
}

function isDate(value: unknown): value is string {
  return typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
}
