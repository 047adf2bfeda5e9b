/** The audit log's keys, made of a master key and zeroed together. */
import type { Bytes } from "../bytes.ts";
import { wipe } from "../secret.ts";
import { deriveAuditKeys } from "./derive.ts";
import type { AuditKeys } from "./key_source.ts";

/** Those of the master key `masterKey`, which stays the caller's to wipe. */
export async function auditKeysFrom(kid: string, masterKey: Bytes): Promise<AuditKeys> {
  const { seed, line } = await deriveAuditKeys(masterKey);
  return { kid, seed, line, [Symbol.dispose]: () => wipe(seed, line) };
}
