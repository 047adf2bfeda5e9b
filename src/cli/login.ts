/** `secllama login`: a person's session at a gateway, by the firm's identity provider. */
import { encodePairing } from "../client/mod.ts";
import { ensureDataDirectory } from "../config/data_folder.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { checkPairingName, PairingStore } from "../keys/mod.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { readFileUpTo } from "./audit/read.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "./command.ts";
import { LASTING_KEY_OPTIONS } from "./key_options.ts";
import { report } from "./key_common.ts";
import { nameOfGateway, pairedConnection, PAIRING_OPTIONS, storeSource } from "./pairings.ts";
import { readSettings } from "./settings.ts";
import { SessionStore } from "./sign_in/session_store.ts";
import { isWebAddress, newSignIn } from "./sign_in/sign_in.ts";
import { goOn } from "./sign_in/session.ts";
import { signedInBy } from "./sign_in/provider.ts";

export const loginCommand: Command = {
  path: ["login"],
  example: "secllama login https://gateway.firm.example:11435",
  summary: "Sign in at a gateway by your firm's identity provider",
  arguments: "[URL]",
  maxPositionals: 1,
  options: {
    ...JSON_OPTION,
    device: { type: "boolean", help: "without a browser here: a code for one elsewhere" },
    refresh: { type: "boolean", help: "go on with the session that there is; for a timer" },
    as: { type: "string", value: "NAME", help: "what to call that gateway here" },
    ca: { type: "string", value: "FILE", help: "PEM certificate of the gateway, if no authority" },
    ...LASTING_KEY_OPTIONS,
    use: PAIRING_OPTIONS.use,
  },
  details:
    `The browser comes back to this machine with a code (PKCE, RFC 7636); --device shows a code to be typed on another (RFC 8628).
What the gateway gives is sealed to a key made for this once, and is kept in the key store like a pairing. It ends by itself unless
it goes on before: a running secllama proxy sees to that, or --refresh. Who is taken out of the group is out at the next refresh.`,
  async run(context) {
    hardenSelf(); // before a key is in memory
    const { dataDir } = await readSettings(context);
    await ensureDataDirectory(dataDir);
    if (flag(context, "refresh")) {
      refuseBeside(context);
      return await refresh(context, dataDir);
    }
    const text = context.positionals[0];
    if (text === undefined) {
      throw new SecLlamaError("usage", "secllama login needs the gateway's address", {
        hint: "for instance: secllama login https://gateway.firm.example:11435",
      });
    }
    const url = gatewayOf(text);
    const name = stringOption(context, "as") ?? nameOfGateway(url);
    checkPairingName(name);
    const caFile = stringOption(context, "ca");
    const certificate = caFile === undefined
      ? undefined
      : new TextDecoder().decode(await readFileUpTo(caFile));
    // Before anybody signs in: what they get could not be kept otherwise.
    const { store } = await storeSource(context, dataDir);
    const signIn = await newSignIn(url, certificate, context.signal);
    const tokens = await signedInBy(context, signIn);
    const { credentials, name: person, role, expires } = await signIn.redeem(tokens.idToken);
    const pairing = {
      url: url.href,
      ...credentials,
      ...(certificate === undefined ? {} : { certificate }),
    };
    await new PairingStore(dataDir, store).add(name, url.href, encodePairing(pairing));
    const kept = { ...signIn.provider, refresh: tokens.refreshToken, role, expires };
    await new SessionStore(store, name).keep(kept);
    report(context, { name, person, role, expires }, [
      `signed in at ${name} as ${person}, role ${role}, until ${expires}`,
      ...(tokens.refreshToken === undefined
        ? ["the provider lets nobody stay signed in: sign in again then"]
        : ["secllama proxy goes on by itself; without it, before that: secllama login --refresh"]),
    ]);
    return EXIT.ok;
  },
};

async function refresh(context: CommandContext, dataDir: string): Promise<number> {
  const source = await storeSource(context, dataDir);
  const { name, connection } = (await pairedConnection(context, dataDir, source)) ?? unpaired();
  const place = { dataDir, store: source.store, name, connection };
  const { role, expires } = await goOn(place, context.signal);
  report(context, { name, role, expires }, [`${name}: role ${role}, until ${expires}`]);
  return EXIT.ok;
}

function unpaired(): never {
  throw new SecLlamaError("not-found", "there is no session that can go on", {
    hint: HINTS.signIn,
  });
}

/** @throws {SecLlamaError} `bad-pairing`. */
function gatewayOf(text: string): URL {
  const url = URL.parse(text);
  const hint = "give the gateway's address, as in: https://gateway.firm.example:11435";
  if (!isWebAddress(url)) {
    throw new SecLlamaError("bad-pairing", "sign in over https only", { hint });
  }
  if (url.username + url.password + url.search + url.hash !== "") {
    throw new SecLlamaError("bad-pairing", "the gateway's address has no user and no query", {
      hint,
    });
  }
  return url;
}

/** What goes on is the session that there is, at the gateway that it is at. @throws {SecLlamaError} `usage`. */
function refuseBeside(context: CommandContext): void {
  const given = ["device", "as", "ca"].find((name) => context.values[name] !== undefined);
  if (given === undefined && context.positionals.length === 0) return;
  const what = given === undefined ? "no address" : `no --${given}`;
  throw new SecLlamaError("usage", `--refresh takes ${what}`, {
    hint: "it goes on with the session that there is; of several: --use NAME",
  });
}
