/**
 * `serve`, composed: the gateway, its runners, and the proxy beside it. Starts nothing that weakens a protection without an
 * operator's setting.
 */
import type { Config } from "../config/config.ts";
import { systemFetch } from "../tls/system_authorities.ts";
import { IdTokens } from "../firm/id_tokens.ts";
import { ensureDataDirectory } from "../config/data_folder.ts";
import { shareFolder } from "../config/folder_lock.ts";
import type { Settings } from "../config/settings.ts";
import { SecLlamaError } from "../errors.ts";
import { Activity } from "../gateway/activity.ts";
import type { ModelManagement } from "../gateway/management.ts";
import {
  type KeySource,
  type KeySourceOptions,
  ManifestFile,
  openKeySource,
  openLastingKeySource,
  PairingOffers,
  type StorageSource,
} from "../keys/mod.ts";
import { label, type Logger, makeLogger } from "../log.ts";
import type { ModelStore } from "../models/store.ts";
import { openGpu } from "../supervisor/gpu.ts";
import { checkEngine, engineWarnings } from "../supervisor/engine.ts";
import { openSandbox, type Sandbox, sandboxMode } from "../supervisor/isolation.ts";
import { type LoadedModel, Supervisor, type SupervisorOptions } from "../supervisor/supervisor.ts";
import { VERSION } from "../version.ts";
import { openServeAudit, type ServeAudit } from "./audit.ts";
import { type Banner, bannerOf } from "./banner.ts";
import { runDoctor } from "./doctor.ts";
import { fleetPart, openFleet } from "./fleet.ts";
import { type GatewayFacts, openGateway, openLocalGateway } from "./gateway_listeners.ts";
import { idleSettings, roleNames } from "./idle_settings.ts";
import type { Installation } from "./installation.ts";
import { gatewayListenAddress, type ListenAddress } from "./listen_address.ts";
import { openLimits } from "./limits.ts";
import { Metrics, openMetrics } from "./metrics.ts";
import { openModelStore } from "./model_store.ts";
import { permissionLabels, revokePermissions } from "./permissions.ts";
import { checkProxyListen } from "./proxy_listener.ts";
import { type ProxyProcess, type ProxyWords, spawnProxy } from "./proxy_process.ts";
import { notReady, shared } from "./readiness.ts";
import type { ReadyFacts } from "./ready_line.ts";
import type { HandedKeys } from "./handover.ts";
import { announceServe } from "./serve_announcement.ts";
import { Shutdown } from "./shutdown.ts";

interface ServeOptions {
  readonly settings: Settings;
  readonly env: { readonly [name: string]: string | undefined };
  readonly installation: Installation;
  readonly keySource: KeySourceOptions;
  readonly withProxy: boolean;
  /** Name of the model to load before it is ready; undefined: none. */
  readonly preload: string | undefined;
  /** Called only where the operator allows model management: what can fetch is else not even in the process. */
  readonly openManagement: (config: Config, models: ModelStore) => Promise<ModelManagement>;
  /** Is told how far the check of a model's file has come, in bytes. */
  readonly onChecked?: SupervisorOptions["onChecked"];
  readonly onLoading?: SupervisorOptions["onLoading"];
  /** Gets what the operator should know before anything listens, one sentence each. */
  readonly onWarning: (line: string) => void;
}

interface RunningServe {
  readonly banner: Banner;
  readonly ready: Omit<ReadyFacts, "pid">;
  /** Resolves when `signal` is aborted. @throws {SecLlamaError} `internal` if the proxy ends by itself. */
  untilAborted(signal: AbortSignal): Promise<void>;
  /** Ends everything; what is under way gets the drain time. */
  stop(): Promise<void>;
}

/**
 * Starts everything; what was started when a step fails is ended first.
 * @throws {SecLlamaError} What a step throws: settings, keys, sandbox, ports, the model, the proxy.
 */
