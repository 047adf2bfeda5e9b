/** The keys for commands on clients and roles, with the record where one is kept. */
import { EXIT } from "../errors.ts";
import { type ClientSource, type KeySource, openKeySource, type RingSource } from "../keys/mod.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { type RecordAct, recording } from "./audit/act.ts";
import type { CommandContext } from "./command.ts";
import { keySourceOptions } from "./key_options.ts";
import { readSettings } from "./settings.ts";

/** As {@link withKeys}, for what belongs into the audit log. */
export function withRecord(
  context: CommandContext,
  run: (keys: ClientSource & RingSource, record: RecordAct) => Promise<void>,
): Promise<number> {
  return withKeys(
    context,
    (keys) => recording(context, keys, (record) => run(keys, record)),
  );
}

/** Runs `run` with the keys of the data folder; what it returns is the exit code. */
export async function withKeys(
  context: CommandContext,
  run: (keys: KeySource) => Promise<number | undefined | void>,
): Promise<number> {
  hardenSelf(); // before a key is in memory
  const { config, dataDir } = await readSettings(context);
  using keys = await openKeySource({
    ...keySourceOptions(context, dataDir),
    clientGraceMs: config.clientGraceMs,
  });
  return await run(keys) ?? EXIT.ok;
}
