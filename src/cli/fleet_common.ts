/** What the commands of `secllama fleet` share. */
import { ensureDataDirectory } from "../config/data_folder.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { FleetState } from "../fleet/state.ts";
import { type KeySource, ManifestFile, openLastingKeySource } from "../keys/mod.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import type { CommandContext } from "./command.ts";
import { keySourceOptions } from "./key_options.ts";
import { readSettings } from "./settings.ts";

/** Runs with this machine's keys and its part in a fleet. @throws {SecLlamaError} `key-refused` for a key in memory. */
export async function withFleet(
  context: CommandContext,
  run: (state: FleetState, keys: KeySource) => Promise<void>,
): Promise<number> {
  hardenSelf(); // before a key is in memory
  const { config, dataDir } = await readSettings(context);
  await ensureDataDirectory(dataDir);
  using keys = await openLastingKeySource({
    ...keySourceOptions(context, dataDir),
    clientGraceMs: config.clientGraceMs,
    autoInit: true,
  });
  if (keys.ephemeral) {
    throw new SecLlamaError("key-refused", "a key in memory has no fleet", {
      hint:
        "use a key store, or --key-file FILE (a file under a passphrase): see secllama help keys",
    });
  }
  await run(new FleetState(new ManifestFile(dataDir), keys.storage()), keys);
  return EXIT.ok;
}
