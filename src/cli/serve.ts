/**
 * `secllama serve`: the gateway, its runners, and the proxy beside it. Starts nothing that weakens a protection without an
 * operator's setting, and says each such setting in the first lines it prints.
 */
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { makeGatewayApp } from "../gateway/app.ts";
import { serveHardened } from "../http/mod.ts";
import { openKeySource } from "../keys/mod.ts";
import { makeLogger } from "../log.ts";
import { permissionLabels } from "../app/permission_labels.ts";
import { ModelStore } from "../models/store.ts";
import { openSandbox } from "../supervisor/isolation.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import { inUrl } from "../tls/names.ts";
import { VERSION } from "../version.ts";
import { type Command, flag, stringOption } from "./command.ts";
import { gatewayListenAddress, type ListenAddress } from "../app/listen_address.ts";
import { descriptor, KEY_OPTIONS, keySourceOptions } from "./key_options.ts";
import { openReadyLine } from "../app/ready_line.ts";
import { printBanner } from "../app/banner.ts";
import { spawnProxy } from "../app/proxy_process.ts";
import { embeddedDemoPath, openGpu, runnerFiles } from "../app/program_paths.ts";
import { ensureDataDirectory, readSettings, SETTING_OPTIONS } from "./settings.ts";

/** SIGTERM to the end of the listeners, which give what is under way 3 s, and of the proxy. */
const DRAIN_MS = 4_000;
/** From then to the end of the runners. */
const END_MS = 4_000;

