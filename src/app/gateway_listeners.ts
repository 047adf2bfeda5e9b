/**
 * The gateway's one or two listeners. Where it can be reached from other machines, this machine's own clients, who have the key
 * store anyway, get a second one on loopback that needs neither TLS nor a proof.
 */
import { listenerRules } from "../api/listener_rules.ts";
import { makeGatewayApp } from "../gateway/app.ts";
import type { GatewayContext } from "../gateway/context.ts";
import { HINTS } from "../hints.ts";
import { type HardenedOptions, type HardenedServer, serveHardened } from "../http/mod.ts";
import { inUrl } from "../tls/names.ts";
import type { ListenAddress } from "./listen_address.ts";
import type { Shutdown } from "./shutdown.ts";

/** What every listener of the gateway answers with. */
export type GatewayFacts = Omit<GatewayContext, "remote">;

interface GatewayListener {
  readonly url: string;
  readonly port: number;
}

/**
 * Listens where the settings say.
 * @throws {SecLlamaError} `port-in-use`, `address-unavailable`.
 */
export async function openGateway(
  facts: GatewayFacts,
  listen: ListenAddress,
  shutdown: Shutdown,
): Promise<GatewayListener> {
  const { addr } = await open(facts, shutdown, listen.remote, {
    hostname: listen.hostname,
    port: facts.config.port,
    allowedHosts: listen.names.map(inUrl),
    ...(listen.tls === undefined ? {} : { tls: listen.tls }),
  });
  const scheme = listen.tls === undefined ? "http" : "https";
  return { url: `${scheme}://${inUrl(listen.hostname)}:${addr.port}`, port: addr.port };
}

/** Listens on a free loopback port, for this user's own programs only. */
export async function openLocalGateway(
  facts: GatewayFacts,
  shutdown: Shutdown,
): Promise<GatewayListener> {
  const { addr } = await open(facts, shutdown, false, {
    hostname: "127.0.0.1",
    port: 0,
    sameUidOnly: true,
  });
  return { url: `http://127.0.0.1:${addr.port}`, port: addr.port };
}

async function open(
  facts: GatewayFacts,
  shutdown: Shutdown,
  remote: boolean,
  options: Pick<HardenedOptions, "hostname" | "port"> & Partial<HardenedOptions>,
): Promise<HardenedServer> {
  const app = makeGatewayApp({ ...facts, remote });
  const { config, logger, management, audit } = facts;
  const rules = listenerRules(management?.maxBytes);
  const server: HardenedServer = await serveHardened({
    ...options,
    allowedOrigins: config.allowedOrigins,
    rules: {
      hints: { host: HINTS.gatewayHost, origin: HINTS.gatewayOrigin },
      ...rules,
      render(error, path) {
        audit?.answered?.(error.code);
        return rules.render(error, path);
      },
    },
    limits: { drainMs: config.drainMs },
    logger,
    signal: shutdown.signal,
    handler: (request, { peer, party }) => app.fetch(request, { peer, party, local: server.addr }),
  });
  shutdown.addEntrance(() => server.finished);
  return server;
}
