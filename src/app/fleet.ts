/** The fleet's part of `serve`, where the settings name a file of its issuer. */
import type { Config } from "../config/config.ts";
import { FleetMember } from "../fleet/host.ts";
import { FleetState } from "../fleet/state.ts";
import { type KeySource, ManifestFile } from "../keys/mod.ts";
import { label, type Logger } from "../log.ts";

/**
 * Opens it, and takes the file up.
 * @throws {SecLlamaError} `key-refused` if this machine is no host of a fleet, or the file is refused.
 */
export async function openFleet(
  config: Pick<Config, "fleet">,
  dataDir: string,
  keys: KeySource,
  logger: Logger,
): Promise<FleetMember | undefined> {
  if (config.fleet === "") return undefined;
  const state = new FleetState(new ManifestFile(dataDir), keys.storage());
  const member = new FleetMember(state, keys, {
    path: config.fleet,
    onRefused: ({ code }) => logger.error("fleet-file-refused", { code: label(code) }),
  });
  await member.read();
  return member;
}