export const serveCommand: Command = {
  path: ["serve"],
  summary: "Start the gateway, the sandboxed models and the loopback proxy",
  options: {
    ...SETTING_OPTIONS,
    ...KEY_OPTIONS,
    "ephemeral-fallback": {
      type: "boolean",
      help: "use the key store if it is reachable and unlocked, else a key in memory",
    },
    "no-proxy": { type: "boolean", help: "do not start the proxy" },
    model: { type: "string", value: "MODEL", help: "model to load at the start (default demo)" },
    quiet: { type: "boolean", help: "print nothing but warnings and errors" },
    "ready-fd": {
      type: "string",
      value: "N",
      help: "write one line of JSON to this descriptor when everything serves, and close it",
    },
    "no-preload": { type: "boolean", help: "load no model before the first request" },
  },
  details: "Ends on SIGINT or SIGTERM, with everything it started. Settings: secllama help config",
  async run(context) {
    const { tui, signal } = context;
    hardenSelf();
    const readyFd = descriptor(context, "ready-fd");
    const readyLine = readyFd === undefined ? undefined : openReadyLine(readyFd);
    const { config, dataDir } = await readSettings(context);
    const logger = makeLogger({ role: "gateway", level: config.logLevel });
    await ensureDataDirectory(dataDir);
    // Its files are hashed while the rest is opened; nothing of them is started before that is done.
    const files = runnerFiles(context, config);
    files.catch(() => {}); // awaited below
    const probing = openSandbox({
      files,
      mode: { sandbox: config.enableSandbox, strict: config.strictNetworkIsolation },
    });
    probing.catch(() => {});
    const keys = await openKeySource({
      ...keySourceOptions(context, dataDir),
      autoInit: true,
      maxAgeDays: config.keyMaxAgeDays,
      clientGraceMs: config.clientGraceMs,
    });
    let listen: ListenAddress;
    try {
      listen = await gatewayListenAddress(config, dataDir, keys);
    } catch (error) {
      keys.close();
      throw error;
    }
    for (const warning of listen.warnings) tui.warn(warning);
    const stop = new AbortController();
    const closers: Closer[] = [() => keys.close()];
    // Where requests come in. They end first: what is under way may reach its end while the runners are still there.
    const doors: Closer[] = [];
    const closeAll = async () => {
      stop.abort();
      await closeWithin(doors, DRAIN_MS);
      await closeWithin(closers, END_MS);
    };
    try {
      const apart = listen.remote || listen.tls !== undefined;
      const proxy = flag(context, "no-proxy") ? undefined : spawnProxy({
        gatewayHost: apart ? "127.0.0.1" : listen.hostname,
        port: config.proxyPort,
        dataDir,
        logLevel: config.logLevel,
        allowModelManagement: config.allowModelManagement,
        env: context.env,
      });
      if (proxy) doors.push(() => proxy.stop());
      const models = await ModelStore.open(join(dataDir, "models"), {
        ollamaDir: config.ollamaModels || undefined,
        embeddedDemo: await embeddedDemoPath(context),
      });
      const sandbox = await probing;
      const supervisor = new Supervisor({
        config,
        models,
        keys,
        sandbox,
        gpu: await openGpu(config, sandbox),
        logger,
        version: VERSION,
      });
      closers.push(() => supervisor.stop());
      const management = await openManagement(config, models);
      if (management) logger.warn("model-management-on");
      const limits = management ? { bodyBytes: management.maxBytes } : {};
      const facts = { config, supervisor, models, logger, version: VERSION, management };
      const appFor = (remote: boolean) =>
        makeGatewayApp({ ...facts, keyBackend: keys.backend, remote });
      const preload = stringOption(context, "model") ?? "demo";
      const { allowedOrigins } = config;
      const listener = { allowedOrigins, limits, logger, signal: stop.signal };
      const app = appFor(listen.remote);
      const gateway = await serveHardened({
        ...listener,
        hostname: listen.hostname,
        port: config.port,
        handler: (request, { peer }) => app.fetch(request, { peer, local: gateway.addr }),
        allowedHosts: listen.names.map(inUrl),
        ...(listen.tls === undefined ? {} : { tls: listen.tls }),
      });
      doors.push(() => gateway.finished);
      const scheme = listen.tls === undefined ? "http" : "https";
      const gatewayUrl = `${scheme}://${inUrl(listen.hostname)}:${gateway.addr.port}`;
      const connectProxy = async () => {
        let localUrl = gatewayUrl;
        if (apart) {
          // This machine's own clients, who have the key store anyway, need neither TLS nor a proof.
          const localApp = appFor(false);
          const local = await serveHardened({
            ...listener,
            hostname: "127.0.0.1",
            port: 0,
            handler: (request, { peer }) => localApp.fetch(request, { peer, local: local.addr }),
            sameUidOnly: true,
          });
          doors.push(() => local.finished);
          localUrl = `http://127.0.0.1:${local.addr.port}`;
        }
        return await proxy?.connect(localUrl, keys);
      };
      // Side by side: a request that comes before its model is loaded waits for it.
      const [loading, starting] = await Promise.allSettled([
        flag(context, "no-preload") ? undefined : supervisor.acquire(preload),
        proxy && connectProxy(),
      ]);
      if (loading.status === "rejected") throw loading.reason;
      if (starting.status === "rejected") throw starting.reason;
      const loaded = loading.value?.model;
      const proxyUrl = starting.value;
      const proxyDied = proxy?.died ?? new Promise<void>(() => {});
      revokeWhatIsDone();
      printBanner(tui, {
        config,
        gatewayUrl,
        names: listen.names,
        proxyUrl,
        keys,
        gpu: supervisor.gpu.status(),
        loaded,
      });
      readyLine?.send({
        gateway: gatewayUrl,
        gatewayPort: gateway.addr.port,
        proxy: proxyUrl ?? null,
        proxyPort: proxyUrl === undefined ? null : Number(new URL(proxyUrl).port),
        model: loaded?.name ?? null,
        isolation: loaded?.isolation.level ?? null,
        pid: Deno.pid,
      });
      logger.info("ready", { port: gateway.addr.port });
      logger.info("permissions", permissionLabels());
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      await Promise.race([
        aborted,
        proxyDied.then(() => {
          throw new SecLlamaError("internal", "the proxy ended by itself");
        }),
      ]);
      tui.note("ending: no new requests are taken, what is under way has 3 seconds");
      return EXIT.ok;
    } finally {
      await closeAll();
    }
  },
};

type Closer = () => Promise<unknown> | void;

/** Calls all of them at once and waits for them, but no longer than `ms`. */
async function closeWithin(closers: readonly Closer[], ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([Promise.allSettled(closers.map(async (close) => await close())), late]);
  clearTimeout(timer);
}

/** Loaded only where the operator asked for it: what can fetch is else not even in the process. */
async function openManagement(config: Config, models: ModelStore) {
  if (!config.allowModelManagement) return undefined;
  const management = await import("./management.ts");
  return await management.openManagement(config, models);
}

/** What only the start needs: see ARCHITECTURE.md for what each role keeps, and why. */
function revokeWhatIsDone(): void {
  Deno.permissions.revokeSync({ name: "env" });
  Deno.permissions.revokeSync({ name: "sys" });
  Deno.permissions.revokeSync({ name: "import" });
}
