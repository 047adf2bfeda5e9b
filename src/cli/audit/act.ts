/** Acts of administration with a line of the audit log for each, where the settings ask for a record. */
import { AuditLog } from "../../audit/mod.ts";
import type { AuditEntry } from "../../audit/mod.ts";
import { ensureDataDirectory } from "../../config/data_folder.ts";
import { profileOf, stateDirectory } from "../../config/paths.ts";
import { SecLlamaError, toSecLlamaError } from "../../errors.ts";
import { ensureHostId } from "../../keys/host_id.ts";
import type { KeyManager } from "../../keys/keyset/manager.ts";
import {
  type AuditSource,
  type ClientSource,
  type KeyFacts,
  openKeySource,
} from "../../keys/mod.ts";
import { label, type LogFields } from "../../log.ts";
import type { CommandContext, OptionTable } from "../command.ts";
import { KEY_OPTIONS, keySourceOptions } from "../key_options.ts";
import { readSettings } from "../settings.ts";

/** Options of commands that need a key for their line in the record only. */
export const RECORDING_OPTIONS: OptionTable = {
  "key-fd": KEY_OPTIONS["key-fd"]!,
  "key-file": KEY_OPTIONS["key-file"]!,
  "passphrase-fd": KEY_OPTIONS["passphrase-fd"]!,
};

/** Keys with which a line can be authenticated. */
type RecordingKeys = AuditSource & Pick<KeyFacts, "hid">;

/** Writes a line on what was done. */
export type RecordAct = (event: AuditEntry["event"], fields?: LogFields) => Promise<void>;

/**
 * Runs `act`. With `SECLLAMA_AUDIT=on` it does not begin where the log cannot be written.
 * @throws {SecLlamaError} What `act` throws; `audit-failed`, `audit-broken`.
 */
export async function recording<T>(
  context: CommandContext,
  keys: RecordingKeys,
  act: (record: RecordAct) => Promise<T>,
): Promise<T> {
  const { config, dataDir } = await readSettings(context);
  if (config.audit === "off") return await act(() => Promise.resolve());
  const lenient = config.audit === "lenient";
  const log = await openLog(context, { dataDir, keys, lenient });
  try {
    return await act(async (event, fields) => {
      try {
        await log?.record({
          event,
          fields: { ...fields, by: actor(), profile: actingProfile(context) },
        });
      } catch (error) {
        if (!lenient) throw notRecorded(error);
        context.tui.warn(`not recorded: ${toSecLlamaError(error).message}`);
      }
    });
  } finally {
    await log?.close().catch((error) => {
      if (!lenient) throw error;
    });
  }
}

/** As {@link recording}, for what needs no key otherwise; one is made where there is none. `act` gets those that are open then. */
export async function recordingAlone<T>(
  context: CommandContext,
  act: (record: RecordAct, keys?: ClientSource) => Promise<T>,
): Promise<T> {
  const { config, dataDir } = await readSettings(context);
  if (config.audit === "off") return await act(() => Promise.resolve());
  await ensureDataDirectory(dataDir);
  using keys = await openKeySource({ ...keySourceOptions(context, dataDir), autoInit: true });
  return await recording(context, keys, (record) => act(record, keys));
}

/** As {@link recording}, with the keys of a manager. */
export async function recordingWith<T>(
  context: CommandContext,
  manager: KeyManager,
  act: (record: RecordAct) => Promise<T>,
): Promise<T> {
  const { config } = await readSettings(context);
  if (config.audit === "off") return await act(() => Promise.resolve());
  const hid = await ensureHostId(manager.file, () => manager.clients().hostId());
  return await recording(context, { hid, auditKeys: (kid) => manager.auditKeys(kid) }, act);
}

async function openLog(
  context: CommandContext,
  { dataDir, keys, lenient }: { dataDir: string; keys: RecordingKeys; lenient: boolean },
): Promise<AuditLog | undefined> {
  try {
    const log = await AuditLog.open({
      dataDir,
      keys,
      hid: keys.hid,
      stateDir: stateDirectory(context.env),
    });
    if (log.anew !== undefined) context.tui.warn(log.anew);
    return log;
  } catch (error) {
    if (!lenient) throw error;
    context.tui.warn(`nothing is recorded: ${toSecLlamaError(error).message}`);
    return undefined;
  }
}

function notRecorded(error: unknown): SecLlamaError {
  const { code, message, hint } = toSecLlamaError(error);
  return new SecLlamaError(code, `it was done, and is not in the audit log: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}

/** The user of the system who acts. */
function actor() {
  return label(Deno.build.os === "windows" ? "user" : `uid:${Deno.uid()}`);
}

function actingProfile(context: CommandContext) {
  const profile = profileOf(context.env);
  return profile === "default" ? undefined : label(profile);
}
