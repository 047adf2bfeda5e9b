/**
 * What `secllama proxy --pair` reads: the ten words that the host shows, which are redeemed at once, or the long pairing string;
 * from the terminal or standard input.
 */
import { countWords, looksLikeWords, parseWords, WORD_COUNT } from "../api/pairing_words.ts";
import { type Pairing, parsePairing } from "../client/mod.ts";
import { pairByWords } from "../client/pair_by_words.ts";
import { SecLlamaError } from "../errors.ts";
import { secret } from "../secret.ts";
import { systemAuthorities } from "../tls/system_authorities.ts";
import type { CommandContext } from "./command.ts";

/** A pairing string has about 1,100 characters. */
const MAX_INPUT = 64 * 1024;
const REDEEM_TIMEOUT_MS = 60_000;
/** A mistyped word is asked for again so often. */
const MAX_ASKED = 5;

/**
 * The pairing that the user gives.
 * @param where The value of `--pair`: "-", or the gateway's address, which words need.
 * @throws {SecLlamaError} `usage` for an address that is none, `bad-pairing`, `pairing-refused`, `gateway-unreachable`.
 */
export async function readPairing(context: CommandContext, where: string): Promise<Pairing> {
  const gateway = where === "-" ? undefined : gatewayAddress(where);
  if (!Deno.stdin.isTerminal()) return await pairingOf(context, await readInput(), gateway);
  for (let left = MAX_ASKED;; left--) {
    const question = gateway === undefined
      ? "Pairing string, or ten words (an empty line ends):"
      : "The ten words:";
    const text = await context.tui.askPasted(question, {
      whole: isWhole,
      echo: gateway !== undefined, // words are good once; the long string is a key
    });
    if (text === undefined || text.trim() === "") {
      throw new SecLlamaError("key-cancelled", "no pairing was given", {
        hint: "on the host, secllama pair NAME shows new ones; then run this command again",
      });
    }
    try {
      return await pairingOf(context, text, gateway);
    } catch (error) {
      const { all, known } = countWords(text);
      const typo = error instanceof SecLlamaError && error.code === "bad-pairing" &&
        looksLikeWords(text) && known * 2 >= all;
      if (!typo || left <= 1) throw error;
      context.tui.error(error);
    }
  }
}

async function pairingOf(
  context: CommandContext,
  text: string,
  given: URL | undefined,
): Promise<Pairing> {
  const { address, rest } = splitAddress(text);
  if (!looksLikeWords(rest)) return parsePairing(text);
  const words = parseWords(rest);
  using _wiped = secret(words.secret);
  const gateway = given ?? address ?? await askAddress(context);
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(REDEEM_TIMEOUT_MS)]);
  return await pairByWords(words, gateway, signal, systemAuthorities);
}

/** "https://gateway.lan:11435 word word …": both in one paste. */
function splitAddress(text: string): { address: URL | undefined; rest: string } {
  const found = /https:\/\/[^\s,]+/i.exec(text);
  if (found === null) return { address: undefined, rest: text };
  const rest = text.slice(0, found.index) + " " + text.slice(found.index + found[0].length);
  return looksLikeWords(rest)
    ? { address: gatewayAddress(found[0]), rest }
    : { address: undefined, rest: text };
}

async function askAddress(context: CommandContext): Promise<URL> {
  const text = await context.tui.askPasted("Address of the gateway, as the host shows it:", {
    whole: () => true,
    echo: true,
  });
  if (text?.trim()) return gatewayAddress(text.trim());
  throw new SecLlamaError("usage", "ten words need the gateway's address", {
    field: "--pair",
    hint: "run: secllama proxy --pair https://GATEWAY:11435   as the host shows it",
  });
}

/** `gateway.lan:11435` is https too. */
function gatewayAddress(text: string): URL {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `https://${text}`);
  // A word or a pairing string in the address's place is a secret that others could read there.
  const named = url !== null && (/[.:\]]/.test(text) || url.hostname === "localhost");
  if (named && url.protocol === "https:" && url.username === "" && !/^secllama/i.test(text)) {
    return new URL(url.origin);
  }
  throw new SecLlamaError(
    "usage",
    "--pair takes the gateway's address or -, and no pairing: others could read it there",
    {
      field: "--pair",
      hint: "run: secllama proxy --pair https://GATEWAY:11435   and type the words; or: " +
        "secllama proxy --pair -   and paste the line",
    },
  );
}

/** Whether a text is all that was meant: a string up to its checksum, ten words, or something else that will not get better. */
function isWhole(text: string): boolean {
  const line = text.replace(/[\s\p{Cf}]+/gu, "");
  if (/^secllama-pair-/i.test(line)) return /^[^.]*\.[^.]*\.[0-9a-f]{8}/i.test(line);
  if ("secllama-pair-".startsWith(line.toLowerCase())) return false;
  const { all, known } = countWords(splitAddress(text).rest);
  // One or two words are a beginning, also if one is mistyped.
  return all >= WORD_COUNT || all >= 3 && known * 2 < all;
}

/** Standard input, up to the end of what it is for: whoever pipes it may keep the pipe open. */
async function readInput(): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of Deno.stdin.readable) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_INPUT || /\s$/.test(text) && isWhole(text)) break;
  }
  return text;
}
