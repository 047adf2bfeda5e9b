/** The audit log of the context's data folder, to be read. */
import { AuditDatabase } from "../../audit/mod.ts";
import { SecLlamaError } from "../../errors.ts";
import type { CommandContext } from "../command.ts";
import { readSettings } from "../settings.ts";

/** @throws {SecLlamaError} `bad-config`; `not-found` if there is none, `audit-failed`, `audit-broken`. */
export async function openForReading(
  context: Pick<CommandContext, "env" | "values">,
): Promise<AuditDatabase> {
  const { dataDir } = await readSettings(context);
  const db = AuditDatabase.read(dataDir);
  if (db !== undefined) return db;
  throw new SecLlamaError("not-found", `there is no audit log in ${dataDir}`, {
    hint: 'to keep one: SECLLAMA_AUDIT=on, or audit = "on" in config.toml',
  });
}
