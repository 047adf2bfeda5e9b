/**
 * What a firm lets a kind of client do: a name for models and amounts. The list of clients holds the roles, so that its HMAC covers
 * them and a list that is put back from earlier, with a more generous role, is noticed.
 */

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
    /** Names of models, `*` for any run of characters; absent: all. */
    readonly models?: readonly string[];
  }
  & { readonly [amount in RoleAmount]?: number };

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const PATTERN = /^[A-Za-z0-9._:/*-]{1,255}$/;
const MAX_PATTERNS = 256;
const MAX_AMOUNT = 1_000_000_000_000;

/** Whether `text` may name a role. */
export function isRoleName(text: string): boolean {
  return NAME.test(text);
}

/** Whether a value may be an amount. */
export function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_AMOUNT;
}

/** Whether `text` may be a pattern of model names. */
export function isModelPattern(text: unknown): text is string {
  return typeof text === "string" && PATTERN.test(text);
}

/** The role, its fields in one order; undefined for what is none. */
export function parseRole(value: unknown): Role | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const o = value as Record<string, unknown>;
  const { name, models } = o;
  if (typeof name !== "string" || !isRoleName(name)) return undefined;
  const known: readonly string[] = ["name", "models", ...ROLE_AMOUNTS];
  if (!Object.keys(o).every((key) => known.includes(key))) return undefined;
  if (models !== undefined) {
    if (!Array.isArray(models) || models.length === 0 || models.length > MAX_PATTERNS) {
      return undefined;
    }
    if (!models.every(isModelPattern)) return undefined;
  }
  const amounts = ROLE_AMOUNTS.filter((amount) => o[amount] !== undefined);
  if (!amounts.every((amount) => isAmount(o[amount]))) return undefined;
  return {
    name,
    ...(models === undefined ? {} : { models: [...models as string[]] }),
    ...Object.fromEntries(amounts.map((amount) => [amount, o[amount] as number])),
  };
}

/**
 * Whether the role lets a model be asked.
 * @param model Its name with the tag, `demo:latest`; a pattern without a tag means any.
 */
export function mayAsk({ models }: Role, model: string): boolean {
  return models === undefined ||
    models.some((pattern) =>
      fits(pattern, model) || !pattern.includes(":") && fits(pattern, model.replace(/:[^:/]*$/, ""))
    );
}

/** Linear in the product of both lengths at most: patterns are an administrator's, names are anybody's. */
function fits(pattern: string, text: string): boolean {
  const [first, ...rest] = pattern.toLowerCase().split("*");
  let left = text.toLowerCase();
  if (!left.startsWith(first!)) return false;
  left = left.slice(first!.length);
  const last = rest.pop();
  if (last === undefined) return left === "";
  for (const part of rest) {
    const at = left.indexOf(part);
    if (at < 0) return false;
    left = left.slice(at + part.length);
  }
  return left.endsWith(last);
}
