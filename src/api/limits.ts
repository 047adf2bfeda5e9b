/**
 * What is left of a client's limits, as it goes from the gateway to the proxy (`Secllama-Limits`, and a member of the problem
 * document of 429), and as each dialect's clients read it:
 *
 * | dialect   | headers                                                                                     |
 * |-----------|---------------------------------------------------------------------------------------------|
 * | openai    | `x-ratelimit-limit-requests`, `-remaining-`, `-reset-` (`6m0s`), the same with `-tokens`     |
 * | anthropic | `anthropic-ratelimit-requests-limit`, `-remaining`, `-reset` (RFC 3339), the same with `tokens` |
 * | ollama    | as OpenAI's; Ollama has none of its own                                                      |
 *
 * Source: OpenAI's and Anthropic's documentation of rate limits; both SDKs honour `retry-after` and `x-should-retry`.
 */
import type { LimitState } from "../errors.ts";
import type { Dialect } from "./routes.ts";

/** On the gateway's answers, outside of any seal. */
export const LIMITS_HEADER = "secllama-limits";
/**
 * On a sealed request from a proxy of the gateway's own machine: the id of the token of the program that asked. A proxy that asks for
 * no tokens does not know them: it adds the SHA-256 of what was shown, `ID.HASH`, and the gateway looks. No secret.
 */
export const APP_HEADER = "secllama-app";
/** What who asked under a token is told that is taken back meanwhile. */
export const TOKEN_TAKEN_BACK = "the API token was revoked while its request ran";
const APP = /^([0-9a-f]{12})(?:\.([0-9a-f]{64}))?$/;

/** What {@link APP_HEADER} says; undefined: nothing that could be an app. */
export function readApp(text: string): { readonly id: string; readonly hash?: string } | undefined {
  const [, id, hash] = APP.exec(text) ?? [];
  return id === undefined ? undefined : { id, ...(hash === undefined ? {} : { hash }) };
}

const MAX_TEXT = 1024;
const MAX_STATES = 8;
const STATE =
  /^(requests|tokens|at-once);per=(minute|day|-);limit=(\d{1,15});remaining=(\d{1,15});reset=(\d{1,9})$/;
/** Longer than this a client does not wait by itself. */
const LONG_WAIT_S = 60;

/** One line: `requests;per=minute;limit=60;remaining=59;reset=12, …`. */
export function writeLimits(states: readonly LimitState[]): string {
  return states.map(({ of, per, limit, remaining, resetS }) =>
    `${of};per=${per ?? "-"};limit=${limit};remaining=${remaining};reset=${Math.ceil(resetS)}`
  ).join(", ");
}

/** Reads {@link writeLimits}' line; undefined for what is none, as it may be a stranger's. */
export function readLimits(text: unknown): LimitState[] | undefined {
  if (typeof text !== "string" || text.length > MAX_TEXT || text === "") return undefined;
  const parts = text.split(", ");
  if (parts.length > MAX_STATES) return undefined;
  const states: LimitState[] = [];
  for (const part of parts) {
    const match = STATE.exec(part);
    if (match === null) return undefined;
    const [, of, per, limit, remaining, reset] = match;
    states.push({
      of: of as LimitState["of"],
      per: per === "-" ? undefined : per as LimitState["per"],
      limit: Number(limit),
      remaining: Number(remaining),
      resetS: Number(reset),
    });
  }
  return states;
}

/**
 * The headers by which a dialect's clients learn what is left. Of requests, and of tokens, the limit that is nearest counts.
 * @param nowMs Unix ms.
 */
export function limitHeaders(
  states: readonly LimitState[],
  dialect: Dialect,
  nowMs: number = Date.now(),
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const kind of ["requests", "tokens"] as const) {
    const state = nearest(states.filter((one) => one.of === kind));
    if (state === undefined) continue;
    const { limit, remaining, resetS } = state;
    const [first, second] = dialect === "anthropic"
      ? [`anthropic-ratelimit-${kind}-`, ""]
      : ["x-ratelimit-", `-${kind}`];
    headers[`${first}limit${second}`] = String(limit);
    headers[`${first}remaining${second}`] = String(remaining);
    headers[`${first}reset${second}`] = dialect === "anthropic"
      ? new Date(nowMs + resetS * 1000).toISOString().replace(/\.\d+Z$/, "Z")
      : goDuration(resetS);
  }
  return headers;
}

/** Besides {@link limitHeaders}, on a 429: when to come again, and whether to do so unasked. */
export function retryHeaders(states: readonly LimitState[]): Record<string, string> {
  const waitS = Math.max(
    1,
    ...states.filter((one) => one.remaining === 0).map((one) => one.resetS),
  );
  return {
    "retry-after": String(Math.ceil(waitS)),
    ...(waitS > LONG_WAIT_S ? { "x-should-retry": "false" } : {}),
  };
}

/** The one with the least left, in proportion; of two that are used up, the one that lasts longer. */
function nearest(states: readonly LimitState[]): LimitState | undefined {
  return [...states].sort((a, b) =>
    a.remaining / a.limit - b.remaining / b.limit || b.resetS - a.resetS
  )[0];
}

/** As OpenAI writes it: `1h2m3s`, `6m0s`, `17s`. */
function goDuration(seconds: number): string {
  const s = Math.ceil(seconds);
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  if (hours > 0) return `${hours}h${minutes}m${s % 60}s`;
  return minutes > 0 ? `${minutes}m${s % 60}s` : `${s}s`;
}
