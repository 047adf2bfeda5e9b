/** What a sealed fetch is made from. */
import { SecLlamaError } from "../errors.ts";

/** A pre-shared key and the name that the runner knows it by. */
export interface Credentials {
  /** 32 bytes. */
  readonly psk: Uint8Array;
  /** `local.<kid>` or `client.<kid>.<id>`. */
  readonly pskId: string;
}

export interface SealedFetchOptions {
  /** The gateway's address: `http://127.0.0.1:11435`. */
  readonly gateway: string | URL;
  /** Reads the credentials. Called once, and once more for each 401. */
  readonly credentials: () => Promise<Credentials>;
  /** 1 (X25519, the default) or 2 (MLKEM768-X25519). Another one is never accepted instead. */
  readonly suite?: number;
  /** The model of requests that name none, such as GET and HEAD. */
  readonly model?: string;
  /** The fetch underneath. Default: the global one. */
  readonly fetch?: typeof fetch;
  /** PEM certificates to trust besides the system's. Only where the runtime's fetch can take them (Deno). */
  readonly caCerts?: readonly string[];
  /** Our unix ms. Default: `Date.now`. */
  readonly now?: () => number;
}

/** The options with every default in place. */
export interface Transport {
  readonly suite: number;
  readonly now: () => number;
  /** Resolves a path such as `sealed/v1` against the gateway. */
  url(path: string): URL;
  /** The fetch underneath, with the certificates; a failure to connect becomes `gateway-unreachable`. */
  send(url: URL, init: RequestInit): Promise<Response>;
  close(): void;
}

/** Part of `Deno` that {@link makeTransport} uses where it exists. */
interface HttpClientMaker {
  createHttpClient(options: { caCerts: string[] }): { close(): void };
}

/**
 * Checks the options and fixes them.
 * @throws {SecLlamaError} `bad-config` if the gateway is no http(s) URL or the runtime cannot take `caCerts`.
 */
export function makeTransport(options: SealedFetchOptions): Transport {
  const base = gatewayUrl(options.gateway);
  const underlying = options.fetch ?? globalThis.fetch;
  const client = options.caCerts && httpClient(options.caCerts);
  return {
    suite: options.suite ?? 1,
    now: options.now ?? Date.now,
    url: (path) => new URL(path, base),
    async send(url, init) {
      const full = {
        ...init,
        // A redirect could lead anywhere; the gateway has no reason to send one.
        redirect: "manual",
        cache: "no-store",
        ...(client && { client }),
      } as RequestInit;
      try {
        return await underlying(url, full);
      } catch (cause) {
        if (init.signal?.aborted) throw init.signal.reason;
        throw new SecLlamaError(
          "gateway-unreachable",
          `cannot reach the gateway at ${base.origin}`,
          {
            hint: "check that it runs: secllama serve",
            cause,
          },
        );
      }
    },
    close: () => client?.close(),
  };
}

function gatewayUrl(gateway: string | URL): URL {
  const url = URL.parse(gateway);
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

function httpClient(caCerts: readonly string[]): { close(): void } {
  const deno = (globalThis as { Deno?: Partial<HttpClientMaker> }).Deno;
  if (deno?.createHttpClient === undefined) {
    throw new SecLlamaError("bad-config", "caCerts is not supported in this runtime", {
      field: "caCerts",
      hint: "give a fetch that trusts the certificate",
    });
  }
  return deno.createHttpClient({ caCerts: [...caCerts] });
}
