/** The audit log of the context's data folder, to be read. */
import { AuditDatabase } from "../../audit/mod.ts";
import { dataDirectory } from "../../config/paths.ts";
import { SecLlamaError } from "../../errors.ts";
import type { CommandContext } from "../command.ts";

/** @throws {SecLlamaError} `not-found` if there is none, `audit-failed`, `audit-broken`. */
export function openForReading(context: Pick<CommandContext, "env">): Promise<AuditDatabase> {
  const dataDir = dataDirectory(context.env);
  const db = AuditDatabase.read(dataDir);
  if (db !== undefined) return Promise.resolve(db);
  return Promise.reject(
    new SecLlamaError("not-found", `there is no audit log in ${dataDir}`, {
      hint: 'to keep one: SECLLAMA_AUDIT=on, or audit = "on" in config.toml',
    }),
  );
}
