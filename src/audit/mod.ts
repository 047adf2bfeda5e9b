/** The audit log's public face: who writes it, who checks it, and what leaves the host. */
export { type Cbor, Tagged } from "./cbor.ts";
export { type CoseStatement, PublicKey, readCose, signCose, SigningKey } from "./cose.ts";
export { type Consistency, isConsistent } from "./consistency.ts";
export {
  AUDIT_FILE,
  AuditDatabase,
  type StoredEpoch,
  type StoredHead,
  type StoredLine,
} from "./database.ts";
export { checkProof, exportLines, type InclusionProof, proveLine, readExport } from "./export.ts";
export {
  AUDIT_EVENTS,
  type AuditEntry,
  type AuditEvent,
  type AuditLine,
  parseLine,
} from "./line.ts";
export { AuditLog, type HeadSince } from "./log.ts";
export { AuditNote, type Seen } from "./note.ts";
export { checkReceipt, type Claims, type ReceiptVerdict } from "./receipt.ts";
export { type HeadNames, headNames } from "./head.ts";
export { forgetBefore, olderThan } from "./retention.ts";
export { AuditSigner } from "./signer.ts";
export type { LineBytes } from "./rows.ts";
export {
  type AuditSourceFile,
  type Problem,
  type Verdict,
  verifyLog,
  type VerifyOptions,
} from "./verify.ts";
export { OtlpSink } from "./otlp.ts";
export { SyslogSink } from "./syslog.ts";
export type { AuditLogOptions } from "./writer.ts";
