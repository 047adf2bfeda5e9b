/** The audit log's public face: who writes it, who checks it, and what leaves the host. */
export { PublicKey } from "./cose.ts";
export { AUDIT_FILE, AuditDatabase } from "./database.ts";
export { checkProof, exportLines, proveLine, readExport } from "./export.ts";
export { type AuditEntry, type AuditEvent, type AuditLine, parseLine } from "./line.ts";
export { AuditLog, type AuditLogOptions } from "./log.ts";
export { AuditNote } from "./note.ts";
export { forgetBefore, olderThan } from "./retention.ts";
export { AuditSigner } from "./signer.ts";
export { type Problem, type Verdict, verifyLog } from "./verify.ts";
