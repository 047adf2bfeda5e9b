/** What SQLite and the system say of the audit log, as errors with a way on. */
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";

/** What SQLite says → what it means; its codes are not always passed on. */
const BUSY = /locked|busy/;
const CAUSES: readonly (readonly [RegExp, string, "audit-failed" | "audit-broken"])[] = [
  [BUSY, "another process holds it", "audit-failed"],
  [/readonly/, "it is read-only", "audit-failed"],
  [/full/, "the disk is full", "audit-failed"],
  [/unable to open/, "it cannot be opened", "audit-failed"],
  [/malformed|not a database|no such (table|column)/, "it is damaged", "audit-broken"],
];

/** What SQLite and the system say becomes an error with a way on. A fault of ours stays one. */
export function failing<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    if (cause instanceof SecLlamaError || !(cause instanceof Error)) throw cause;
    const { code: said } = cause as { code?: unknown };
    // A number that no program of ours writes, and that JavaScript does not have.
    if (said === "ERR_OUT_OF_RANGE") throw damaged(path);
    const isSqlite = said === "ERR_SQLITE_ERROR";
    const isSystem = Object.values(Deno.errors).some((kind) => cause instanceof kind);
    if (!isSqlite && !isSystem) throw cause;
    const [, why, code] = CAUSES.find(([words]) => isSqlite && words.test(cause.message)) ??
      [null, isSystem ? `the system says ${cause.name}` : "it failed", "audit-failed" as const];
    throw new SecLlamaError(code, `the audit log ${path} cannot be used: ${why}`, {
      hint: code === "audit-failed"
        ? "make room, or give this user the right to write there, and try again"
        : HINTS.auditFromCopy,
      cause,
    });
  }
}

/** Whether an error of {@link failing} says that another process has the lock: it may end. */
export function isBusy(error: unknown): boolean {
  return error instanceof SecLlamaError && error.cause instanceof Error &&
    BUSY.test(error.cause.message);
}

/** Whether an error of {@link failing} says that SQLite, and not this program, found the file to be damaged. */
export function isDamage(error: unknown): boolean {
  return error instanceof SecLlamaError && error.code === "audit-broken" &&
    error.cause instanceof Error;
}

/** A reader of another process keeps what was taken away in the file. */
export function stillRead(path: string): SecLlamaError {
  return new SecLlamaError(
    "audit-failed",
    `what was taken from ${path} is still in the file beside it: another process reads there`,
    { hint: "run the command again when that has ended" },
  );
}

/** What was read is nothing that this program writes. */
export function damaged(path: string): SecLlamaError {
  return new SecLlamaError("audit-broken", `the audit log ${path} is damaged`, {
    hint: HINTS.auditFromCopy,
  });
}

/** The file was there when this process opened it. */
export function notThere(path: string): SecLlamaError {
  return new SecLlamaError("audit-failed", `the audit log ${path} was moved away or removed`, {
    hint: HINTS.auditBack,
  });
}

/** The file is not the one that this process opened, nor a copy of it. */
export function anotherLog(path: string): SecLlamaError {
  return new SecLlamaError("audit-broken", `${path} is another audit log than the one before`, {
    hint: HINTS.auditBack,
  });
}

/** A log of another version of this program. */
export function otherVersion(path: string, version: number, own: number): SecLlamaError {
  return new SecLlamaError(
    "audit-broken",
    `${path} is an audit log of version ${version}; this program reads and writes version ${own}`,
    { hint: `check it with the program that wrote it; ${HINTS.auditAside}` },
  );
}

/** A file that this version did not make. */
export function notOurs(path: string): SecLlamaError {
  return new SecLlamaError("audit-broken", `${path} is no audit log that this version knows`, {
    hint: HINTS.auditAside,
  });
}
