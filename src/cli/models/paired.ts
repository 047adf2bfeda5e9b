/**
 * On a machine that is paired with a gateway, `list`, `show`, `ps` and `stop` mean that gateway's models: asked from here, with a
 * proof.
 */
import { JSON_TYPE } from "../../api/media_types.ts";
import { readError } from "../../api/errors.ts";
import { type SealedFetch, sealedFetch } from "../../client/mod.ts";
import { utf8 } from "../../bytes.ts";
import { dataDirectory } from "../../config/paths.ts";
import { listPairings } from "../../keys/mod.ts";
import { hardenSelf } from "../../sandbox/mod.ts";
import { type CommandContext, flag, type OptionTable, stringOption } from "../command.ts";
import { KEY_OPTIONS } from "../key_options.ts";
import { pairedGateway, PAIRING_OPTIONS } from "../pairings.ts";

/** What chooses between this machine's models and a gateway's. */
export const WHERE_OPTIONS: OptionTable = {
  local: { type: "boolean", help: "this machine's own models, paired or not" },
  use: PAIRING_OPTIONS.use,
  // Of the key sources those that can keep a pairing.
  "key-file": KEY_OPTIONS["key-file"]!,
  "passphrase-fd": KEY_OPTIONS["passphrase-fd"]!,
};

export const WHERE_DETAILS =
  "On a machine that is paired with a gateway it is about that gateway's models, unless --local is given.";

/** The gateway that this machine uses. */
export interface PairedModels extends Disposable {
  /** Its address, as it is shown. */
  readonly at: string;
  /** Asks the gateway itself, with a proof. @throws {SecLlamaError} The gateway's error. */
  metadata(path: string, body?: object): Promise<{ answer: unknown; headers: Headers }>;
  /** Asks the model's own process, sealed. @throws {SecLlamaError} The runner's error. */
  sealed(path: string, body: object): Promise<unknown>;
}

/** undefined: this machine's own models are meant. @throws {SecLlamaError} What the key store throws, `not-found` for --use. */
export async function pairedModels(context: CommandContext): Promise<PairedModels | undefined> {
  if (flag(context, "local")) return undefined;
  const dataDir = dataDirectory(context.env);
  const gateways = await listPairings(dataDir);
  if (stringOption(context, "use") === undefined && gateways.every((g) => !g.current)) {
    return undefined;
  }
  hardenSelf(); // before a key is in memory
  const options = await pairedGateway(context, dataDir);
  if (options === undefined) return undefined;
  const client: SealedFetch = sealedFetch(options);
  const { signal } = context;
  const headers = { "content-type": JSON_TYPE };
  return {
    at: new URL(options.gateway).host,
    async metadata(path, body) {
      const init = body && { method: "POST", body: utf8(JSON.stringify(body)), headers };
      const response = await client.metadata(path, { ...init, signal });
      if (!response.ok) throw await readError(response);
      return { answer: await response.json(), headers: response.headers };
    },
    async sealed(path, body) {
      const init = { method: "POST", body: JSON.stringify(body), headers, signal };
      const response = await client(path, init);
      if (!response.ok) throw await readError(response);
      return await response.json();
    },
    [Symbol.dispose]: () => client.close(),
  };
}
