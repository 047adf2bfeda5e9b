/** The proxy: a hardened listener on loopback with the plain API, sealed to one gateway; and one for others, who show a token. */
import { INFLATED } from "../api/inflate.ts";
import { listenerRules } from "../api/listener_rules.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import {
  type HardenedOptions,
  type HardenedServer,
  type Rules,
  serveHardened,
} from "../http/mod.ts";
import { DESKTOP_SCHEMES, readableBy } from "./cross_origin.ts";
import { makeProxyApp, type ProxyAppOptions } from "./app.ts";
import { standingHeaders } from "./standing.ts";
import type { TokenGateOptions } from "./token_gate.ts";

export type { Page } from "./page.ts";
export type { TokenGateOptions } from "./token_gate.ts";
export type { ProxyAppOptions };

/** Where the proxy listens, and for whom it seals. */
export interface ProxyOptions extends ProxyAppOptions {
  /** 127.0.0.1 or ::1. */
  readonly hostname: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Names that clients may use for it besides the loopback ones, as in a URL and without port; none by default. */
  readonly allowedHosts?: readonly string[];
  /** How long what is under way may take at the end. Default: the listener's. */
  readonly drainMs?: number;
  /** Aborted: the proxy ends. */
  readonly signal: AbortSignal;
}

/** Clients keep a connection for later, some for minutes, and one that is closed as they use it looks like a failure. */
const IDLE_MS = 10 * 60_000;
const HOW_TO_BE_LET_IN = { host: HINTS.proxyHost, origin: HINTS.proxyOrigin } as const;

/**
 * Listens on loopback for clients of this machine, and seals what they say.
 *
 * @example A proxy of one gateway, until the signal
 * ```ts
 * import { silentLogger } from "../log.ts";
 * import type { SealedFetch } from "../client/sealed_fetch.ts";
 *
 * async function serve(gateway: string, fetch: SealedFetch, signal: AbortSignal): Promise<void> {
 *   const { metadata, outer } = fetch;
 *   const asks = { gateway, fetch, metadata, outer, logger: silentLogger };
 *   const proxy = await startProxy({ ...asks, hostname: "127.0.0.1", port: 0, signal });
 *   console.log(`http://127.0.0.1:${proxy.addr.port}`);
 *   await proxy.finished;
 * }
 * ```
 * @throws {SecLlamaError} `usage` for an address beyond loopback, `port-in-use`.
 */
export async function startProxy(options: ProxyOptions): Promise<HardenedServer> {
  if (options.hostname !== "127.0.0.1" && options.hostname !== "::1") {
    throw new SecLlamaError(
      "usage",
      `the proxy listens on loopback only, not on ${options.hostname}`,
    );
  }
  const { hostname, port, signal, drainMs } = options;
  return await listen(options, {
    hostname,
    port,
    signal,
    ...(drainMs === undefined ? {} : { drainMs }),
    sameUidOnly: true,
    allowedHosts: options.allowedHosts ?? [],
    allowedOrigins: options.allowedOrigins ?? [],
    allowedSchemes: DESKTOP_SCHEMES,
  });
}

/**
 * Listens beyond loopback, with the API only: what is this user's own is not there, and everybody shows a token.
 * @throws {SecLlamaError} `remote-refused` for what is neither TLS nor a Unix socket, `port-in-use`, `address-unavailable`.
 */
export async function startOpenProxy(
  options: ProxyAppOptions & { readonly gate: TokenGateOptions },
  where: Omit<HardenedOptions, "handler" | "rules" | "logger" | "limits"> & {
    readonly drainMs?: number;
  },
): Promise<HardenedServer> {
  if (where.tls === undefined && where.unix === undefined) {
    throw new SecLlamaError("remote-refused", "the proxy listens beyond loopback over TLS only");
  }
  const { page: _page, history: _history, identity: _identity, management: _m, ...api } = options;
  return await listen(api, where);
}

async function listen(
  options: ProxyAppOptions,
  where: Omit<HardenedOptions, "handler" | "rules" | "logger" | "limits"> & {
    readonly drainMs?: number;
  },
): Promise<HardenedServer> {
  const app = makeProxyApp(options);
  const rules = listenerRules(options.management?.maxBytes, INFLATED);
  // The listener's own refusals, of a Host say, are answers of the proxy's too.
  const renderHere: Rules["render"] = (error, path, origin) => {
    const rendered = rules.render(error, path);
    const standing = standingHeaders(options.outer());
    const pages = origin === undefined ? {} : readableBy(origin);
    return { ...rendered, headers: { ...rendered.headers, ...standing, ...pages } };
  };
  return await serveHardened({
    ...where,
    handler: (request, { party }) => app.fetch(request, { party }),
    limits: { idleMs: IDLE_MS, ...(where.drainMs !== undefined && { drainMs: where.drainMs }) },
    rules: { ...rules, hints: HOW_TO_BE_LET_IN, render: renderHere },
    logger: options.logger,
  });
}