export async function startServe(options: ServeOptions): Promise<RunningServe> {
  const { config, dataDir } = options.settings;
  checkProxyListen(config);
  checkEngine(config);
  const activity = new Activity();
  const logger = activity.noting(makeLogger({ role: "gateway", level: config.logLevel }));
  await ensureDataDirectory(dataDir);
  const folder = await shareFolder(dataDir);
  const probing = probeSandbox(options);
  const shutdown = new Shutdown(config.drainMs);
  shutdown.addLast(() => folder[Symbol.dispose]());
  try {
    const keys = await openKeys(options, shutdown);
    const audit = await openAudit(options, keys, logger, shutdown);
    const listen = await gatewayListenAddress(config, dataDir, keys);
    listen.warnings.forEach(options.onWarning);
    const opened = await openFleet(config, { dataDir, keys, logger, shutdown });
    const fleet = opened?.member;
    const metrics = config.metricsPort === 0 ? undefined : new Metrics(audit);
    // Before the gateway is there: both load their modules side by side.
    const proxy = startProxyProcess(options, listen, shutdown, {
      onTokenRefused({ locked }) {
        audit?.refused("token-refused", { kind_of_client: label("app"), locked });
      },
      onTurnedAway: (code) => metrics?.answered(code),
    });
    const models = await openModelStore(options.settings, options.installation);
    if (config.engineModels.length > 0) {
      const there = (await models.list()).map(({ name }) => name);
      engineWarnings(config, there).forEach(options.onWarning);
    }
    const sandbox = await probing;
    const supervisor = await startSupervisor(
      {
        config,
        models,
        keys: fleet ?? keys,
        sandbox,
        logger,
        onChecked: options.onChecked,
        onLoading: options.onLoading,
        audit: supervisorAudit(audit, metrics),
      },
      shutdown,
    );
    const management = await openManagement(options, models, logger);
    const part = opened &&
      fleetPart(opened, {
        ...{ config, dataDir, logger, models, supervisor, audit, shutdown },
        pull: config.fleetPulls ? management?.pull : undefined,
      });
    const limits = openLimits({
      dataDir,
      book: supervisor.keys,
      logger,
      shutdown,
      audit: metrics ?? audit,
      others: part?.usage,
    });
    if (metrics !== undefined) {
      const measured = { supervisor, models, keys, activity, audit, limits, fleet };
      await openMetrics(metrics, measured, { port: config.metricsPort, logger, shutdown });
    }
    const facts: GatewayFacts = {
      config,
      supervisor,
      models,
      logger,
      version: VERSION,
      // What may fetch is there for the fleet too; the API has it only where the operator said so.
      management: config.allowModelManagement ? management : undefined,
      keys,
      offers: keys.ephemeral ? undefined : new PairingOffers(new ManifestFile(dataDir), keys),
      signIn: await signInOf(config, keys),
      activity,
      audit: metrics ?? audit,
      receipts: audit && ((id) => audit.receipt(id)),
      doctor: (signal) =>
        runDoctor(signal, { env: options.env, proxyPort: proxy ? config.proxyPort : 0 }),
      notReady: shared(() => notReady({ models, keys, audit, limits, fleet })),
      fleet: part?.gateway,
      limits: limits.limits,
    };
    const gateway = await openGateway(facts, listen, shutdown);
    const [loaded, proxyUrl] = await bothOrNeither(
      load(supervisor, options.preload),
      proxy &&
        connectProxy(
          proxy,
          keys,
          async () => isApart(listen) ? (await openLocalGateway(facts, shutdown)).url : gateway.url,
        ),
    );
    shutdown.add(
      await announceServe(dataDir, {
        gateway: gateway.url,
        proxyPort: proxyUrl === undefined ? null : Number(new URL(proxyUrl).port),
      }),
    );
    revokePermissions();
    logger.info("ready", { port: gateway.port });
    logger.info("permissions", permissionLabels());
    return {
      banner: bannerOf({
        config,
        gatewayUrl: gateway.url,
        names: listen.names,
        proxyUrl,
        keys,
        gpu: supervisor.gpu.status(),
        loaded,
      }),
      ready: readyFacts(gateway, proxyUrl, loaded),
      untilAborted: (signal) => Promise.race([aborted(signal), proxyEnded(proxy)]),
      stop: () => shutdown.run(),
    };
  } catch (error) {
    await shutdown.run();
    throw error;
  }
}

/** The runner's files are hashed while the rest is opened; nothing of them is started before that is done. */
function probeSandbox({ settings: { config }, installation }: ServeOptions): Promise<Sandbox> {
  const files = installation.runnerFiles(config);
  files.catch(() => {}); // openSandbox awaits it
  const probing = openSandbox({
    files,
    mode: sandboxMode(config),
  });
  probing.catch(() => {}); // awaited when the other steps are done
  return probing;
}

async function openKeys(
  { keySource, settings: { config } }: ServeOptions,
  shutdown: Shutdown,
): Promise<KeySource> {
  // A key in memory has no fleet.
  const open = config.fleet === "" ? openKeySource : openLastingKeySource;
  const keys = await open({
    ...keySource,
    autoInit: true,
    maxAgeDays: config.keyMaxAgeDays,
    clientGraceMs: config.clientGraceMs,
  });
  shutdown.add(() => keys[Symbol.dispose]());
  return keys;
}

async function openAudit(
  { settings: { config, dataDir }, keySource: { stateDir }, onWarning }: ServeOptions,
  keys: KeySource,
  logger: Logger,
  shutdown: Shutdown,
): Promise<ServeAudit | undefined> {
  const roles = config.oidcIssuer === "" ? undefined : await roleNames(keys);
  idleSettings(config, { ephemeral: keys.ephemeral, roles }).forEach(onWarning);
  const audit = await openServeAudit({ config, dataDir, stateDir, keys, logger, onWarning });
  if (audit !== undefined) shutdown.addLast(() => audit.close());
  return audit;
}

