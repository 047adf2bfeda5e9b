/** The client's side of pairing: what `secllama proxy --pair`, `--unpair`, `--use` and `--pairings` do, shared with `run`. */
import { ROUTES } from "../api/routes.ts";
import {
  type Credentials,
  encodePairing,
  type Pairing,
  parsePairing,
  sealedFetch,
  type SealedFetchOptions,
} from "../client/mod.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import { wipe } from "../secret.ts";
import { chooseBackend } from "../keys/stores/backend.ts";
import type { KeyStore } from "../keys/stores/store.ts";
import {
  checkPairingName,
  type KeySourceOptions,
  listPairings,
  PairingStore,
} from "../keys/mod.ts";
import { padColumns } from "./columns.ts";
import { givenOptions } from "./given.ts";
import { readPairing } from "./read_pairing.ts";
import { type CommandContext, flag, type OptionTable, stringOption } from "./command.ts";
import { keySourceOptions } from "./key_options.ts";
import { report } from "./key_common.ts";
import { plural } from "../plural.ts";
import { reportRows } from "./rows.ts";
import { SessionStore } from "./sign_in/session_store.ts";
import { ensureDataDirectory } from "../config/data_folder.ts";
import { gatewayAuthorities } from "../tls/system_authorities.ts";

export const PAIRING_OPTIONS = {
  pair: {
    type: "string",
    value: "-|URL",
    help:
      "pair with a gateway: asks for its ten words, or the pairing string; keeps the key in the key store",
  },
  as: { type: "string", value: "NAME", help: "with --pair: what to call that gateway here" },
  use: { type: "string", value: "NAME", help: "use this paired gateway from now on" },
  unpair: { type: "string", value: "NAME", help: "forget a paired gateway and its key" },
  pairings: { type: "boolean", help: "list the paired gateways, and stop" },
  local: { type: "boolean", help: "use this machine's own gateway, paired or not" },
  json: { type: "boolean", help: "with --pairings, --pair, --unpair: one JSON document" },
} as const satisfies OptionTable;

/** Post-quantum between machines: what is recorded on the way today may be opened much later. */
const REMOTE_SUITE = 2;
const CHECK_TIMEOUT_MS = 15_000;

/**
 * Does what the pairing options ask for. "done": nothing is left to do; a connection: pair in memory and go on; undefined:
 * none of them was given.
 * @throws {SecLlamaError} `usage` for options that exclude each other, `bad-pairing`, and what the key store throws.
 */
export async function pairingCommand(
  context: CommandContext,
  dataDir: string,
): Promise<"done" | SealedFetchOptions | undefined> {
  const wanted = ["pair", "unpair", "pairings"].filter((name) =>
    context.values[name] !== undefined
  );
  if (wanted.length > 1 || (wanted.length > 0 && stringOption(context, "use") !== undefined)) {
    throw new SecLlamaError("usage", "--pair, --unpair, --use and --pairings exclude each other");
  }
  if (stringOption(context, "as") !== undefined && wanted[0] !== "pair") {
    throw new SecLlamaError("usage", "--as needs --pair");
  }
  if (stringOption(context, "pair") !== undefined) return await pair(context, dataDir);
  if (flag(context, "pairings")) {
    const gateways = await listPairings(dataDir);
    reportRows(
      context,
      { gateways },
      gateways.map((g) => [`${g.current ? "*" : " "} ${padColumns(g.name, 20)}`, g.url]),
      "this machine is paired with no gateway; to pair it, run: secllama proxy --pair -",
    );
    return "done";
  }
  const name = stringOption(context, "unpair");
  if (name === undefined) return undefined;
  const { store } = await storeSource(context, dataDir);
  const removed = await new PairingStore(dataDir, store).remove(name);
  await new SessionStore(store, removed).remove();
  report(context, { name: removed }, [`forgot ${removed} and its key`]);
  context.tui.note("On the gateway it is a client still; to end it there: secllama clients revoke");
  return "done";
}

/**
 * How to reach the paired gateway that is in use, or that `--use` names and thereby makes it; undefined if this machine's own
 * is to be used.
 * @throws {SecLlamaError} `not-found`, and what the key store throws.
 */
export async function pairedGateway(
  context: CommandContext,
  dataDir: string,
  source?: StoreSource,
): Promise<SealedFetchOptions | undefined> {
  return (await pairedConnection(context, dataDir, source))?.connection;
}

/** A paired gateway, and the key source that has its pairing, for whoever needs this machine's own keys too. */
interface PairedConnection {
  /** What the gateway is called here. */
  readonly name: string;
  readonly connection: SealedFetchOptions;
  /** Over the store that is open: a passphrase that came on a descriptor cannot be read twice. */
  readonly keySource: StoreSource;
}

