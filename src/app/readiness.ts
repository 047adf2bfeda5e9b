/** Whether `serve` answers requests: what `/readyz` says, on the metrics' port with the reasons, on the gateway's without. */
import { toSecLlamaError } from "../errors.ts";
import type { KeySource } from "../keys/mod.ts";
import type { ModelStore } from "../models/store.ts";
import type { ServeAudit } from "./audit.ts";

/** What a request needs. */
interface Needed {
  readonly models: Pick<ModelStore, "list">;
  readonly keys: Pick<KeySource, "changes">;
  readonly audit: Pick<ServeAudit, "admit"> | undefined;
}

/** Why a request would not be answered now, one word each; none: it would. */
export async function notReady({ models, keys, audit }: Needed): Promise<string[]> {
  const checks: [string, () => unknown][] = [
    ["models", () => models.list()],
    ["keys", () => keys.changes()],
    ["audit", () => audit?.admit()],
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
