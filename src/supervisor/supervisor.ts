/**
 * Which models are loaded, by which runners, with which keys. Loads on demand (once, however many ask), replaces a dead
 * runner at the next request, unloads the idle, and passes key changes on. Does not see a request's content.
 */
import type { Config } from "../config/config.ts";
import { SecLlamaError } from "../errors.ts";
import type { KeySource } from "../keys/mod.ts";
import { label, type Logger } from "../log.ts";
import { readDefaults } from "../models/defaults.ts";
import type { ModelStore, ResolvedModel } from "../models/store.ts";
import { encodePsks } from "../pipe/messages.ts";
import { LoadedModel } from "./loaded_model.ts";
import { RunnerProcess } from "./runner_process.ts";
import { prepareSpawn, type Sandbox } from "./isolation.ts";

export { LoadedModel };

/** How often a rotation by another process is looked for; an unknown key id is looked up at once. */
const KEY_POLL_MS = 2_000;
/** Unknown key ids cause at most one look into the key store in this time. */
const UNKNOWN_KEY_INTERVAL_MS = 1_000;
const DEFAULT_CONTEXT_TOKENS = 4096;

export interface SupervisorOptions {
  readonly config: Config;
  readonly models: ModelStore;
  readonly keys: KeySource;
  readonly sandbox: Sandbox;
  readonly logger: Logger;
  readonly version: string;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #loaded = new Map<string, LoadedModel>();
  readonly #loading = new Map<string, Promise<LoadedModel>>();
  readonly #keyTimer: ReturnType<typeof setInterval>;
  #knownPskIds = new Set<string>();
  #generation = -1;
  #lastUnknown = 0;
  #stopped = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#keyTimer = setInterval(() => void this.#pollKeys(), KEY_POLL_MS);
    Deno.unrefTimer(this.#keyTimer);
  }

