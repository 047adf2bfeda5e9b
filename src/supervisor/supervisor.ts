/**
 * Which models are loaded, by which runners, with which keys. Loads on demand (once, however many ask), replaces a dead
 * runner at the next request, unloads the idle, and passes key changes on. Does not see a request's content.
 */
import type { Config } from "../config/config.ts";
import { toHex, utf8 } from "../bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import type { KeyFacts } from "../keys/mod.ts";
import { label, type LogFields, type Logger } from "../log.ts";
import { joinsMessages } from "../models/capabilities.ts";
import { readDefaults } from "../models/defaults.ts";
import type { ModelStore, ResolvedModel } from "../models/store.ts";
import { type BootMessage, MAX_DEFAULTS_BYTES } from "../api/pipe_messages.ts";
import type { Gpu } from "../sandbox/mod.ts";
import { Admission, isOthers, type Occupant } from "./admission.ts";
import { type GpuChoice, mayBeTheGpu } from "./gpu.ts";
import { prepareSpawn, type Sandbox } from "./isolation.ts";
import { type FedKeys, type HostWord, KeyFeed } from "./key_feed.ts";
import { BUSY_TEXT } from "../api/texts.ts";
import { Pot } from "../shares.ts";
import { chooseContext } from "./context_size.ts";
import { LoadedModel } from "./loaded_model.ts";
import { estimateMemory, type MachineMemory, memoryBudget, readMachineMemory } from "./memory.ts";
import { RunnerProcess } from "./runner_process.ts";

export { LoadedModel };

export interface SupervisorOptions {
  readonly config: Config;
  readonly models: ModelStore;
  readonly keys: FedKeys & Pick<KeyFacts, "hid">;
  readonly sandbox: Sandbox;
  readonly gpu: GpuChoice;
  readonly logger: Logger;
  readonly version: string;
  /** Is told what belongs into a record. */
  readonly audit?:
    | ((event: "model-loaded" | "isolation-failed" | "model-refused", fields: LogFields) => void)
    | undefined;
  /** Default: as the system tells. */
  readonly memory?: () => MachineMemory;
}

/** A model that a request may be sent to. */
interface Acquired {
  readonly model: LoadedModel;
  /** Milliseconds that it took to be loaded; 0 if it was there. */
  readonly waitedMs: number;
}

interface Loading {
  readonly done: Promise<LoadedModel>;
  /** Clients to be promised the model as soon as it is there. */
  readonly clients: string[];
  /** Tokens of context that were asked for; 0: none. */
  readonly wanted: number;
  /** Those who wait until it is loaded. */
  readonly waiting: Pot;
}

type Defaults = Awaited<ReturnType<typeof readDefaults>>;

/** Who asks for a model, and what for. */
interface Asker {
  /** Whose share it is; the model stays until this client's request comes, if it comes soon. Absent: nobody in particular. */
  readonly client?: string;
  /** Tokens of context that it would have; absent: as many as the model has by default. */
  readonly contextLength?: number | undefined;
}

