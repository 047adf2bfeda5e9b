/**
 * What a host says of itself to the other hosts and the issuer: who is there, with which models and how much to do. It is sealed
 * under a key that the fleet's hosts have, so whatever carries it cannot read it; a host that was taken out has an older key.
 *
 * ```
 * said = base64url(nonce[12] | AES-256-GCM(report key, AAD "secllama/1 fleet " what | hid, JSON))
 * ```
 */
import { tryParseModelName } from "../api/model_name.ts";
import { HOST_LABEL } from "../api/runner_name.ts";
import {
  type Bytes,
  concat,
  fromBase64Url,
  fromHex,
  toBase64Url,
  utf8,
  utf8Decode,
} from "../bytes.ts";
import { gcmOpen, gcmSeal, NONCE_BYTES, randomBytes, sha256 } from "../sealed/primitives.ts";

function about(what: Said, hid: string): Bytes {
  return concat(utf8(`secllama/1 fleet ${what}`), fromHex(hid));
}

/** What is said under the report key: `report`, or `usage 5` for the fifth part of what clients used. */
type Said = "report" | `usage ${number}`;

/** How far a pull has come. */
export interface PullState {
  readonly model: string;
  /** `waiting`, `refused`, `pulling 40 %`, `done`, or `failed: <code>`. */
  readonly state: string;
}

/** A consistency proof between two heads of a log (RFC 9162). */
export interface ReportedSince {
  /** Lines that the earlier head counts. */
  readonly size: number;
  /** Hashes, base64url. */
  readonly path: readonly string[];
}

/** A host's word on itself. */
export interface HostReport {
  readonly label: string;
  /** Unix ms, its clock. */
  readonly at: number;
  readonly version: string;
  /** Which of the issuer's heads counts there. */
  readonly head: number;
  /** Rows of `/api/tags`. */
  readonly models: readonly { readonly name: string }[];
  /** Rows of `/api/ps`. */
  readonly loaded: readonly { readonly name: string }[];
  /** Requests under way in all, and how many it works on at once for each model. */
  readonly active: number;
  readonly parallel: number;
  /** The newest signed head of its audit log, base64url; absent: it has none. */
  readonly audit?: string;
  /** That this head goes on from one that was said before; absent: it is not shown. */
  readonly auditSince?: ReportedSince;
  /** What came of the models that it was asked to pull; absent: it was asked for none. */
  readonly pulls?: readonly PullState[];
}

/** The key of the hosts' reports, 32 bytes: another one after each host that is taken out. @param seed The issuer's. */
export function reportKeyOf(seed: Uint8Array, removed: number): Bytes {
  return sha256(concat(utf8("secllama/1 fleet reports"), seed, utf8(`${removed}`)));
}

/** @param hid 32 hexadecimal digits: who says it. */
export function sealSaid(what: Said, value: unknown, key: Uint8Array, hid: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const text = utf8(JSON.stringify(value));
  return toBase64Url(concat(nonce, gcmSeal(key, nonce, about(what, hid), text)));
}

/** What was said, or undefined if another host said it, of something else, or under another key. */
export function openSaid(what: Said, text: string, key: Uint8Array, hid: string): unknown {
  try {
    const sealed = fromBase64Url(text);
    const [nonce, rest] = [sealed.subarray(0, NONCE_BYTES), sealed.subarray(NONCE_BYTES)];
    return JSON.parse(utf8Decode(gcmOpen(key, nonce, about(what, hid), rest)));
  } catch {
    return undefined;
  }
}

/** @param hid 32 hexadecimal digits. */
export function sealReport(report: HostReport, key: Uint8Array, hid: string): string {
  return sealSaid("report", report, key, hid);
}

/** The report, or undefined if it is another host's, under another key, or none. */
export function openReport(text: string, key: Uint8Array, hid: string): HostReport | undefined {
  return parseReport(openSaid("report", text, key, hid));
}

/** Date's own limit, ms. */
const MAX_AT = 8.64e15;
const VERSION_TEXT = /^[\w.+-]{1,64}$/;
/** What {@link PullState} may be: it is shown in a terminal. */
const PULLED = /^[\x21-\x7e]{1,512}$/;
const PULL_STATE = /^[a-z0-9 :%-]{1,80}$/;

