/**
 * What is derived from a master key: one HKDF-SHA256 (RFC 5869, empty salt) label for each use. The tree of pre-shared keys,
 * from the transport key on, is src/sealed/psk.ts.
 */
import type { Bytes } from "../bytes.ts";
import { hkdf } from "../sealed/suite.ts";
import { type Secret, secret } from "../secret.ts";

/** HKDF-SHA256 of `key` under `info`, `length` bytes. */
export function derive(key: Bytes, info: string, length: number): Promise<Bytes> {
  return Promise.resolve(hkdf(key, info, length));
}

/** The key that wraps short secrets; see keyset/wrap.ts. */
export function deriveStorage(masterKey: Bytes): Promise<Bytes> {
  return derive(masterKey, "secllama/storage/v1", 32);
}

/** The two keys of the audit log: an Ed25519 seed that signs its heads, and the key of its lines' tags, 32 bytes each. */
export async function deriveAuditKeys(masterKey: Bytes): Promise<{ seed: Secret; line: Secret }> {
  using audit = secret(await derive(masterKey, "secllama/audit/v1", 32));
  return {
    seed: secret(await derive(audit, "secllama/audit/sign/v1", 32)),
    line: secret(await derive(audit, "secllama/audit/line/v1", 32)),
  };
}

/** The key of the manifest's HMAC. */
export function deriveManifest(masterKey: Bytes): Promise<Bytes> {
  return derive(masterKey, "secllama/keyset/v1", 32);
}

/** The key of the HMAC over the list of paired clients. */
export function deriveClientList(masterKey: Bytes): Promise<Bytes> {
  return derive(masterKey, "secllama/clients/v1", 32);
}
