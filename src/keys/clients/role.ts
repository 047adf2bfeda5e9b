/**
 * What a firm lets a kind of client do: a name for models and amounts. The list of clients holds the roles, so that its HMAC covers
 * them and a list that is put back from earlier, with a more generous role, is noticed.
 */
import { CALL_KINDS, type CallKind, type CallTerms } from "../../api/call_terms.ts";
import { fitsModel, isModelPattern } from "../../api/model_name.ts";
import { canonicalHours, isTimeZone, isWithinHours } from "./hours.ts";

/** The amounts that a role can set, each a whole number; absent: without a limit. */
export const ROLE_AMOUNTS = [
  "requestsPerMinute",
  "requestsPerDay",
  "tokensPerMinute",
  "tokensPerDay",
  "atOnce",
] as const;

/** One of {@link ROLE_AMOUNTS}. */
export type RoleAmount = (typeof ROLE_AMOUNTS)[number];

/** The role of clients that have none of their own, where there is one of this name. */
export const DEFAULT_ROLE = "default";

/** A role. Minutes and days are those of UTC. */
export type Role =
  & {
    /** As clients name it: 1 to 64 letters, digits and `._-`. */
    readonly name: string;
    /** Patterns of models' names ({@link fitsModel}); absent: all. */
    readonly models?: readonly string[];
    /** Kinds of call; absent: all. */
    readonly kinds?: readonly CallKind[];
    /** Most tokens of one reply. */
    readonly replyTokens?: number;
    /** When its clients may ask, as hours.ts has it; absent: always. */
    readonly hours?: string;
    /** Of the hours; absent: UTC. */
    readonly timeZone?: string;
  }
  & { readonly [amount in RoleAmount]?: number };

const FIELDS = ["name", "models", "kinds", "replyTokens", "hours", "timeZone"];
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Characters of a pattern of names. */
const PATTERN_LENGTH = 255;
const MAX_PATTERNS = 256;
/** The largest amount of a limit. */
export const MAX_AMOUNT = 1_000_000_000_000;

/** Whether `text` may name a role. */
export function isRoleName(text: string): boolean {
  return NAME.test(text);
}

/** Whether a value may be an amount. */
export function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_AMOUNT;
}

/** Whether `text` may be a pattern of models' names. */
export function isRolePattern(text: unknown): text is string {
  return isModelPattern(text, PATTERN_LENGTH);
}

/** The role, its fields in one order; undefined for what is none. */
export function parseRole(value: unknown): Role | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const o = value as Record<string, unknown>;
  const { name, models, kinds, replyTokens, hours, timeZone } = o;
  if (typeof name !== "string" || !isRoleName(name)) return undefined;
  const known: readonly string[] = [...FIELDS, ...ROLE_AMOUNTS];
  if (!Object.keys(o).every((key) => known.includes(key))) return undefined;
  if (models !== undefined) {
    if (!Array.isArray(models) || models.length === 0 || models.length > MAX_PATTERNS) {
      return undefined;
    }
    if (!models.every(isRolePattern)) return undefined;
  }
  // What is not understood lets nobody in: it may be what forbids.
  if (kinds !== undefined && !isKinds(kinds)) return undefined;
  if (replyTokens !== undefined && !isAmount(replyTokens)) return undefined;
  if (hours !== undefined && (typeof hours !== "string" || canonicalHours(hours) !== hours)) {
    return undefined;
  }
  if (timeZone !== undefined && (hours === undefined || !isTimeZone(timeZone))) return undefined;
  const amounts = ROLE_AMOUNTS.filter((amount) => o[amount] !== undefined);
  if (!amounts.every((amount) => isAmount(o[amount]))) return undefined;
  return {
    name,
    ...(models === undefined ? {} : { models: [...models as string[]] }),
    ...(kinds === undefined ? {} : { kinds: [...kinds as CallKind[]] }),
    ...(replyTokens === undefined ? {} : { replyTokens: replyTokens as number }),
    ...(hours === undefined ? {} : { hours: hours as string }),
    ...(timeZone === undefined ? {} : { timeZone: timeZone as string }),
    ...Object.fromEntries(amounts.map((amount) => [amount, o[amount] as number])),
  };
}

/** Whether `value` may be a role's kinds of call: each once. */
export function isKinds(value: unknown): value is readonly CallKind[] {
  return Array.isArray(value) && value.length > 0 && new Set(value).size === value.length &&
    value.every((kind) => (CALL_KINDS as readonly unknown[]).includes(kind));
}

/** Whether the role lets its clients ask at this time. @param nowMs Unix ms. */
export function mayAskAt({ hours, timeZone }: Role, nowMs: number): boolean {
  return hours === undefined || isWithinHours(hours, timeZone, nowMs);
}

/** What the role says to a runner of each call; undefined: nothing. */
export function termsOf({ name, kinds, replyTokens }: Role): CallTerms | undefined {
  if (kinds === undefined && replyTokens === undefined) return undefined;
  return {
    role: name,
    ...(kinds === undefined ? {} : { kinds }),
    ...(replyTokens === undefined ? {} : { replyTokens }),
  };
}

/**
 * Whether the role lets a model be asked.
 * @param model Its name with the tag, `demo:latest`.
 */
export function mayAsk({ models }: Role, model: string): boolean {
  return models === undefined || models.some((pattern) => fitsModel(pattern, model));
}