interface ModelSize {
  readonly contextLength: number;
  /** What a client had asked for; 0: nothing. */
  readonly wantedContext: number;
  readonly cacheCells: number;
  readonly needBytes: number;
  readonly retyped: BootMessage["retyped"];
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #loaded = new Map<string, LoadedModel>();
  /** Take no more requests, and go when what they work on is done. */
  readonly #leaving = new Set<LoadedModel>();
  readonly #loading = new Map<string, Loading>();
  readonly #admission: Admission;
  /** Bytes that all models together may take, of which so many are taken. */
  readonly #budget: (takenBytes: number) => number;
  readonly #keyFeed: KeyFeed;
  #stopped = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { config } = options;
    const memory = options.memory ?? readMachineMemory;
    this.#budget = (takenBytes) =>
      memoryBudget(memory(), { limitBytes: config.maxMemoryBytes, takenBytes });
    this.#keyFeed = new KeyFeed({
      keys: options.keys,
      receivers: () => this.loaded().map(({ runner }) => runner),
      logger: options.logger,
    });
    this.#admission = new Admission({
      occupants: () => this.#occupants(),
      room: (takenBytes) => ({
        maxModels: config.maxLoadedModels,
        budgetBytes: this.#budget(takenBytes),
      }),
      evict: (name) => this.unload(name),
      drain: (name) => this.#drain(name),
      timeoutMs: config.loadTimeoutMs,
      maxWaiting: config.maxQueue,
    });
  }

  get gpu(): GpuChoice {
    return this.#options.gpu;
  }

  loaded(): readonly LoadedModel[] {
    return [...this.#loaded.values(), ...this.#leaving];
  }

  /** Whether there is more than one client. */
  get shared(): boolean {
    return this.#keyFeed.holders > 1;
  }

  /** The loaded model that owns this recipient key; one that is leaving, for a client that was promised it. */
  byRecipient(id: string, client: string): LoadedModel | undefined {
    for (const model of this.#loaded.values()) if (model.recipients.includes(id)) return model;
    for (const model of this.#leaving) {
      if (model.recipients.includes(id) && model.holds(client)) return model;
    }
    return undefined;
  }

  /**
   * Lets the loaded model that owns this recipient key go if its name means another by now, or none: the client is told to ask
   * for a key again, and gets that of the model which the name means now.
   */
  async dropReplaced(id: string): Promise<void> {
    for (const [name, model] of this.#loaded) {
      if (!model.recipients.includes(id)) continue;
      const current = await this.#options.models.isCurrent(name, model.manifestDigest);
      if (!current && this.#loaded.get(name) === model) this.#drain(name);
      return;
    }
  }

  /**
   * The model, loaded if it was not, and again if it was with less context than is asked for and can be given.
   * @throws {SecLlamaError} `model-not-found`, `model-corrupt`, `model-failed`, `not-enough-memory`, `sandbox-*`, `busy`.
   */
  async acquire(name: string, asker: Asker = {}): Promise<Acquired> {
    const started = performance.now();
    const { client, contextLength } = asker;
    const { config } = this.#options;
    if (this.#stopped) throw shuttingDown();
    const resolved = await this.#resolve(name);
    const wanted = contextLength ?? 0;
    let larger: number | undefined;
    const seen = this.#loaded.get(resolved.name);
    // It was loaded for such a wish before, and got what there was: again would be no more.
    const more = seen !== undefined && wanted > Math.max(seen.contextLength, seen.wantedContext);
    if (more && seen.manifestDigest === resolved.manifestDigest) {
      larger = (await this.#size(resolved, wanted, client)).contextLength;
    }
    const ready = this.#loaded.get(resolved.name);
    if (
      ready?.manifestDigest === resolved.manifestDigest && (larger ?? 0) <= ready.contextLength
    ) {
      if (client !== undefined) ready.promise(client);
      return { model: ready, waitedMs: 0 };
    }
    // The name now means another file, or other defaults; or it is to have more context.
    if (ready) this.#drain(resolved.name);
    let loading = this.#loading.get(resolved.name);
    if (!loading) {
      const clients: string[] = [];
      const done = this.#load(resolved, { clients, client, wanted })
        .finally(() => this.#loading.delete(resolved.name));
      const waiting = new Pot({ limit: config.parallel + config.maxQueue, floor: config.parallel });
      loading = { done, clients, wanted, waiting };
      this.#loading.set(resolved.name, loading);
    }
    if (!loading.waiting.take(client ?? "", 1)) throw new SecLlamaError("busy", BUSY_TEXT);
    if (loading.wanted < wanted) {
      await loading.done;
      return await this.acquire(name, asker);
    }
    if (client !== undefined) loading.clients.push(client);
    return { model: await loading.done, waitedMs: performance.now() - started };
  }

  /** Whether a client may come under this id, as the keys are now: what changed meanwhile is read first. */
  knowsPskId(id: string): Promise<boolean> {
    return this.#keyFeed.knows(id);
  }

  /** How many machines are paired, by the keys as they were read last. */
  get paired(): number {
    return Math.max(0, this.#keyFeed.holders - 1);
  }

  /** See {@link KeyFeed.clientName}. */
  clientName(id: string): string | undefined {
    return this.#keyFeed.clientName(id);
  }

  /** Whether the holder of this psk_id may have models unloaded. */
  mayStop(id: string): boolean {
    return this.#keyFeed.may(id, "stop");
  }

  /** See {@link KeyFeed.proofKey}. */
  proofKey(id: string): Promise<{ hid: Uint8Array; key: Uint8Array } | undefined> {
    return this.#keyFeed.proofKey(id);
  }

  /** A client has proved that it holds the key `id`. */
  proven(id: string): void {
    this.#keyFeed.confirm(id);
  }

  /** Gives the model's runner the key of `id`, before an exchange of this client is opened. */
  giveKey(model: LoadedModel, id: string): void {
    this.#keyFeed.give(model.runner, id);
  }

  /** The host's word to `id` for a key document of this model's runner. @param challenge Hexadecimal. */
  attest(
    model: LoadedModel,
    id: string,
    what: { model: string; challenge: string },
  ): HostWord | undefined {
    return this.#keyFeed.attest(model.runner, id, what);
  }

  /** Ends a model's runner at once, with whatever it works on. */
  async unload(name: string): Promise<boolean> {
    const model = this.#loaded.get(name);
    if (!model) return false;
    this.#loaded.delete(name);
    await this.#end(model);
    return true;
  }

  /** Ends every runner. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#keyFeed.stop();
    this.#admission.stop();
    await Promise.allSettled([...this.#loading.values()].map(({ done }) => done));
    await Promise.all(
      this.loaded().map((model) => {
        this.#loaded.delete(model.name);
        return this.#end(model);
      }),
    );
    for (const left of await this.#options.sandbox.platform.close()) {
      this.#options.logger.warn("not-removed", { what: label(left) });
    }
  }

  /** Until its process is gone it is one of the leaving: its memory is not free before. */
  async #end(model: LoadedModel): Promise<void> {
    model.retire();
    this.#leaving.add(model);
    await model.runner.kill();
    this.#leaving.delete(model);
    this.#admission.changed();
  }

  #drain(name: string): void {
    const model = this.#loaded.get(name);
    if (!model) return;
    this.#loaded.delete(name);
    this.#leaving.add(model);
    if (model.idle) void this.#end(model);
  }

  #occupants(): Occupant[] {
    const seen = (model: LoadedModel, state: Occupant["state"]): Occupant => ({
      name: model.name,
      needBytes: model.needBytes,
      state,
      lastUsedMs: model.lastUsedMs,
      users: model.users(),
    });
    return [
      ...[...this.#loaded.values()].map((m) => seen(m, m.idle ? "idle" : "busy")),
      ...[...this.#leaving].map((m) => seen(m, "leaving")),
    ];
  }

  /** With how much context the model would be loaded now, and what it would take. */
  async #size(resolved: ResolvedModel, wanted: number, client = "") {
    const { config, models } = this.#options;
    const details = await models.details(resolved);
    const defaults = await readDefaults(models, resolved);
    checkSize(defaults);
    const { kvBytesPerToken, embeddingLength } = details;
    const shape = { sizeBytes: resolved.sizeBytes, kvBytesPerToken, embeddingLength };
    const occupants = this.#occupants();
    const budgetBytes = this.#budget(bytesOf(occupants));
    // What nobody else used lately may go for it, and the model itself as it is.
    const others = occupants.filter((o) => o.name !== resolved.name && isOthers(o, client));
    const { contextLength, cacheCells } = chooseContext({
      trained: details.contextLength,
      configured: config.contextLength,
      modelfile: defaults.options?.["num_ctx"],
      ...(wanted > 0 ? { asked: wanted } : {}),
      embeds: !details.capabilities.includes("completion"),
      slots: config.parallel,
      shape,
      budgetBytes,
      wishBytes: budgetBytes - bytesOf(others),
    });
    const needBytes = estimateMemory({ ...shape, cacheCells });
    return { details, defaults, contextLength, cacheCells, needBytes };
  }

  async #load(
    resolved: ResolvedModel,
    { clients, client, wanted }: {
      clients: readonly string[];
      client: string | undefined;
      wanted: number;
    },
  ): Promise<LoadedModel> {
    const { models } = this.#options;
    const { details, defaults, ...sized } = await this.#enter(resolved, wanted, client);
    try {
      await models.verify(resolved.digest);
      const size = { ...sized, wantedContext: wanted, retyped: details.retyped };
      const model = await this.#startSeeing(resolved, defaults, size);
      if (joinsMessages(details, defaults.template)) {
        this.#options.logger.warn("no-chat-template", { model: label(resolved.name) });
      }
      // Before anything is awaited: the next load that waits for room must see it.
      for (const client of clients) model.promise(client);
      this.#options.audit?.("model-loaded", {
        ...modelLabels(resolved),
        isolation: label(model.isolation.level),
      });
      return model;
    } catch (error) {
      const { code } = toSecLlamaError(error);
      const event = code.startsWith("sandbox-") ? "isolation-failed" : "model-refused";
      this.#options.audit?.(event, { ...modelLabels(resolved), code: label(code) });
      throw error;
    } finally {
      this.#admission.leave(resolved.name);
    }
  }

  /** Waits for room. A wish for more context that has no room by now is not the model's end: it is loaded as without it. */
  async #enter(resolved: ResolvedModel, wanted: number, client: string | undefined) {
    let sized = await this.#size(resolved, wanted, client);
    try {
      await this.#admission.enter(resolved.name, sized.needBytes, client);
    } catch (error) {
      if (wanted === 0 || toSecLlamaError(error).code !== "not-enough-memory") throw error;
      sized = await this.#size(resolved, 0, client);
      await this.#admission.enter(resolved.name, sized.needBytes, client);
    }
    return sized;
  }

  /** The demo model may be one of a compiled program's unpacked files: those may be gone, and can be made again. */
  async #resolve(name: string): Promise<ResolvedModel> {
    const { models, sandbox } = this.#options;
    try {
      return await models.resolve(name);
    } catch (error) {
      if (toSecLlamaError(error).code !== "model-store-unreadable") throw error;
      await sandbox.files.check();
      return await models.resolve(name);
    }
  }

  /** With its projector if it has one, else, and if its runner does not survive that, without: it then reads text only. */
  async #startSeeing(
    resolved: ResolvedModel,
    { projector, ...blind }: Defaults,
    size: ModelSize,
  ): Promise<LoadedModel> {
    const { models } = this.#options;
    if (projector === undefined || models.refusedProjectors.has(projector)) {
      return await this.#startSomewhere(resolved, blind, size);
    }
    try {
      return await this.#startSomewhere(resolved, { ...blind, projector }, size);
    } catch (error) {
      if (this.#stopped || toSecLlamaError(error).code !== "model-failed") throw error;
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
    const gpu = this.gpu.used;
    try {
      return await this.#start(resolved, defaults, { ...size, gpu });
    } catch (error) {
      if (gpu === "none" || this.#stopped || !mayBeTheGpu(error)) throw error;
      // A model that fails on the processor too says nothing of the GPU.
      const model = await this.#start(resolved, defaults, { ...size, gpu: "none" });
      this.#gpuFailed(error);
      return model;
    }
  }

  #gpuFailed({ message, code }: SecLlamaError): void {
    const { used } = this.gpu;
    if (used === "none") return; // two runners failed at once
    this.gpu.fail(message);
    this.#options.logger.warn("gpu-failed", { gpu: label(used), code: label(code) });
  }

  async #start(
    resolved: ResolvedModel,
    { adapters, projector, ...defaults }: Defaults,
    { contextLength, wantedContext, cacheCells, needBytes, retyped, gpu }: ModelSize & { gpu: Gpu },
  ): Promise<LoadedModel> {
    const { config, keys, models, sandbox, logger, version } = this.#options;
    const adapterPaths: string[] = [];
    for (const digest of adapters) adapterPaths.push((await models.verify(digest)).path);
    const projectorPath = projector && (await models.verify(projector)).path;
    const spawn = await prepareSpawn(sandbox, resolved.blobPath, {
      adapterPaths,
      projectorPath,
      gpu,
    });
    if (projectorPath && !spawn.vision) {
      logger.warn("no-vision", { model: label(resolved.name) });
    }
    let model: LoadedModel | undefined;
    let recipients: readonly string[] = [];
    let loadMs = 0;
    const rn = crypto.getRandomValues(new Uint8Array(32));
    try {
      const runner = await RunnerProcess.start({
        start: spawn.start,
        boot: {
          t: "boot",
          model: resolved.name,
          modelPath: spawn.modelPath,
          adapterPaths: spawn.adapterPaths,
          vision: spawn.vision,
          retyped,
          defaults,
          libDir: spawn.libDir,
          encryption: config.enableEncryption,
          hid: toHex(keys.hid),
          rn: toHex(rn),
          engine: {
            contextLength,
            cacheCells,
            slots: config.parallel,
            // One core is left to the gateway and the clients: threads that wait for each other suffer most from company.
            threads: config.threads || Math.max(1, navigator.hardwareConcurrency - 1),
            // The gateway keeps the queue's limit. In the runner a request that is about to take a free slot still counts as
            // waiting, so its own limit must not be the tighter one.
            queueLimit: config.parallel + config.maxQueue,
            gpu: gpu !== "none",
          },
          lockdown: sandbox.mode.sandbox,
          stage2More: spawn.stage2More,
          targets: spawn.targets,
          version,
        },
        prove: (pid, ready) => {
          loadMs = ready.loadMs;
          if (projector && spawn.vision && !ready.sees) this.#projectorRefused(projector, resolved);
          return spawn.prove(pid, ready);
        },
        rn,
        onRecipients: (ids) => {
          // Each was made in its runner's memory: one that another announces was given away, to draw requests off.
          const others = this.loaded().filter((other) => other !== model);
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
            early && client?.startsWith("client.") && !this.mayStop(client)
              ? config.keepAliveMs
              : ms,
          );
        },
        onDead: (error) => {
          if (!model) return;
          if (this.#loaded.get(resolved.name) === model) {
            this.#loaded.delete(resolved.name);
            if (gpu !== "none") this.#gpuFailed(error);
          }
          void this.#end(model);
        },
        timeoutMs: config.loadTimeoutMs,
        silenceMs: config.runnerTimeoutMs,
        logger,
      });
      if (this.#stopped || runner.state !== "ready") {
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
        onExpired: () => void this.#expire(model!),
        onIdle: () => this.#idle(model!),
      });
      model.recipients = recipients;
      this.#loaded.set(resolved.name, model);
      logger.info("model-loaded", {
        model: label(resolved.name),
        isolation: label(model.isolation.level),
        loadMs: Math.round(loadMs),
      });
      return model;
    } finally {
      spawn.close();
    }
  }

  async #expire(model: LoadedModel): Promise<void> {
    if (this.#loaded.get(model.name) === model) this.#loaded.delete(model.name);
    await this.#end(model);
  }

  #idle(model: LoadedModel): void {
    if (this.#leaving.has(model)) void this.#end(model);
    else this.#admission.changed();
  }
}

function bytesOf(occupants: readonly Occupant[]): number {
  return occupants.reduce((sum, { needBytes }) => sum + needBytes, 0);
}

function shuttingDown(): SecLlamaError {
  return new SecLlamaError("busy", "the server is shutting down");
}

/** @throws {SecLlamaError} `bad-model` if what the Modelfile says does not fit the boot message. */
function checkSize(defaults: Defaults): void {
  const sizeBytes = utf8(JSON.stringify(defaults)).length;
  if (sizeBytes <= MAX_DEFAULTS_BYTES) return;
  throw new SecLlamaError(
    "bad-model",
    `template, system message, messages and parameters of the model have ${sizeBytes} bytes ` +
      `together, must have at most ${MAX_DEFAULTS_BYTES}`,
    { hint: "make the model again with a shorter Modelfile" },
  );
}

function modelLabels({ name, digest }: ResolvedModel): LogFields {
  return { model: label(name), digest: label(digest) };
}
