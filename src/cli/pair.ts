/** `secllama pair NAME`: lets one more machine in, and prints the one line that it needs for that. */
import { encodeQR } from "qr";
import { encodePairing } from "../client/mod.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { label } from "../log.ts";
import { secret } from "../secret.ts";
import { recording } from "./audit/act.ts";
import { openKeySource } from "../keys/mod.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "./command.ts";
import { pairingAddress } from "../app/listen_address.ts";
import { KEY_OPTIONS, keySourceOptions } from "./key_options.ts";
import { ensureDataDirectory } from "../config/data_folder.ts";
import { readSettings, SETTING_OPTIONS } from "./settings.ts";

export const pairCommand: Command = {
  path: ["pair"],
  example: "secllama pair laptop --url https://gateway.lan:11435",
  summary: "Let another machine use this gateway: prints its pairing string, once",
  arguments: "NAME",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...JSON_OPTION,
    ...KEY_OPTIONS,
    url: { type: "string", value: "URL", help: "where that machine finds this gateway: https://…" },
    name: SETTING_OPTIONS["name"]!,
    "tls-cert": SETTING_OPTIONS["tls-cert"]!,
    "tls-key": SETTING_OPTIONS["tls-key"]!,
    replace: { type: "boolean", help: "end the client that has this name now" },
    "no-qr": { type: "boolean", help: "print no QR code" },
  },
  details:
    `The pairing string is a secret: whoever has it can use the models of this host, as NAME, until you run
secllama clients revoke NAME. Nothing of it is kept here. On the other machine: secllama proxy --pair -
More: secllama help remote.`,
  async run(context) {
    hardenSelf(); // before a key is in memory
    const { config, dataDir } = await readSettings(context);
    await ensureDataDirectory(dataDir);
    using keys = await openKeySource({ ...keySourceOptions(context, dataDir), autoInit: true });
    const registry = keys.clients();
    const address = await pairingAddress(config, dataDir, keys, stringOption(context, "url"));
    const client = await recording(context, keys, async (record) => {
      const replace = flag(context, "replace");
      const client = await registry.add(context.positionals[0]!, { replace });
      await record("client-paired", {
        client: label(client.name),
        client_id: label(client.id.slice(0, 8)),
        replaced: replace,
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
      ...(certificate === undefined ? {} : { certificate }),
    });
    show(context, { name: client.name, id: client.id, url, pairing });
    if (address.newName !== undefined) {
      context.tui.note(
        `If secllama serve runs already, restart it: its certificate does not name ${address.newName} yet.`,
      );
    }
    return EXIT.ok;
  },
};

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