/** As {@link pairedGateway}. */
export async function pairedConnection(
  context: CommandContext,
  dataDir: string,
  source?: StoreSource,
): Promise<PairedConnection | undefined> {
  const use = stringOption(context, "use");
  if (flag(context, "local") || stringOption(context, "gateway") !== undefined) {
    if (use === undefined) return undefined;
    throw new SecLlamaError("usage", "--use excludes --local and --gateway");
  }
  if (use === undefined && (await listPairings(dataDir)).every((g) => !g.current)) return undefined;
  const keySource = source ?? await storeSource(context, dataDir);
  const store = new PairingStore(dataDir, keySource.store);
  if (use !== undefined) await store.use(use);
  const first = await store.read(use);
  const pairing = parsePairing(first.text);
  const { name } = first;
  const { url, certificate } = pairing;
  const address = { url, ...(certificate !== undefined && { certificate }) };
  const connection = await connectionOf(pairing, {
    credentials: async () => parsePairing((await store.read(name)).text),
    renewed: (credentials) => store.replace(name, encodePairing({ ...address, ...credentials })),
  });
  return { name, connection, keySource };
}

async function pair(
  context: CommandContext,
  dataDir: string,
): Promise<"done" | SealedFetchOptions> {
  const as = stringOption(context, "as");
  // Words are good once.
  if (as !== undefined) checkPairingName(as);
  const pairing = await readPairing(context, stringOption(context, "pair")!);
  if (flag(context, "ephemeral")) {
    let credentials: Credentials = pairing;
    return await connectionOf(pairing, {
      credentials: () => Promise.resolve({ ...credentials, psk: credentials.psk.slice() }),
      renewed: (renewal) => {
        // Gone with this process: the string that was pasted is good for nothing once the host has seen the new key.
        if (renewal.previous !== undefined) {
          context.tui.note(
            "The gateway's key was rotated: to pair again later, ask for a new string.",
          );
        }
        credentials = renewal;
        return Promise.resolve();
      },
    });
  }
  await ensureDataDirectory(dataDir);
  const name = as ?? nameOfGateway(new URL(pairing.url));
  const { store } = await storeSource(context, dataDir);
  await new PairingStore(dataDir, store).add(name, pairing.url, encodePairing(pairing));
  // Of who had signed in there under this name.
  await new SessionStore(store, name).remove();
  const { reached, line } = await tryOut(pairing);
  report(context, { name, url: pairing.url, reached }, [`paired with ${name}, ${pairing.url}`]);
  if (reached) context.tui.note(line);
  else context.tui.warn(line);
  const own = [...Object.keys(PAIRING_OPTIONS), "gateway"];
  const given = givenOptions(context.values, (option) => !own.includes(option));
  context.tui.note(`Start the proxy with: secllama proxy${given}`);
  return "done";
}

/** What a gateway is called here where nobody says: by its host's name, in letters that a name may have. */
export function nameOfGateway({ hostname }: URL): string {
  return hostname.replace(/[[\]:]/g, "-").replace(/^-+|-+$/g, "") || "gateway";
}

async function connectionOf(
  { url, certificate }: Pairing,
  keys: Pick<SealedFetchOptions, "credentials" | "renewed">,
): Promise<SealedFetchOptions> {
  const isTls = url.startsWith("https:");
  return {
    gateway: url,
    suite: REMOTE_SUITE,
    ...(isTls ? { caCerts: await gatewayAuthorities(certificate) } : {}),
    ...keys,
  };
}

/** Whether the gateway answers and knows us. Asks for nothing but the names of its models. */
async function tryOut(pairing: Pairing): Promise<{ reached: boolean; line: string }> {
  const client = sealedFetch(
    await connectionOf(pairing, { credentials: () => Promise.resolve(pairing) }),
  );
  try {
    const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS);
    const response = await client.metadata(ROUTES.tags.path, { signal });
    const { models } = await response.json() as { models?: unknown[] };
    if (!response.ok || !Array.isArray(models)) {
      return {
        reached: false,
        line: `the gateway answered with ${response.status}: is the string an old one?`,
      };
    }
    return {
      reached: true,
      line: `It answers, and has ${plural(models.length, "model")}.`,
    };
  } catch (error) {
    return { reached: false, line: `stored, but not tried: ${toSecLlamaError(error).message}` };
  } finally {
    client.close();
  }
}

/** A key source that is a store, opened: a passphrase that came on a descriptor cannot be read twice. */
type StoreSource = KeySourceOptions & { readonly store: KeyStore };

/** The key source that the flags name, as the store that it is. @throws {SecLlamaError} `key-refused` for one that keeps nothing. */
export async function storeSource(
  context: CommandContext,
  dataDir: string,
): Promise<StoreSource> {
  const { keyFile: _, passphrase: _asked, ...options } = keySourceOptions(context, dataDir);
  const chosen = await chooseBackend(keySourceOptions(context, dataDir));
  if (chosen.kind === "store") return { ...options, store: chosen.store };
  wipe(chosen.key);
  throw new SecLlamaError("key-refused", "this key source cannot keep a pairing", {
    hint: "use the key store, or a passphrase-wrapped file: --key-file; " +
      "or keep it in memory: secllama proxy --pair - --ephemeral",
  });
}
