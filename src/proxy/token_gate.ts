/** Lets in who shows a token, where the settings ask for one: in whichever header its client has a place for it. */
import type { MiddlewareHandler } from "hono";
import { errorResponse } from "../api/errors.ts";
import { type Kind, routeOf, ROUTES } from "../api/routes.ts";
import { equalConstantTime, fromBase64, utf8, utf8Decode } from "../bytes.ts";
import { type ErrorCode, SecLlamaError, toSecLlamaError } from "../errors.ts";
import { SHARED_PARTY } from "../http/mod.ts";
import { label, type Logger, sentence } from "../log.ts";

/** What the gate lets in by. */
export interface TokenGateOptions {
  /** Whose token a text is; undefined: nobody's. What they throw is answered, and nothing is counted. */
  readonly tokens: {
    find(text: string): { readonly id: string } | undefined;
    /** The id in a text, if there is or was a token of this id. */
    idIn(text: string): string | undefined;
    /** Whether the token of this id was taken back. Throws while nobody knows. */
    wasRevoked(id: string): boolean;
  };
  /** Counts wrong ones for whoever sends them: `Guesses` of src/firm. */
  readonly guesses: {
    lockedSeconds(party: string): number;
    wrong(party: string): { readonly delayMs: number; readonly locks: boolean };
    right(party: string): void;
  };
  /** For this user's own `secllama`, which finds it in the data folder. */
  readonly own: string;
  /** Gets refusals as events. */
  readonly logger: Logger;
  /** Whether a request is of this user's browser, which was let in otherwise, or gets nothing but the page's program. */
  readonly browser?: (request: Request) => boolean;
  /** Told of each request that is turned away here, for who counts. */
  readonly onAnswered?: (code: ErrorCode) => void;
  /** Told of each wrong token, too. */
  readonly onRefused?: (refusal: { readonly locked: boolean }) => void;
  /** Waits for so many ms; a timer by default. */
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Hono's variables: whose connection it is. */
export interface GateEnv {
  Variables: {
    /** The id of the token that a program showed. */
    app?: string;
  };
  Bindings: { party?: string };
}

/** Before every route but the one by which the proxy proves itself, which tells nothing and takes nothing. */
export function tokenGate(options: TokenGateOptions): MiddlewareHandler<GateEnv> {
  const { tokens, guesses, own, logger } = options;
  const sleep = options.sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  return async (c, next) => {
    if (c.req.path === ROUTES.identity.path) return await next();
    const refuse = (error: SecLlamaError, headers: Record<string, string>) => {
      void c.req.raw.body?.cancel().catch(() => {});
      options.onAnswered?.(error.code);
      const response = errorResponse(error, c.req.path, c.req.method);
      for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
      return response;
    };
    if (options.browser?.(c.req.raw)) return await next();
    const party = c.env?.party ?? "unknown";
    const shown = shownTokens(c.req.raw.headers);
    // Nobody guesses it, and an app's wrong token must not lock this user's own commands out.
    if (shown.some((text) => equalConstantTime(utf8(text), utf8(own)))) return await next();
    const countedAs = (text: string) => guesserOf(party, text, tokens);
    const look = () => {
      const locked = shown.map((text) => guesses.lockedSeconds(countedAs(text)));
      const least = shown.length > 0 ? Math.min(...locked) : guesses.lockedSeconds(party);
      // A user's name beside a password is none of ours, and may be what others guess by.
      const open = shown.filter((_, i) => locked[i] === 0);
      const right = open.map((text) => ({ text, entry: tokens.find(text) }))
        .find(({ entry }) => entry !== undefined);
      return { least, open, right };
    };
    let looked: ReturnType<typeof look>;
    try {
      looked = look();
    } catch (error) {
      // Nobody knows which tokens there are: whoever shows theirs has not guessed.
      const unknown = toSecLlamaError(error);
      const why = sentence(unknown.message);
      logger.error("tokens-not-known", { code: label(unknown.code), why });
      return refuse(unknown, {});
    }
    const { least, open, right } = looked;
    if (least > 0) {
      return refuse(lockedOut(), { "retry-after": String(least) });
    }
    if (right !== undefined) {
      guesses.right(countedAs(right.text));
      if (ofTheOwner(c.req.path)) return refuse(beyondToken(), {});
      c.set("app", right.entry!.id);
      return await next();
    }
    // Who shows none has not guessed.
    if (shown.length > 0) {
      const counts = [...new Set(open.map(countedAs))].map((one) => guesses.wrong(one));
      const locks = counts.some(({ locks }) => locks);
      const delayMs = Math.max(...counts.map(({ delayMs }) => delayMs));
      logger.warn("token-refused", { party: label(party), locked: locks });
      options.onRefused?.({ locked: locks });
      if (delayMs > 0) await sleep(delayMs);
    }
    return refuse(needsToken(shown.length > 0, misplaced(c.req.raw.headers)), {
      "www-authenticate": 'Bearer realm="secllama", Basic realm="secllama", charset="UTF-8"',
    });
  };
}

/**
 * Who guesses, as it is counted. On a socket that many share it is whoever guesses at one token: one of them who guesses locks
 * nobody out of a token that they do not know.
 */
function guesserOf(party: string, text: string, tokens: TokenGateOptions["tokens"]): string {
  return party === SHARED_PARTY ? `${party} ${tokens.idIn(text) ?? "none"}` : party;
}

/** What no app is for: this user's conversations and documents, the page, the models of the host, and its doctor. */
const OF_THE_OWNER: readonly Kind[] = ["history", "page", "management", "owner"];

function ofTheOwner(path: string): boolean {
  const kind = routeOf(path)?.kind;
  return kind !== undefined && OF_THE_OWNER.includes(kind);
}

function beyondToken(): SecLlamaError {
  return new SecLlamaError("token-scope", "an API token is for asking models", {
    hint: "conversations, documents and models are managed by this user's own secllama",
  });
}

/** Every token that a request shows; more than one only where headers differ. */
export function shownTokens(headers: Headers): string[] {
  const shown = [headers.get("x-api-key"), headers.get("api-key")];
  const [, scheme, value] = /^(\S+) +(\S+)$/.exec(headers.get("authorization") ?? "") ?? [];
  if (scheme?.toLowerCase() === "bearer") shown.push(value!);
  if (scheme?.toLowerCase() === "basic") shown.push(...basicParts(value!));
  return [...new Set(shown.filter((text) => text !== null && text !== ""))] as string[];
}

/** RFC 7617: some clients have a place for a password, others put a key where the user's name is. */
function basicParts(value: string): string[] {
  try {
    const text = utf8Decode(fromBase64(value));
    const colon = text.indexOf(":");
    return colon < 0 ? [] : [text.slice(0, colon), text.slice(colon + 1)];
  } catch {
    return [];
  }
}

/** What is wrong with the headers of who meant to show a token, without a word of them; undefined: nothing. */
function misplaced(headers: Headers): string | undefined {
  if (["x-api-key", "api-key"].some((name) => /^bearer\b/i.test(headers.get(name) ?? ""))) {
    return "x-api-key and api-key take the token alone, without the word Bearer";
  }
  const value = headers.get("authorization")?.trim() ?? "";
  if (value === "" || /^(?:bearer|basic) +\S+$/i.test(value)) return undefined;
  if (/^bearer +bearer\b/i.test(value)) {
    return "Authorization has the word Bearer twice: give your program the token alone, it adds the word itself";
  }
  return "Authorization must be the word Bearer, a space and the token";
}

function needsToken(shown: boolean, fault: string | undefined): SecLlamaError {
  return new SecLlamaError(
    "token-refused",
    fault ?? (shown ? "the API token is not valid here" : "an API token is needed"),
    { hint: "send it as Authorization: Bearer TOKEN; to make one: secllama token create NAME" },
  );
}

function lockedOut(): SecLlamaError {
  return new SecLlamaError("rate-limited", "too many wrong API tokens came from here", {
    hint: "wait as long as Retry-After says, and check the token that your program sends",
  });
}
