/**
 * The client as a library: what `deno task client` builds into `dist/client/`, for Deno, Node and browsers. {@link sealedFetch}
 * is all of it; docs/client.md is its page.
 */
import { JSON_TYPE } from "../api/media_types.ts";
import { isMetadata } from "../api/routes.ts";
import { SecLlamaError } from "../errors.ts";
import { HID_BYTES } from "../sealed/psk.ts";
import type { Credentials, Psk } from "./options.ts";
import { encodePairing, parsePairing } from "./pairing.ts";
import { sealedFetch as makeSealedFetch } from "./sealed_fetch.ts";

export {
  type ERROR_TABLE,
  type ErrorCode,
  type FieldFault,
  type LimitState,
  SecLlamaError,
  type TokenCount,
} from "../errors.ts";
export type { Credentials, Psk };

/** Usable wherever a `fetch` is. */
export interface SealedFetch {
  (input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Lets go of the connections made for a certificate; without one there is nothing to do. */
  close(): void;
}

/** What both kinds of options may say. */
export interface CommonOptions {
  /** 1 (X25519) or 2 (post-quantum, MLKEM768-X25519). Default: 2 for a paired client, else 1. Never another instead. */
  suite?: 1 | 2;
  /** The model of requests that name none, such as GET and HEAD. */
  model?: string;
  /** The fetch underneath. Default: the global one. */
  fetch?: typeof fetch;
}

/** For a machine that is paired with a host: the pairing string says everything else. */
export interface PairingOptions extends CommonOptions {
  /** The pairing string, a secret. */
  pairing: string;
  /**
   * Stores the new pairing string that the host gives after a rotation of its key. It is used once this has resolved, and
   * stored once more, without the older key in it, when it has opened a reply. Without `renewed` the old one works until the
   * host's grace ends.
   */
  renewed?: (pairing: string) => Promise<void>;
  /** The pairing string names the gateway. */
  gateway?: undefined;
}

/** For a caller that holds the gateway's address and a pre-shared key apart. */
export interface GatewayOptions extends CommonOptions {
  /** The gateway's address: `http://127.0.0.1:11435`. */
  gateway: string | URL;
  /** The pre-shared key, or what reads it: called once, and once more for each 401. */
  credentials: Credentials | (() => Promise<Credentials>);
  /** PEM certificates of the gateway to trust: in Deno and Node. No web page can do that: there it is an error. */
  caCerts?: readonly string[];
  /** As with a pairing string, for a paired client's credentials. */
  renewed?: (credentials: Credentials) => Promise<void>;
  /** The address and the credentials stand for it. */
  pairing?: undefined;
}

/** A pairing string, or a gateway with credentials. */
export type SealedFetchOptions = PairingOptions | GatewayOptions;

/**
 * A `fetch` whose requests and replies only this process and the model's can read. Give it as `fetch` to the clients of
 * `ollama`, `openai` or `@anthropic-ai/sdk`. Whatever host a URL names, the request goes to the gateway.
 *
 * @example The pairing string says everything.
 * ```ts
 * async function ask(pairing: string): Promise<string> {
 *   const fetch = await sealedFetch({ pairing });
 *   const body = JSON.stringify({ model: "demo", prompt: "Hello", stream: false });
 *   const answer = await fetch("http://gateway/api/generate", { method: "POST", body });
 *   return (await answer.json()).response;
 * }
 * ```
 * @example An address and a key; renewals are stored.
 * ```ts
 * const open = (credentials: Credentials, store: (newer: Credentials) => Promise<void>) =>
 *   sealedFetch({ gateway: "https://gateway.lan:11435", credentials, renewed: store, suite: 2 });
 * ```
 * @throws {SecLlamaError} `bad-pairing`; `bad-config` if an option is wrong or this runtime cannot do what it asks.
 */
export async function sealedFetch(options: SealedFetchOptions): Promise<SealedFetch> {
  const { suite, model, fetch } = options;
  if (suite !== undefined && suite !== 1 && suite !== 2) {
    throw new SecLlamaError("bad-config", "the suite must be 1 or 2", { field: "suite" });
  }
  const { gateway, credentials, caCerts, renewed } = options.pairing !== undefined
    ? ofPairing(options)
    : options;
  const read = typeof credentials === "function" ? credentials : () => Promise.resolve(credentials);
  const first = check(await read());
  let known: Credentials | undefined = first;
  const sealed = makeSealedFetch({
    gateway,
    // The first reading serves the first request; a 401 reads again.
    async credentials() {
      const now = known ?? check(await read());
      known = undefined;
      return now;
    },
    suite: suite ?? (first.pskId.startsWith("client.") ? 2 : 1),
    ...(renewed !== undefined && { renewed }),
    ...(caCerts !== undefined && { caCerts }),
    ...(model !== undefined && { model }),
    ...(fetch !== undefined && { fetch }),
  });
  const call = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = isRequest(input) ? input : undefined;
    const url = new URL(request?.url ?? String(input), "http://gateway");
    const method = (init?.method ?? request?.method ?? "GET").toUpperCase();
    if (!isMetadata(method, url.pathname)) return await sealed(input, init);
    const body = init?.body ?? request?.body;
    return await sealed.metadata(url.pathname.slice(1) + url.search, {
      method,
      ...(body != null && {
        body: new Uint8Array(await new Response(body).arrayBuffer()),
        headers: { "content-type": JSON_TYPE },
      }),
      signal: init?.signal ?? request?.signal ?? new AbortController().signal,
    });
  };
  return Object.assign(call, { close: sealed.close });
}

function isRequest(input: RequestInfo | URL): input is Request {
  return typeof input === "object" && !(input instanceof URL);
}

function ofPairing({ pairing, renewed }: PairingOptions): GatewayOptions {
  const parsed = parsePairing(pairing);
  const { url, certificate } = parsed;
  const address = { url, ...(certificate !== undefined && { certificate }) };
  return {
    gateway: url,
    credentials: check(parsed),
    ...(certificate !== undefined && { caCerts: [certificate] }),
    ...(renewed && { renewed: (newer) => renewed(encodePairing({ ...address, ...newer })) }),
  };
}

function check(credentials: Credentials): Credentials {
  const { psk, pskId, hid, issuer, previous } = credentials ?? {};
  if (
    isPsk({ psk, pskId }) && hid instanceof Uint8Array && hid.length === HID_BYTES &&
    (issuer === undefined || issuer instanceof Uint8Array && issuer.length === 32) &&
    (previous === undefined || isPsk(previous))
  ) {
    return { psk, pskId, hid, ...(issuer && { issuer }), ...(previous && { previous }) };
  }
  throw new SecLlamaError(
    "bad-config",
    "the credentials must be a pskId, a psk of 32 bytes and a hid of 16",
    { field: "credentials", hint: "secllama pair NAME prints all of them in one pairing string" },
  );
}

function isPsk({ psk, pskId }: Psk): boolean {
  return psk instanceof Uint8Array && psk.length === 32 && typeof pskId === "string";
}