  loaded(): readonly LoadedModel[] {
    return [...this.#loaded.values()];
  }

  /** The loaded model that owns this boot key. */
  byRecipient(id: string): LoadedModel | undefined {
    for (const model of this.#loaded.values()) if (model.recipients.includes(id)) return model;
    return undefined;
  }

  /**
   * The model, loaded if it was not.
   * @throws {SecLlamaError} `model-not-found`, `model-corrupt`, `model-failed`, `sandbox-*`, `busy`.
   */
  async acquire(name: string): Promise<LoadedModel> {
    if (this.#stopped) throw new SecLlamaError("busy", "the server is shutting down");
    const resolved = await this.#options.models.resolve(name);
    const ready = this.#loaded.get(resolved.name);
    if (ready) {
      if (ready.manifestDigest === resolved.manifestDigest) return ready;
      await this.unload(resolved.name); // the name now means another file, or other defaults
    }
    const under = this.#loading.get(resolved.name);
    if (under) return await under;
    const loading = this.#load(resolved).finally(() => this.#loading.delete(resolved.name));
    this.#loading.set(resolved.name, loading);
    return await loading;
  }

  /** Whether a client may still exist under this id: unknown ids make the key store be read again, at most once a second. */
  async knowsPskId(id: string): Promise<boolean> {
    if (this.#knownPskIds.has(id)) return true;
    const now = Date.now();
    if (now - this.#lastUnknown < UNKNOWN_KEY_INTERVAL_MS) return false;
    this.#lastUnknown = now;
    await this.refreshKeys();
    return this.#knownPskIds.has(id);
  }

  /** Reads the keys again and gives them to every runner. */
  async refreshKeys(): Promise<void> {
    for (const model of this.#loaded.values()) await model.runner.sendKeys();
    if (this.#loaded.size === 0) (await this.#keyFrame()).fill(0);
  }

  async unload(name: string): Promise<boolean> {
    const model = this.#loaded.get(name);
    if (!model) return false;
    this.#loaded.delete(name);
    model.stopTimer();
    await model.runner.kill();
    return true;
  }

  /** Ends every runner. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#keyTimer);
    await Promise.allSettled(this.#loading.values());
    await Promise.all([...this.#loaded.keys()].map((name) => this.unload(name)));
  }

  async #load(resolved: ResolvedModel): Promise<LoadedModel> {
    const { config, models, sandbox, logger, version } = this.#options;
    await this.#makeRoom();
    await models.verify(resolved.digest);
    const details = await models.details(resolved);
    const { adapters, ...defaults } = await readDefaults(models, resolved);
    const adapterPaths: string[] = [];
    for (const digest of adapters) adapterPaths.push((await models.verify(digest)).path);
    const contextLength = contextOf(defaults.options, details.contextLength, config.contextLength);
    const spawn = prepareSpawn(sandbox, resolved.blobPath, adapterPaths);
    let model: LoadedModel | undefined;
    let recipients: readonly string[] = [];
    try {
      const runner = await RunnerProcess.start({
        command: spawn.command,
        boot: {
          t: "boot",
          model: resolved.name,
          modelPath: spawn.modelPath,
          adapterPaths: spawn.adapterPaths,
          defaults,
          libDir: spawn.libDir,
          encryption: config.enableEncryption,
          engine: {
            contextLength,
            slots: config.parallel,
            // One core is left to the gateway and the clients: threads that wait for each other suffer most from company.
            threads: config.threads || Math.max(1, navigator.hardwareConcurrency - 1),
            // The gateway keeps the queue's limit. In the runner a request that is about to take a free slot still counts as
            // waiting, so its own limit must not be the tighter one.
            queueLimit: config.parallel + config.maxQueue,
          },
          lockdown: sandbox.mode.sandbox,
          targets: spawn.targets,
          version,
        },
        prove: (pid, ready) => spawn.prove(pid, ready),
        keys: () => this.#keyFrame(),
        onRecipients: (ids) => {
          recipients = ids;
          if (model) model.recipients = ids;
        },
        onLease: (ms) => model?.setLease(ms),
        onDead: () => {
          if (model && this.#loaded.get(resolved.name) === model) {
            this.#loaded.delete(resolved.name);
            model.stopTimer();
          }
        },
        timeoutMs: config.loadTimeoutMs,
        logger,
      });
      model = new LoadedModel(runner, spawn.report(), {
        name: resolved.name,
        digest: resolved.digest,
        manifestDigest: resolved.manifestDigest,
        sizeBytes: resolved.sizeBytes,
        contextLength,
        limit: config.parallel + config.maxQueue,
        keepAliveMs: config.keepAliveMs,
        onExpired: () => void this.unload(resolved.name),
      });
      model.recipients = recipients;
      if (this.#stopped || runner.state !== "ready") {
        await runner.kill();
        throw new SecLlamaError("runner-died", "the model's runner ended before it answered");
      }
      this.#loaded.set(resolved.name, model);
      logger.info("model-loaded", {
        model: label(resolved.name),
        isolation: label(model.isolation.level),
      });
      return model;
    } finally {
      spawn.close();
    }
  }

  /** Unloads the least recently used idle model if the limit is reached. */
  async #makeRoom(): Promise<void> {
    while (this.#loaded.size >= this.#options.config.maxLoadedModels) {
      const idle = this.loaded().filter((m) =>
        m.active === 0
      ).sort((a, b) => a.lastUsedMs - b.lastUsedMs)[0];
      if (!idle) {
        throw new SecLlamaError("busy", "server busy: every loaded model is in use", {
          hint: "try again, or raise SECLLAMA_MAX_LOADED_MODELS",
        });
      }
      await this.unload(idle.name);
    }
  }

  async #keyFrame(): Promise<Uint8Array> {
    // Before the keys: a rotation in between is then seen by the next poll.
    this.#generation = await this.#options.keys.generation();
    const entries = await this.#options.keys.psks();
    this.#knownPskIds = new Set(entries.map((e) => e.pskId));
    const payload = encodePsks(entries);
    for (const { psk } of entries) psk.fill(0);
    return payload;
  }

  async #pollKeys(): Promise<void> {
    try {
      if (await this.#options.keys.generation() !== this.#generation) await this.refreshKeys();
    } catch {
      // The store is locked or gone for now: the runners keep the keys they have, and the next poll tries again.
    }
  }
}

/** Tokens of context for each slot: the operator's wish, else the Modelfile's, else a usual one; never over the model's own. */
function contextOf(
  options: Readonly<Record<string, unknown>> | undefined,
  trained: number,
  configured: number,
): number {
  if (configured > 0) return configured;
  const asked = options?.["num_ctx"];
  const wish = typeof asked === "number" && asked >= 1 ? Math.floor(asked) : DEFAULT_CONTEXT_TOKENS;
  return Math.min(trained, wish);
}
