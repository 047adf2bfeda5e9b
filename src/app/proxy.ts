/** The proxy, composed: which gateway it seals to with which key, and what it gives up once it has both. */
import { type Credentials, sealedFetch, type SealedFetchOptions } from "../client/mod.ts";
import type { Config } from "../config/config.ts";
import { type KeySourceOptions, openKeySource } from "../keys/mod.ts";
import { makeLogger } from "../log.ts";
import { ProxyIdentity } from "../proxy/identity.ts";
import { startProxy } from "../proxy/mod.ts";
import type { Handover } from "./handover.ts";
import { permissionLabels, revokePermissions } from "./permissions.ts";

export interface RunningProxy {
  readonly url: string;
  readonly gateway: string;
  /** Settles when everything is closed after the signal. */
  readonly finished: Promise<void>;
}

export interface ProxyRoleOptions {
  readonly config: Config;
  readonly dataDir: string;
  readonly connection: SealedFetchOptions;
  /** Whether the key is in hand: then nothing else of the machine is needed. */
  readonly holdsKey: boolean;
  readonly signal: AbortSignal;
}

/**
 * Serves the plain API on loopback.
 * @throws {SecLlamaError} `port-in-use`, `address-unavailable`.
 */
export async function startProxyRole(options: ProxyRoleOptions): Promise<RunningProxy> {
  const { config, dataDir, connection, holdsKey, signal } = options;
  const logger = makeLogger({ role: "proxy", level: config.logLevel });
  const fetch = sealedFetch(connection);
  const gateway = String(connection.gateway);
  const identity = await ProxyIdentity.make();
  const proxy = await startProxy({
    identity,
    gateway,
    hostname: "127.0.0.1",
    port: config.proxyPort,
    fetch,
    metadata: fetch.metadata,
    outer: fetch.outer,
    logger,
    ...(config.allowModelManagement ? { management: { maxBytes: config.maxModelBytes } } : {}),
    signal,
  });
  await identity.announce(dataDir, proxy.addr.port);
  revokePermissions(holdsKey ? ["run", "read", "write"] : []);
  logger.info("permissions", permissionLabels());
  return {
    url: `http://127.0.0.1:${proxy.addr.port}`,
    gateway,
    finished: proxy.finished.then(() => identity.withdraw()),
  };
}

/**
 * How to reach a gateway of this machine's own key: with the key that was handed over, else with the one in the key store.
 * @throws {SecLlamaError} What the key store throws.
 */
export async function localConnection(
  gateway: string,
  o: { handover?: Handover | undefined; keySource: () => KeySourceOptions },
): Promise<SealedFetchOptions> {
  return {
    gateway,
    credentials: o.handover?.credentials ?? await storeCredentials(o.keySource()),
  };
}

async function storeCredentials(options: KeySourceOptions): Promise<() => Promise<Credentials>> {
  const keys = await openKeySource(options);
  return async () => {
    using ring = await keys.ring();
    return ring.credentials()!;
  };
}
