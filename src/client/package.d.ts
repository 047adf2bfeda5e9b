/** The client of SecLlama: a `fetch` that seals. What `library.ts` exports, for the package; a test keeps the two alike. */

/** A pre-shared key and the name that the host knows it by. */
export interface Psk {
  /** 32 bytes. */
  readonly psk: Uint8Array;
  /** `local.<kid>` or `client.<kid>.<id>`. */
  readonly pskId: string;
}

/** What a client needs to use one host, besides its address. */
export interface Credentials extends Psk {
  /** The host's id, 16 bytes, from the same place as the key: no other host is believed. */
  readonly hid: Uint8Array;
  /** Of a fleet: its issuer's Ed25519 public key, 32 bytes; `hid` is then the fleet's id. */
  readonly issuer?: Uint8Array;
  /** The key before this one, kept until this one has opened a reply. */
  readonly previous?: Psk;
}

interface CommonOptions {
  /** 1 (X25519) or 2 (post-quantum, MLKEM768-X25519). Default: 2 for a paired client, else 1. Never another instead. */
  suite?: 1 | 2;
  /** The model of requests that name none, such as GET and HEAD. */
  model?: string;
  /** The fetch underneath. Default: the global one. */
  fetch?: typeof fetch;
}

export interface PairingOptions extends CommonOptions {
  /** The line that `secllama pair NAME` printed on the host: a secret. */
  pairing: string;
  /**
   * Stores the new pairing string that the host gives after a rotation of its key. It is used once this has resolved, and
   * stored once more, without the older key in it, when it has opened a reply. Without `renewed` the old one works until the
   * host's grace ends.
   */
  renewed?: (pairing: string) => Promise<void>;
  gateway?: undefined;
}

export interface GatewayOptions extends CommonOptions {
  /** The gateway's address: `http://127.0.0.1:11435`. */
  gateway: string | URL;
  /** The pre-shared key, or what reads it: called once, and once more for each 401. */
  credentials: Credentials | (() => Promise<Credentials>);
  /** PEM certificates of the gateway to trust: in Deno and Node. No web page can do that: there it is an error. */
  caCerts?: readonly string[];
  /** As with a pairing string, for a paired client's credentials. */
  renewed?: (credentials: Credentials) => Promise<void>;
  pairing?: undefined;
}

export type SealedFetchOptions = PairingOptions | GatewayOptions;

/** Usable wherever a `fetch` is. */
export interface SealedFetch {
  (input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Lets go of the connections made for a certificate; without one there is nothing to do. */
  close(): void;
}

/**
 * A `fetch` whose requests and replies only this process and the model's can read. Give it as `fetch` to the clients of
 * `ollama`, `openai` or `@anthropic-ai/sdk`. Whatever host a URL names, the request goes to the gateway.
 *
 * Rejects with a {@link SecLlamaError}: `bad-pairing`, or `bad-config` if an option is wrong or this runtime cannot do
 * what it asks.
 */
export function sealedFetch(options: SealedFetchOptions): Promise<SealedFetch>;

/** What is thrown here. What the application says, its errors included, is a `Response`. */
export class SecLlamaError extends Error {
  /** Stable: `auth`, `busy`, `downgrade`, `gateway-unreachable`, `model-not-found`, `truncated`, … */
  readonly code: string;
  /** What to do next, one line. */
  readonly hint: string | undefined;
}