/** What the supervisor does is recorded beside it: a model that is loaded waits for no disk. */
function supervisorAudit(
  audit: ServeAudit | undefined,
  metrics: Metrics | undefined,
): SupervisorOptions["audit"] {
  return (event, fields) => {
    metrics?.loaded(event, fields);
    void audit?.note(event, fields).catch(() => {});
  };
}

/** Whether this machine's own proxy needs a listener apart from the one for other machines. */
function isApart(listen: ListenAddress): boolean {
  return listen.remote || listen.tls !== undefined;
}

function startProxyProcess(
  { withProxy, settings: { config, dataDir }, env }: ServeOptions,
  listen: ListenAddress,
  shutdown: Shutdown,
  told: ProxyWords,
): ProxyProcess | undefined {
  if (!withProxy) return undefined;
  const proxy = spawnProxy({
    gatewayHost: isApart(listen) ? "127.0.0.1" : listen.hostname,
    port: config.proxyPort,
    dataDir,
    logLevel: config.logLevel,
    allowModelManagement: config.allowModelManagement,
    allowed: { origins: config.proxyAllowedOrigins, hosts: config.proxyAllowedHosts },
    requireToken: config.requireToken,
    drainMs: config.drainMs,
    open: config,
    told,
    env,
  });
  shutdown.addEntrance(() => proxy.stop());
  return proxy;
}

async function startSupervisor(
  parts: {
    config: Config;
    models: ModelStore;
    keys: SupervisorOptions["keys"];
    sandbox: Sandbox;
    logger: Logger;
    audit?: SupervisorOptions["audit"];
    onChecked: SupervisorOptions["onChecked"];
    onLoading: SupervisorOptions["onLoading"];
  },
  shutdown: Shutdown,
): Promise<Supervisor> {
  const supervisor = new Supervisor({
    ...parts,
    gpu: await openGpu(parts.config, parts.sandbox),
    version: VERSION,
  });
  shutdown.add(() => supervisor.stop());
  return supervisor;
}

async function openManagement(
  { settings: { config }, openManagement }: ServeOptions,
  models: ModelStore,
  logger: Logger,
): Promise<ModelManagement | undefined> {
  if (!config.allowModelManagement && !config.fleetPulls) return undefined;
  const management = await openManagement(config, models);
  if (config.allowModelManagement) logger.warn("model-management-on");
  if (config.fleetPulls) logger.warn("fleet-pulls-on");
  return management;
}

async function load(
  supervisor: Supervisor,
  name: string | undefined,
): Promise<LoadedModel | undefined> {
  return name === undefined ? undefined : (await supervisor.acquire(name)).model;
}

async function connectProxy(
  proxy: ProxyProcess,
  keys: HandedKeys & StorageSource,
  gatewayUrl: () => Promise<string>,
): Promise<string> {
  return await proxy.connect(await gatewayUrl(), keys);
}

/** Waits for both before it fails for either, so that nothing is ended while it still starts. */
async function bothOrNeither<A, B>(a: Promise<A>, b: Promise<B> | undefined) {
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === "rejected") throw first.reason;
  if (second.status === "rejected") throw second.reason;
  return [first.value, second.value] as const;
}

function readyFacts(
  gateway: { url: string; port: number },
  proxyUrl: string | undefined,
  loaded: LoadedModel | undefined,
): RunningServe["ready"] {
  return {
    gateway: gateway.url,
    gatewayPort: gateway.port,
    proxy: proxyUrl ?? null,
    proxyPort: proxyUrl === undefined ? null : Number(new URL(proxyUrl).port),
    model: loaded?.name ?? null,
    isolation: loaded?.isolation.level ?? null,
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

async function proxyEnded(proxy: ProxyProcess | undefined): Promise<never> {
  await (proxy?.died ?? new Promise<never>(() => {}));
  throw new SecLlamaError("internal", "the proxy ended by itself");
}

/** Where people sign in, if they can. */
async function signInOf(config: Config, keys: KeySource): Promise<GatewayFacts["signIn"]> {
  const { oidcIssuer: issuer, oidcClientId: clientId, oidcRoles: roles } = config;
  if (issuer === "" || keys.ephemeral) return undefined;
  const { oidcGroupsClaim: groupsClaim, oidcSessionMs: sessionMs, oidcDevice: device } = config;
  const terms = { issuer, clientId, roles, groupsClaim, sessionMs, device };
  return { terms, tokens: new IdTokens(terms, { fetch: await systemFetch() }), keys };
}