/** A host may lie: what is no report is none, and rows without the name of a model are left out. */
function parseReport(json: unknown): HostReport | undefined {
  const said = Object(json) as Record<string, unknown>;
  const { label, at, version, head, active, parallel, audit } = said;
  if (typeof label !== "string" || label !== "" && !HOST_LABEL.test(label)) return undefined;
  if (typeof version !== "string" || !VERSION_TEXT.test(version)) return undefined;
  if (![at, head, active, parallel].every((n) => Number.isSafeInteger(n) && n as number >= 0)) {
    return undefined;
  }
  if (at as number > MAX_AT || audit !== undefined && typeof audit !== "string") return undefined;
  const auditSince = sinceIn(said["auditSince"]);
  const [models, loaded] = ["models", "loaded"].map((what) => modelRows(said[what], what));
  const pulls = said["pulls"] === undefined ? undefined : rowsOf(said["pulls"])?.filter(isPull);
  if (models === undefined || loaded === undefined) return undefined;
  return {
    ...{ label, version, models, loaded },
    ...{ at: at as number, head: head as number },
    ...{ active: active as number, parallel: parallel as number },
    ...(audit !== undefined && { audit }),
    ...(auditSince !== undefined && { auditSince }),
    ...(pulls !== undefined && { pulls }),
  };
}

/** Of a tree of 2^53 leaves at most; what is none shows nothing. */
const MAX_PATH = 128;
/** 32 bytes: nothing is left in the last digit. */
const HASH = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

function sinceIn(value: unknown): ReportedSince | undefined {
  const { size, path } = Object(value) as Record<string, unknown>;
  const isPath = Array.isArray(path) && path.length <= MAX_PATH &&
    path.every((hash) => typeof hash === "string" && HASH.test(hash));
  return isPath && Number.isSafeInteger(size) ? { size: size as number, path } : undefined;
}

type Check = (value: unknown) => boolean;
type Checks = { readonly [field: string]: Check };

const isText: Check = (value) => typeof value === "string";
const areTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const isCount: Check = (value) => Number.isSafeInteger(value) && value as number >= 0;
/** As `toISOString` writes it, the year of four digits: clients in Go read not all that JavaScript does. */
const isTime: Check = (value) => {
  const at = typeof value === "string" && value.length === 24 ? Date.parse(value) : NaN;
  return !Number.isNaN(at) && new Date(at).toISOString() === value;
};

/** Of `details`, what Ollama's clients read. A model that has just gone has none. */
const DETAILS: Checks = {
  ...{ parent_model: isText, format: isText, family: isText, families: areTexts },
  ...{ parameter_size: isText, quantization_level: isText },
};
const areDetails: Check = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) &&
  Object.entries(known(value, DETAILS)).every(([field, one]) => DETAILS[field]!(one));

/** What a row has besides its name. One that has it otherwise would spoil the whole list for who reads it. */
const ROW = { digest: isText, size: isCount, details: areDetails };
const ROWS: { readonly [what: string]: Checks } = {
  models: { ...ROW, modified_at: isTime },
  loaded: { ...ROW, expires_at: isTime, size_vram: isCount, context_length: isCount },
};

/** Those that are rows, each with what is known of it and nothing else. */
function modelRows(value: unknown, what: string): { readonly name: string }[] | undefined {
  const checks = ROWS[what]!;
  return rowsOf(value)?.flatMap((row) => {
    const { name, ...said } = row as { name: string } & Record<string, unknown>;
    const isRow = tryParseModelName(name) !== undefined &&
      Object.entries(checks).every(([field, check]) => check(said[field]));
    if (!isRow) return [];
    const details = known(said["details"] as object, DETAILS);
    return [{ name, model: name, ...known(said, checks), details }];
  });
}

/** Its fields that have a check. */
function known(value: object, checks: Checks): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).filter(([field]) => Object.hasOwn(checks, field)),
  );
}

function isPull(row: object): row is PullState {
  const { model, state } = row as Record<string, unknown>;
  return typeof model === "string" && PULLED.test(model) &&
    typeof state === "string" && PULL_STATE.test(state);
}

function rowsOf(value: unknown): object[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.filter((row) => typeof row === "object" && row !== null && !Array.isArray(row));
}
