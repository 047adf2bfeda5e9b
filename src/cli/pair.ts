/** `secllama pair NAME`: lets one more machine in, and prints the one line that it needs for that. */
import { encodeQR } from "qr";
import { encodePairing } from "../client/mod.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { label } from "../log.ts";
import { secret } from "../secret.ts";
import { recording } from "./audit/act.ts";
import { issuerPin } from "../fleet/issuer.ts";
import { FleetState } from "../fleet/state.ts";
import { checkClientName, ManifestFile, openKeySource } from "../keys/mod.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "./command.ts";
import { checkPairingUrl, pairingAddress } from "../app/listen_address.ts";
import { noteNewName, offerWords } from "./offer_words.ts";
import { keySourceOptions, LASTING_KEY_OPTIONS } from "./key_options.ts";
import { ensureDataDirectory } from "../config/data_folder.ts";
import { readSettings, SETTING_OPTIONS } from "./settings.ts";

export const pairCommand: Command = {
  path: ["pair"],
  example: "secllama pair laptop --url https://gateway.lan:11435",
  summary: "Let another machine use this gateway: shows ten words, or one long string, once",
  arguments: "NAME",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...JSON_OPTION,
    ...LASTING_KEY_OPTIONS,
    url: { type: "string", value: "URL", help: "where that machine finds this gateway: https://…" },
    name: SETTING_OPTIONS["name"]!,
    "tls-cert": SETTING_OPTIONS["tls-cert"]!,
    "tls-key": SETTING_OPTIONS["tls-key"]!,
    words: { type: "boolean", help: "show ten words, also where the output is no terminal" },
    string: {
      type: "boolean",
      help: "print the long pairing string, which needs no gateway that runs",
    },
    "no-wait": { type: "boolean", help: "with words: do not wait for the other machine" },
    "may-stop": { type: "boolean", help: "that machine may unload models too" },
    replace: { type: "boolean", help: "end the client that has this name now" },
    "no-qr": { type: "boolean", help: "print no QR code" },
  },
  details:
    `On a terminal it shows ten words and waits for the other machine, where you run: secllama proxy --pair URL
and type them. They are good once, for ten minutes and three tries; Ctrl-C ends them. A gateway must run that the other
machine can reach: secllama serve --host 0.0.0.0

With --string, or where the output is a file or a pipe, it prints one long line instead. That line is a key: whoever has it
can use the models of this host, as NAME, until you run: secllama clients revoke NAME. On the other machine:
secllama proxy --pair -
More: secllama help remote.`,
  async run(context) {
    hardenSelf(); // before a key is in memory
    const { config, dataDir } = await readSettings(context);
    // What is wrong with the line itself is said before a key is asked for.
    checkClientName(context.positionals[0]!);
    checkPairingUrl(config, stringOption(context, "url"));
    await ensureDataDirectory(dataDir);
    using keys = await openKeySource({ ...keySourceOptions(context, dataDir), autoInit: true });
    const registry = keys.clients();
    const address = await pairingAddress(config, dataDir, keys, stringOption(context, "url"));
    const terms = {
      name: context.positionals[0]!,
      replace: flag(context, "replace"),
      may: flag(context, "may-stop") ? ["stop"] as const : [],
    };
    const state = new FleetState(new ManifestFile(dataDir), keys.storage());
    const fleet = keys.ephemeral ? undefined : await issuerPin(state, keys.hid);
    // Ten words have no room for the issuer's key, nor is it known at whose gateway they are typed.
    if (wantsWords(context, address.vouched !== undefined && fleet === undefined)) {
      return await offerWords(context, { dataDir, keys, address, terms });
    }
    const client = await recording(context, keys, async (record) => {
      const client = await registry.add(terms.name, terms);
      await record("client-paired", {
        client: label(client.name),
        client_id: label(client.id.slice(0, 8)),
        replaced: terms.replace,
      });
      return client;
    });
    using ring = await keys.ring();
    const credentials = ring.credentials(client.id);
    if (credentials === undefined) throw new SecLlamaError("internal", "the client has no key");
    using _wiped = secret(credentials.psk);
    const { url, certificate } = address;
    const pairing = encodePairing({
      url,
      ...credentials,
      ...(fleet && { issuer: fleet.issuer }),
      ...(certificate === undefined ? {} : { certificate }),
    });
    show(context, { name: client.name, id: client.id, url, pairing });
    noteNewName(context, address.newName);
    return EXIT.ok;
  },
};

/** @throws {SecLlamaError} `usage` for options that exclude each other. */
function wantsWords(context: CommandContext, possible: boolean): boolean {
  const [words, string] = [flag(context, "words"), flag(context, "string")];
  if (words && string) throw new SecLlamaError("usage", "--words and --string exclude each other");
  if (words && !possible) {
    throw new SecLlamaError("usage", "ten words pair over https only", {
      field: "--url",
      hint: "give an https address, or print the long string: --string",
    });
  }
  return words || !string && possible && context.tui.isTerminal && !flag(context, "json");
}

function show(
  context: CommandContext,
  made: { name: string; id: string; url: string; pairing: string },
): void {
  const { tui } = context;
  if (flag(context, "json")) return tui.json({ schema: 1, ...made });
  tui.note(`Paired ${made.name}, for ${made.url}. This line is its key, and is shown this once:`);
  tui.out(made.pairing);
  if (tui.isTerminal && !flag(context, "no-qr")) tui.out(qrCode(context, made.pairing));
  tui.note("On that machine run: secllama proxy --pair -   and paste the line.");
}

/** The code in half blocks, two rows a line; a remark instead where the terminal is too narrow to show it whole. */
function qrCode(context: CommandContext, text: string): string {
  const code = encodeQR(text, "ascii", { ecc: "low", border: 2 }).trimEnd();
  const columns = Deno.consoleSize().columns;
  if (code.split("\n")[0]!.length <= columns) return code;
  context.tui.note("The terminal is too narrow for the QR code.");
  return "";
}
