/**
 * Which models are loaded, by which runners, with which keys. Loads on demand (once, however many ask), replaces a dead
 * runner at the next request, unloads the idle, and passes key changes on. Does not see a request's content.
 */
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import type { KeyFacts } from "../keys/mod.ts";
import { label, type LogFields } from "../log.ts";
import { joinsMessages } from "../models/capabilities.ts";
import type { ResolvedModel } from "../models/store.ts";
import { Admission, type Occupant } from "./admission.ts";
import { ApprovedModels, modelLabels } from "./approved_models.ts";
import type { GpuChoice } from "./gpu.ts";
import { type FedKeys, KeyFeed } from "./key_feed.ts";
import { BUSY_TEXT } from "../api/texts.ts";
import { Pot } from "../shares.ts";
import { loadSize } from "./load_size.ts";
import { type LoadStand, LoadStands } from "./load_stands.ts";
import { LoadedModel } from "./loaded_model.ts";
import { type MachineMemory, memoryBudget, readMachineMemory } from "./memory.ts";
import { type ModelOwner, ModelStarter, type ModelStarterOptions } from "./start_model.ts";

export { LoadedModel };

export interface SupervisorOptions extends ModelStarterOptions {
  readonly keys: FedKeys & Pick<KeyFacts, "hid">;
  /** Is told what belongs into a record. */
  readonly audit?:
    | ((event: "model-loaded" | "isolation-failed" | "model-refused", fields: LogFields) => void)
    | undefined;
  /** Is told how far the check of a model's file has come, which is most of a large one's load. */
  readonly onChecked?:
    | ((name: string, doneBytes: number, totalBytes: number) => void)
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
  /** Clients that wait for its end only: they want more context. */
  readonly watchers: string[];
  /** Tokens of context that were asked for; 0: none. */
  readonly wanted: number;
  /** Those who wait until it is loaded. */
  readonly waiting: Pot;
}

/** Who asks for a model, and what for. */
interface Asker {
  /** Whose share it is; the model stays until this client's request comes, if it comes soon. Absent: nobody in particular. */
  readonly client?: string;
  /** Tokens of context that it would have; absent: as many as the model has by default. */
  readonly contextLength?: number | undefined;
}

export class Supervisor {
  /** Who may come, and their keys on their way to the runners. */
  readonly keys: KeyFeed;
  readonly #options: SupervisorOptions;
  readonly #loaded = new Map<string, LoadedModel>();
  /** Take no more requests, and go when what they work on is done. */
  readonly #leaving = new Set<LoadedModel>();
  readonly #loading = new Map<string, Loading>();
  readonly #admission: Admission;
  /** Bytes that all models together may take, of which so many are taken. */
  readonly #budget: (takenBytes: number) => number;
  readonly #starter: ModelStarter;
  readonly #stands = new LoadStands();
  readonly #approved: ApprovedModels;
  #stopped = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { config } = options;
    const memory = options.memory ?? readMachineMemory;
    this.#budget = (takenBytes) =>
      memoryBudget(memory(), { limitBytes: config.maxMemoryBytes, takenBytes });
    this.#approved = new ApprovedModels({
      models: options.models,
      sandbox: options.sandbox,
      onRefused: (fields) => options.audit?.("model-refused", fields),
    });
    this.keys = new KeyFeed({
      keys: options.keys,
      receivers: () => this.loaded().map(({ runner }) => runner),
      logger: options.logger,
    });
    const onLoading: SupervisorOptions["onLoading"] = (name, done, total) => {
      this.#stands.to(name, "loading", done);
      options.onLoading?.(name, done, total);
    };
    this.#starter = new ModelStarter({ ...options, onLoading }, this.#owner());
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

  /** Loads that wait for room, or for another. */
  get waiting(): number {
    return this.#admission.waiting;
  }

  loaded(): readonly LoadedModel[] {
    return [...this.#loaded.values(), ...this.#leaving];
  }

  /** How far the models have come that this client waits for. Of another's loads it learns nothing. */
  awaited(client: string): LoadStand[] {
    return [...this.#loading].flatMap(([name, { clients, watchers }]) => {
      const waits = clients.includes(client) || watchers.includes(client);
      return (waits ? this.#stands.get(name) : undefined) ?? [];
    });
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
      const current = await this.#options.models.isCurrent(name, model.manifestDigest) &&
        await this.#approved.isApproved(name);
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
    const resolved = await this.#approved.resolve(name);
    await this.#approved.approve(resolved);
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
      this.#stands.begin(resolved.name, resolved.manifestDigest, resolved.sizeBytes);
      const done = this.#load(resolved, { clients, client, wanted }).finally(() => {
        this.#loading.delete(resolved.name);
        this.#stands.end(resolved.name);
      });
      const waiting = new Pot({ limit: config.parallel + config.maxQueue, floor: config.parallel });
      loading = { done, clients, watchers: [], wanted, waiting };
      this.#loading.set(resolved.name, loading);
    }
    if (!loading.waiting.take(client ?? "", 1)) throw new SecLlamaError("busy", BUSY_TEXT);
    if (loading.wanted < wanted) {
      if (client !== undefined) loading.watchers.push(client);
      await loading.done;
      return await this.acquire(name, asker);
    }
    if (client !== undefined) loading.clients.push(client);
    return { model: await loading.done, waitedMs: performance.now() - started };
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
    this.keys.stop();
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

  /** See {@link loadSize}. */
  #size(resolved: ResolvedModel, wanted: number, client = "") {
    const { config, models, logger } = this.#options;
    const [occupants, budget] = [() => this.#occupants(), this.#budget];
    return loadSize(resolved, { config, models, logger, wanted, client, occupants, budget });
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
      await models.verify(resolved.digest, {
        onProgress: (done, total) => {
          this.#stands.to(resolved.name, "checking", done);
          this.#options.onChecked?.(resolved.name, done, total);
        },
      });
      this.#stands.to(resolved.name, "loading", 0);
      const embeds = !details.capabilities.includes("completion");
      const size = { ...sized, wantedContext: wanted, retyped: details.retyped, embeds };
      const startedMs = performance.now();
      const model = await this.#starter.start(resolved, defaults, size);
      if (joinsMessages(details, defaults.template)) {
        this.#options.logger.warn("no-chat-template", { model: label(resolved.name) });
      }
      // Before anything is awaited: the next load that waits for room must see it.
      for (const client of clients) model.promise(client);
      this.#options.audit?.("model-loaded", {
        ...modelLabels(resolved),
        isolation: label(model.isolation.level),
        load_ms: Math.round(performance.now() - startedMs),
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

  /** What the starter may say of models, and nobody else. */
  #owner(): ModelOwner {
    const taken = (model: LoadedModel) => {
      const took = this.#loaded.get(model.name) === model;
      if (took) this.#loaded.delete(model.name);
      return took;
    };
    const leave = (model: LoadedModel) => {
      const took = taken(model);
      void this.#end(model);
      return took;
    };
    return {
      loaded: () => this.loaded(),
      stopped: () => this.#stopped,
      mayStop: (id) => this.keys.may(id, "stop"),
      ready: (model) => void this.#loaded.set(model.name, model),
      died: leave,
      leaving: (model) => {
        model.retire();
        this.#leaving.add(model);
        return taken(model);
      },
      expired: leave,
      idle: (model) => {
        if (this.#leaving.has(model)) void this.#end(model);
        else this.#admission.changed();
      },
    };
  }
}

function shuttingDown(): SecLlamaError {
  return new SecLlamaError("busy", "the server is shutting down");
}
