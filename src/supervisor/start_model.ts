/** A model's start: which sandbox, which device, and what is told of its runner from then on. */
import type { Config } from "../config/config.ts";
import { toHex } from "../bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import type { KeyFacts } from "../keys/mod.ts";
import { label, type Logger } from "../log.ts";
import type { readDefaults } from "../models/defaults.ts";
import type { ModelStore, ResolvedModel } from "../models/store.ts";
import type { BootMessage } from "../api/pipe_messages.ts";
import type { Gpu } from "../sandbox/mod.ts";
import { refuseDraft } from "./draft.ts";
import { companionFor, engineSees, usesEngine } from "./engine.ts";
import { type GpuChoice, mayBeTheGpu } from "./gpu.ts";
import { prepareSpawn, type Sandbox } from "./isolation.ts";
import { LoadedModel } from "./loaded_model.ts";
import { RunnerProcess } from "./runner_process.ts";

export type Defaults = Awaited<ReturnType<typeof readDefaults>>;

/** With how much context a model is loaded, and what it takes. */
interface ModelSize {
  readonly contextLength: number;
  /** What a client had asked for; 0: nothing. */
  readonly wantedContext: number;
  readonly cacheCells: number;
  readonly needBytes: number;
  readonly retyped: BootMessage["retyped"];
  /** Digest of the model that guesses tokens ahead for it. */
  readonly draft: string | undefined;
  /** Whether it makes embeddings, or ranks, and does not generate. */
  readonly embeds: boolean;
}

export interface ModelStarterOptions {
  readonly config: Config;
  readonly models: ModelStore;
  readonly keys: Pick<KeyFacts, "hid">;
  readonly sandbox: Sandbox;
  readonly gpu: GpuChoice;
  readonly logger: Logger;
  readonly version: string;
  /** Is told how much of a model is loaded. */
  readonly onLoading?: ((name: string, doneBytes: number, totalBytes: number) => void) | undefined;
}

/** Whose models they are. */
export interface ModelOwner {
  /** All whose runners live. */
  loaded(): readonly LoadedModel[];
  stopped(): boolean;
  /** Whether the holder of this psk_id may have models unloaded. */
  mayStop(id: string): boolean;
  /** It takes requests from now on. */
  ready(model: LoadedModel): void;
  /** Its runner is dead. @returns Whether it still took requests. */
  died(model: LoadedModel): boolean;
  /** Its runner says that it ends; it still answers what it has. @returns As {@link died}. */
  leaving(model: LoadedModel): boolean;
  expired(model: LoadedModel): void;
  idle(model: LoadedModel): void;
}

export class ModelStarter {
  readonly #options: ModelStarterOptions;
  readonly #owner: ModelOwner;

