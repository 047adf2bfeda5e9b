/** Whether `serve` answers requests: what `/readyz` says, on the metrics' port with the reasons, on the gateway's without. */
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import type { KeySource } from "../keys/mod.ts";
import type { ModelStore } from "../models/store.ts";
import type { ServeAudit } from "./audit.ts";
import type { ServeLimits } from "./limits.ts";

/** What a request needs. */
interface Needed {
  readonly models: Pick<ModelStore, "list" | "resolve" | "approve">;
  readonly keys: Pick<KeySource, "changes">;
  readonly audit: Pick<ServeAudit, "admit"> | undefined;
  /** Who may come, and what is counted of them. */
  readonly limits: Pick<ServeLimits, "checkClients" | "checkCounts">;
  /** Of a host of a fleet. */
  readonly fleet: { readonly isFresh: boolean } | undefined;
}

/** `look`, once for all who ask while it is under way: strangers may, and it reads folders. */
export function shared<T>(look: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return () => underWay ??= look().finally(() => underWay = undefined);
}

/**
 * That a model can be asked for: one that is whole, and that the policy lets be loaded. Whether there is memory for it is not asked.
 * @throws {SecLlamaError} Why the newest one cannot be; `model-not-found` where there is none.
 */
async function someModel(models: Needed["models"]): Promise<void> {
  let why: unknown;
  for (const { name, problem } of await models.list()) {
    try {
      if (problem !== undefined) throw problem;
      return await models.approve(await models.resolve(name));
    } catch (error) {
      why ??= error;
    }
  }
  throw why ?? new SecLlamaError("model-not-found", "there is no model here");
}

/** Why a request would not be answered now, one word each; none: it would. */
export async function notReady({ models, keys, audit, limits, fleet }: Needed): Promise<string[]> {
  const checks: [string, () => unknown][] = [
    ["models", () => someModel(models)],
    ["keys", () => keys.changes()],
    ["clients", () => limits.checkClients()],
    ["limits", () => limits.checkCounts()],
    ["audit", () => audit?.admit()],
    ["fleet", () => {
      if (fleet?.isFresh === false) throw new SecLlamaError("fleet-silent", "the file is too old");
    }],
  ];
  const found = await Promise.all(checks.map(async ([name, check]) => {
    try {
      await check();
      return [];
    } catch (error) {
      return [`${name}: ${toSecLlamaError(error).code}`];
    }
  }));
  return found.flat();
}
