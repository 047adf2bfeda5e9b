/** What a sealed fetch is made from. */
import { cannotReach, certificateFault } from "./certificate_fault.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { connect } from "./connect.ts";

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
  /** Of a fleet: its issuer's Ed25519 public key, 32 bytes. `hid` is then the fleet's id, and each of its hosts is believed. */
  readonly issuer?: Uint8Array;
  /** The key before this one, kept until this one has opened a reply. */
  readonly previous?: Psk;
}

/** Which gateway, with which key, and how it is reached. */
export interface SealedFetchOptions {
  /** The gateway's address: `http://127.0.0.1:11435`. */
  readonly gateway: string | URL;
  /** Reads the credentials. Called once, and once more for each 401. */
  readonly credentials: () => Promise<Credentials>;
  /**
   * Stores the credentials that the host gives a paired client after a rotation: with `previous`, and once more without it when
   * they have opened a reply. They are used once it has resolved, and the host then drops the older ones; without it the older
   * ones are used until the host's grace ends.
   */
  readonly renewed?: (credentials: Credentials) => Promise<void>;
  /** 1 (X25519, the default) or 2 (MLKEM768-X25519). Another one is never accepted instead. */
  readonly suite?: number;
  /** The model of requests that name none, such as GET and HEAD. */
  readonly model?: string;
  /** The fetch underneath. Default: the global one. */
  readonly fetch?: typeof fetch;
  /** PEM certificates of the gateway to trust: in Deno and Node. No web page can do that: there it is an error. */
  readonly caCerts?: readonly string[];
  /** Our unix ms. Default: `Date.now`. */
  readonly now?: () => number;
}

/** What requests go through; `connect.ts` makes one. */
export interface Connection {
  readonly fetch: typeof fetch;
  close(): void;
}

/** The options with every default in place. */
export interface Transport {
  readonly suite: number;
  readonly now: () => number;
  /** Resolves a path, with a slash at its start or without, against the gateway, which may itself lie below a path. */
  url(path: string): URL;
  /** The fetch underneath, with the certificates; a failure to connect becomes `gateway-unreachable`. */
  send(url: URL, init: RequestInit): Promise<Response>;
  close(): void;
}

/**
 * Checks the options and fixes them.
 * @throws {SecLlamaError} `bad-config` if the gateway is no http(s) URL or the runtime cannot take `caCerts`.
 */
export function makeTransport(options: SealedFetchOptions): Transport {
  const base = gatewayUrl(options.gateway);
  const connection = connect(options.caCerts, options.fetch);
  return {
    suite: options.suite ?? 1,
    now: options.now ?? Date.now,
    url: (path) => new URL(path.replace(/^\//, ""), base),
    async send(url, init) {
      // A redirect could lead anywhere; the gateway has no reason to send one.
      const full: RequestInit = { ...init, redirect: "manual", cache: "no-store" };
      try {
        return await connection.fetch(url, full);
      } catch (cause) {
        if (init.signal?.aborted) throw init.signal.reason;
        const fault = certificateFault(cause);
        throw new SecLlamaError("gateway-unreachable", cannotReach(base.origin, fault), {
          hint: fault?.hint ?? HINTS.serveRuns,
          cause,
        });
      }
    },
    close: () => connection.close(),
  };
}

function gatewayUrl(gateway: string | URL): URL {
  const url = URL.canParse(gateway) ? new URL(gateway) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new SecLlamaError("bad-config", "the gateway must be an http or https URL", {
      field: "gateway",
    });
  }
  url.search = "";
  url.hash = "";
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}
