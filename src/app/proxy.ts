/** The proxy, composed: which gateway it seals to with which key, and what it gives up once it has both. */
import { type Credentials, sealedFetch, type SealedFetchOptions } from "../client/mod.ts";
import type { Config } from "../config/config.ts";
import { startHistoryThread } from "../history/thread.ts";
import type { VaultKey } from "../history/vault.ts";
import { type KeySourceOptions, openKeySource } from "../keys/mod.ts";
import { toBase64Url, utf8 } from "../bytes.ts";
import { Guesses } from "../firm/guesses.ts";
import { TokenCheck, tokenClaim } from "../firm/tokens.ts";
import { type Logger, makeLogger } from "../log.ts";
import { Embeddings } from "../proxy/embeddings.ts";
import { makeHistoryRoutes } from "../proxy/history_routes.ts";
import { ROUTES } from "../api/routes.ts";
import { ProxyIdentity } from "../proxy/identity.ts";
import { openPage } from "../proxy/page.ts";
import { type ProxyAppOptions, startProxy } from "../proxy/mod.ts";
import { inUrl } from "../tls/names.ts";
import type { TokenGateOptions } from "../proxy/token_gate.ts";
import type { Handover } from "./handover.ts";
import { openVault } from "./history.ts";
import { openProxyListener } from "./proxy_listener.ts";
import { announceLaunch, newLaunch } from "./page_launch.ts";
import { permissionLabels, revokePermissions } from "./permissions.ts";

interface RunningProxy {
  readonly url: string;
  /** Where it is for others, with a token; undefined: nowhere. */
  readonly openUrl: string | undefined;
  readonly gateway: string;
  /** Settles when everything is closed after the signal. */
  readonly finished: Promise<void>;
}

interface ProxyRoleOptions {
  readonly config: Config;
  readonly dataDir: string;
  readonly connection: SealedFetchOptions;
  /** Whether the key is in hand: then nothing else of the machine is needed. */
  readonly holdsKey: boolean;
  /** Opens the history's keys; asked at the first request for the history. */
  readonly vault: () => Promise<VaultKey[]>;
  readonly signal: AbortSignal;
  /** Told of each wrong token. */
  readonly onTokenRefused?: TokenGateOptions["onRefused"];
  /** Told of each request that was turned away for want of a token. */
  readonly onTurnedAway?: TokenGateOptions["onAnswered"];
}

/**
 * Serves the plain API on loopback.
 * @throws {SecLlamaError} `port-in-use`, `address-unavailable`.
 */
export async function startProxyRole(options: ProxyRoleOptions): Promise<RunningProxy> {
  const { config, dataDir, connection, holdsKey, vault, signal } = options;
  const logger = makeLogger({ role: "proxy", level: config.logLevel });
  const fetch = sealedFetch(connection);
  const gateway = String(connection.gateway);
  const identity = await ProxyIdentity.make();
  const thread = startHistoryThread({ dataDir, vault });
  // Where the key is at hand already; a key store that asks its user is not asked before its user asks.
  if (holdsKey) void thread.warm();
  const embeddings = new Embeddings({
    gateway,
    fetch,
    metadata: fetch.metadata,
    history: thread.history,
    signal,
  });
  const launch = newLaunch(config.requireToken ?? false);
  const page = await openPage({
    fetch,
    chatUrl: new URL(ROUTES.chat.path, gateway).href,
    outer: fetch.outer,
    signal,
    logger,
    launch,
    // As JSON, which the thread judges as anybody's: what a model said may be nested as deep as it likes.
    save: (conversation, message) => thread.appendJson(conversation, utf8(JSON.stringify(message))),
  });
  const anyGate = {
    ...makeGate(dataDir, logger),
    onRefused: options.onTokenRefused ?? (() => {}),
    onAnswered: options.onTurnedAway ?? (() => {}),
  };
  const gate = config.requireToken
    ? { ...anyGate, browser: (request: Request) => page.admits(request) }
    : undefined;
  const api: ProxyAppOptions = {
    gateway,
    fetch,
    metadata: fetch.metadata,
    outer: fetch.outer,
    logger,
    allowedOrigins: config.proxyAllowedOrigins,
  };
  // First: if it is refused, nothing was begun.
  const open = await openProxyListener(config, { ...api, gate: anyGate }, signal);
  const starting = startProxy({
    ...api,
    ...(gate ? { gate } : { claim: tokenClaim }),
    identity,
    hostname: "127.0.0.1",
    port: config.proxyPort,
    drainMs: config.drainMs,
    history: makeHistoryRoutes(thread, embeddings),
    page,
    allowedHosts: config.proxyAllowedHosts.map(inUrl),
    ...(config.allowModelManagement ? { management: { maxBytes: config.maxModelBytes } } : {}),
    signal,
  });
  starting.catch(() => thread.close());
  const proxy = await starting;
  await identity.announce(dataDir, proxy.addr.port, gate?.own);
  const withdrawLaunch = await announceLaunch(dataDir, proxy.addr.port, launch);
  await thread.loaded;
  // The list of tokens is read again when it changes.
  const unneeded = gate ?? open ? ["run", "write"] as const : ["run", "read", "write"] as const;
  revokePermissions(holdsKey ? unneeded : []);
  logger.info("permissions", permissionLabels());
  return {
    url: `http://127.0.0.1:${proxy.addr.port}`,
    openUrl: open?.url,
    gateway,
    finished: proxy.finished.then(async () => {
      await open?.server.finished;
      await page.settled();
      await embeddings.settled();
      await thread.close();
      await identity.withdraw();
      await withdrawLaunch();
    }),
  };
}

function makeGate(dataDir: string, logger: Logger): TokenGateOptions {
  const own = toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
  return { tokens: new TokenCheck(dataDir), guesses: new Guesses(), own, logger };
}

/** How to reach a gateway of this machine's own key, and the history's keys beside it. */
export interface LocalConnection {
  readonly connection: SealedFetchOptions;
  readonly vault: () => Promise<VaultKey[]>;
}

/**
 * With the keys that were handed over, else with those in the key store.
 * @throws {SecLlamaError} What the key store throws.
 */
export async function localConnection(
  gateway: string,
  o: { handover?: Handover | undefined; keySource: () => KeySourceOptions },
): Promise<LocalConnection> {
  const { credentials, vault } = o.handover ?? {};
  if (credentials && vault) return { connection: { gateway, credentials }, vault };
  const options = o.keySource();
  const keys = await openKeySource(options);
  return {
    connection: {
      gateway,
      credentials: async (): Promise<Credentials> => {
        using ring = await keys.ring();
        return ring.credentials()!;
      },
    },
    vault: openVault(options.dataDir, keys),
  };
}
