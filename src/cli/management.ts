/** Model management for the gateway, where the operator turned it on: the one way by which the gateway may fetch anything. */
import type { Config } from "../config/config.ts";
import type { ModelManagement } from "../gateway/management.ts";
import { isOwnConnection } from "../gateway/own_user.ts";
import type { ModelStore } from "../models/store.ts";
import { pullLine, throttled } from "../pull/progress.ts";
import { pullModel } from "../pull/pull.ts";
import { SYSTEM_NETWORK } from "../pull/transport.ts";
import { ownCertificates, refuseOffline } from "./models/pull.ts";

/** @throws {SecLlamaError} `bad-config` if a file that the settings name cannot be read. */
export async function openManagement(
  config: Config,
  models: ModelStore,
): Promise<ModelManagement> {
  const network = { ...SYSTEM_NETWORK, ...await ownCertificates(config.registryCa) };
  const policy = { registries: config.registries, blobHosts: config.registryBlobHosts };
  return {
    maxBytes: config.maxModelBytes,
    isOwn: isOwnConnection,
    async pull(reference, { signal, onLine }) {
      refuseOffline(config.offline);
      return await pullModel(models, reference, {
        policy,
        network,
        maxBytes: config.maxModelBytes,
        signal,
        onEvent: throttled((event) => onLine(pullLine(event))),
      });
    },
  };
}
