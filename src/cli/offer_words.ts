/** What `secllama pair` does with words: opens the offer, shows it, and says what became of it. */
import { encodeWords, PAIRING_TRIES, pairingFingerprint } from "../api/pairing_words.ts";
import { announcedServes } from "../app/serve_announcement.ts";
import { derOfPem } from "../client/pairing.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import {
  type KeySource,
  ManifestFile,
  type OfferState,
  type OfferTerms,
  PairingOffers,
} from "../keys/mod.ts";
import { pause } from "../pause.ts";
import { secret } from "../secret.ts";
import { type CommandContext, flag } from "./command.ts";

/** How often it looks whether somebody came. */
const POLL_MS = 250;

interface WordsOffer {
  readonly dataDir: string;
  readonly keys: KeySource;
  readonly address: { readonly url: string; readonly vouched?: string; readonly newName?: string };
  readonly terms: OfferTerms;
}

/**
 * Shows ten words and waits until they are used.
 * @throws {SecLlamaError} `key-refused` if the name is taken, `pairing-refused` if the offer ended otherwise, `cancelled`.
 */
export async function offerWords(context: CommandContext, offer: WordsOffer): Promise<number> {
  const { tui } = context;
  const { dataDir, keys, address, terms } = offer;
  const offers = new PairingOffers(new ManifestFile(dataDir), keys);
  const fingerprint = await pairingFingerprint(derOfPem(address.vouched!));
  const { id, secret: own, expires } = await offers.open(terms, fingerprint);
  using oneTime = secret(own);
  const words = encodeWords({ fingerprint, secret: oneTime });
  const { name } = terms;
  const until = new Date(expires).toISOString();
  if (flag(context, "json")) {
    tui.json({ schema: 1, name, url: address.url, words, expires: until });
    return EXIT.ok;
  }
  tui.out(words);
  tui.note(`On ${name} run: secllama proxy --pair ${new URL(address.url).origin}   and type them.`);
  tui.note("They are good once, for ten minutes. Whoever types them first is paired as it.");
  noteNewName(context, address.newName);
  const serves = await announcedServes(dataDir);
  if (!serves.some(({ gateway }) => gateway.startsWith("https:"))) {
    tui.note("No gateway runs that other machines reach; start it: secllama serve --host 0.0.0.0");
  }
  if (flag(context, "no-wait")) return EXIT.ok;
  tui.progress(`waiting for ${name}; Ctrl-C ends it`);
  const state = await ending(offers, id, context.signal);
  tui.progress(undefined);
  if (state === "used") {
    tui.out(`paired ${name}`);
    return EXIT.ok;
  }
  throw notUsed(state);
}

/** The certificate of a gateway that runs has the names of its start. */
export function noteNewName(context: CommandContext, newName: string | undefined): void {
  if (newName === undefined) return;
  context.tui.note(
    `If secllama serve runs already, restart it: its certificate does not name ${newName} yet.`,
  );
}

async function ending(offers: PairingOffers, id: string, signal: AbortSignal) {
  for (;;) {
    if (signal.aborted) await offers.withdraw(id);
    const state = await offers.state(id);
    if (state !== "open") return state;
    await pause(POLL_MS, signal);
  }
}

function notUsed(state: Exclude<OfferState, "open" | "used">): SecLlamaError {
  if (state === "guessed") {
    return new SecLlamaError(
      "pairing-refused",
      `${PAIRING_TRIES} wrong tries were made, so the words are void; nobody was paired`,
      {
        hint:
          "if nobody mistyped them, somebody on the network guesses: try again, or pair by the " +
          "long string: --string",
      },
    );
  }
  if (state === "failed") {
    return new SecLlamaError(
      "pairing-refused",
      "the right words came, but the list of clients could not be changed; nobody was paired",
      { hint: "is the name taken by now? secllama clients list; then run the command again" },
    );
  }
  if (state === "withdrawn") {
    return new SecLlamaError("cancelled", "the words are void; nobody was paired");
  }
  return new SecLlamaError(
    "pairing-refused",
    state === "expired"
      ? "nobody came within ten minutes, so the words are void"
      : "the words are void: the keys were changed meanwhile",
    { hint: "for new ones, run the command again" },
  );
}