  constructor(options: ModelStarterOptions, owner: ModelOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  /** With its draft model if it has one, else, and if its runner does not survive that, without: it then takes longer. */
  async start(
    resolved: ResolvedModel,
    defaults: Defaults,
    size: ModelSize,
  ): Promise<LoadedModel> {
    const { draft } = size;
    try {
      return await this.#startSeeing(resolved, defaults, size);
    } catch (error) {
      const mayBeIt = draft !== undefined && toSecLlamaError(error).code === "model-failed";
      if (!mayBeIt || this.#owner.stopped()) throw error;
      // A model that fails without it too says nothing of it.
      const model = await this.#startSeeing(resolved, defaults, { ...size, draft: undefined });
      refuseDraft(draft, resolved, this.#options);
      return model;
    }
  }

  /** With its projector if it has one, else, and if its runner does not survive that, without: it then reads text only. */
  async #startSeeing(
    resolved: ResolvedModel,
    { projector, ...blind }: Defaults,
    size: ModelSize,
  ): Promise<LoadedModel> {
    const { models, config, logger } = this.#options;
    const blinded = projector !== undefined && usesEngine(config, resolved.name) &&
      !engineSees(config);
    if (blinded) logger.warn("no-vision", { model: label(resolved.name) });
    if (projector === undefined || blinded || models.refusedProjectors.has(projector)) {
      return await this.#startSomewhere(resolved, blind, size);
    }
    try {
      return await this.#startSomewhere(resolved, { ...blind, projector }, size);
    } catch (error) {
      if (this.#owner.stopped() || toSecLlamaError(error).code !== "model-failed") throw error;
      // A model that fails without it too says nothing of the projector.
      const model = await this.#startSomewhere(resolved, blind, size);
      this.#projectorRefused(projector, resolved);
      return model;
    }
  }

  #projectorRefused(digest: string, { name }: ResolvedModel): void {
    this.#options.models.refusedProjectors.add(digest);
    this.#options.logger.warn("projector-refused", { model: label(name) });
  }

  /** On the GPU if there is one, else, and if that fails, on the processor; always in the sandbox. */
  async #startSomewhere(
    resolved: ResolvedModel,
    defaults: Defaults,
    size: ModelSize,
  ): Promise<LoadedModel> {
    const gpu = this.#options.gpu.used;
    try {
      return await this.#start(resolved, defaults, { ...size, gpu });
    } catch (error) {
      if (gpu === "none" || this.#owner.stopped() || !mayBeTheGpu(error)) throw error;
      // A model that fails on the processor too says nothing of the GPU.
      const model = await this.#start(resolved, defaults, { ...size, gpu: "none" });
      this.#gpuFailed(error);
      return model;
    }
  }

  #gpuFailed({ message, code }: SecLlamaError): void {
    const { gpu, logger } = this.#options;
    const { used } = gpu;
    if (used === "none") return; // two runners failed at once
    gpu.fail(message);
    logger.warn("gpu-failed", { gpu: label(used), code: label(code) });
  }

  async #start(
    resolved: ResolvedModel,
    { adapters, projector, ...defaults }: Defaults,
    { contextLength, wantedContext, cacheCells, needBytes, retyped, draft, embeds, gpu }:
      & ModelSize
      & { gpu: Gpu },
  ): Promise<LoadedModel> {
    const { config, keys, models, sandbox, logger, version } = this.#options;
    const adapterPaths: string[] = [];
    for (const digest of adapters) adapterPaths.push((await models.verify(digest)).path);
    const projectorPath = projector && (await models.verify(projector)).path;
    const draftPath = draft && (await models.verify(draft)).path;
    // One core is left to the gateway and the clients: threads that wait for each other suffer most from company.
    const threads = config.threads || Math.max(1, navigator.hardwareConcurrency - 1);
    const companion = usesEngine(config, resolved.name)
      ? companionFor(config, {
        modelPath: resolved.blobPath,
        adapterPaths,
        projectorPath,
        contextLength,
        slots: config.parallel,
        threads,
        cacheType: config.kvCache,
        retyped,
        embeds,
      })
      : undefined;
    const spawn = await prepareSpawn(sandbox, resolved.blobPath, {
      adapterPaths,
      draftPath,
      projectorPath,
      gpu,
      companion,
      limitBytes: config.maxMemoryBytes,
    });
    const isGiven = companion !== undefined || spawn.vision !== null;
    if (projectorPath && !isGiven) {
      logger.warn("no-vision", { model: label(resolved.name) });
    }
    let model: LoadedModel | undefined;
    let recipients: readonly string[] = [];
    let loadMs = 0;
    let drafts = false;
    const rn = crypto.getRandomValues(new Uint8Array(32));
    try {
      const runner = await RunnerProcess.start({
        start: spawn.start,
        boot: {
          t: "boot",
          model: resolved.name,
          modelPath: spawn.modelPath,
          adapterPaths: spawn.adapterPaths,
          draftPath: spawn.draftPath,
          vision: spawn.vision,
          foreign: spawn.foreign,
          retyped,
          defaults,
          templateCompletions: config.completions === "template",
          libDir: spawn.libDir,
          encryption: config.enableEncryption,
          hid: toHex(keys.hid),
          rn: toHex(rn),
          engine: {
            contextLength,
            cacheCells,
            slots: config.parallel,
            threads,
            // The gateway keeps the queue's limit. In the runner a request that is about to take a free slot still counts as
            // waiting, so its own limit must not be the tighter one.
            queueLimit: config.parallel + config.maxQueue,
            cacheType: config.kvCache,
            gpu: gpu !== "none" && companion === undefined,
          },
          lockdown: sandbox.mode !== "off",
          stage2More: spawn.stage2More,
          targets: spawn.targets,
          version,
        },
        prove: (pid, ready) => {
          loadMs = ready.loadMs;
          drafts = ready.drafts;
          if (draft && !ready.drafts) refuseDraft(draft, resolved, this.#options);
          if (projector && isGiven && !ready.sees) this.#projectorRefused(projector, resolved);
          return spawn.prove(pid, ready);
        },
        rn,
        onLoading: (percent) => {
          const { name, sizeBytes } = resolved;
          this.#options.onLoading?.(name, Math.round(sizeBytes * percent / 100), sizeBytes);
        },
        onRecipients: (ids) => {
          // Each was made in its runner's memory: one that another announces was given away, to draw requests off.
          const others = this.#owner.loaded().filter((other) => other !== model);
          if (others.some((other) => other.recipients.some((id) => ids.includes(id)))) {
            throw new SecLlamaError("pipe-broken", "pipe to the runner: it names another's keys");
          }
          recipients = ids;
          if (model) model.recipients = ids;
        },
        onKeepAlive: (ms, client) => {
          // Who may not stop a model may not have it leave early either.
          const early = ms >= 0 && ms < config.keepAliveMs;
          model?.setKeepAlive(
            early && client?.startsWith("client.") && !this.#owner.mayStop(client)
              ? config.keepAliveMs
              : ms,
          );
        },
        onLeaving: (error) => {
          if (model && this.#owner.leaving(model) && gpu !== "none") this.#gpuFailed(error);
        },
        onDead: (error) => {
          if (model && this.#owner.died(model) && gpu !== "none") this.#gpuFailed(error);
        },
        timeoutMs: config.loadTimeoutMs,
        silenceMs: config.runnerTimeoutMs,
        logger,
      });
      if (this.#owner.stopped() || runner.state !== "ready" || runner.isLeaving) {
        await runner.kill();
        throw new SecLlamaError("runner-died", "the model's runner ended before it answered");
      }
      model = new LoadedModel(runner, spawn.report(), {
        name: resolved.name,
        digest: resolved.digest,
        manifestDigest: resolved.manifestDigest,
        sizeBytes: resolved.sizeBytes,
        contextLength,
        wantedContext,
        needBytes,
        gpu,
        slots: config.parallel,
        maxQueue: config.maxQueue,
        keepAliveMs: config.keepAliveMs,
        onExpired: () => this.#owner.expired(model!),
        onIdle: () => this.#owner.idle(model!),
      });
      model.recipients = recipients;
      this.#owner.ready(model);
      logger.info("model-loaded", {
        model: label(resolved.name),
        isolation: label(model.isolation.level),
        loadMs: Math.round(loadMs),
        ...(drafts ? { drafts } : {}),
      });
      return model;
    } finally {
      spawn.close();
    }
  }
}
