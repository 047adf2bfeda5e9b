/** Which model a name means, and whether the policy lets it be asked. */
import { toSecLlamaError } from "../errors.ts";
import { label, type LogFields } from "../log.ts";
import type { ResolvedModel } from "../models/store.ts";
import type { ModelStarterOptions } from "./start_model.ts";

/** Refusals of one model by the policy are one line in so many ms. */
const REFUSED_MS = 60_000;

interface ApprovedModelsOptions extends Pick<ModelStarterOptions, "models" | "sandbox"> {
  /** Is told what belongs into a record. */
  readonly onRefused: (fields: LogFields) => void;
}

export class ApprovedModels {
  readonly #options: ApprovedModelsOptions;
  /** By name, when a model that is not approved was recorded. There are no more than models. */
  readonly #refused = new Map<string, number>();

  constructor(options: ApprovedModelsOptions) {
    this.#options = options;
  }

  /** The demo model may be one of a compiled program's unpacked files: those may be gone, and can be made again. */
  async resolve(name: string): Promise<ResolvedModel> {
    const { models, sandbox } = this.#options;
    try {
      return await models.resolve(name);
    } catch (error) {
      if (toSecLlamaError(error).code !== "model-store-unreadable") throw error;
      await sandbox.files.check();
      return await models.resolve(name);
    }
  }

  /** Whether a loaded model may still be asked. */
  async isApproved(name: string): Promise<boolean> {
    if (!this.#options.models.hasPolicy) return true;
    try {
      await this.approve(await this.resolve(name));
      return true;
    } catch {
      return false; // whoever asks for its key anew is told why
    }
  }

  /**
   * For each request: a policy that changes holds at once. Of one model its refusal is one line in a minute.
   * @throws {SecLlamaError} `model-not-approved`.
   */
  async approve(model: ResolvedModel): Promise<void> {
    try {
      await this.#options.models.approve(model);
    } catch (error) {
      const now = Date.now();
      if (now - (this.#refused.get(model.name) ?? 0) >= REFUSED_MS) {
        this.#refused.set(model.name, now);
        this.#options.onRefused({
          ...modelLabels(model),
          code: label(toSecLlamaError(error).code),
        });
      }
      throw error;
    }
  }
}

/** A model, in a line of the record. */
export function modelLabels({ name, digest }: ResolvedModel): LogFields {
  return { model: label(name), digest: label(digest) };
}
