/** The audit log of `serve`: opened before anything listens, told of what weakens, and closed last. */
import { type AuditEntry, AuditLog, type HeadSince, OtlpSink, SyslogSink } from "../audit/mod.ts";
import { type Bytes, toHex } from "../bytes.ts";
import type { Config } from "../config/config.ts";
import { type ErrorCode, SecLlamaError, toSecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import type { GatewayAudit } from "../gateway/audit.ts";
import type { KeySource } from "../keys/mod.ts";
import { label, type LogFields, type Logger } from "../log.ts";
import { systemAuthorities } from "../tls/system_authorities.ts";
import { VERSION } from "../version.ts";
import { configured } from "./banner.ts";
import { judgeSettings } from "./findings.ts";

/** Refusals of one kind are one line in so many ms, with their number. */
const REFUSALS_MS = 60_000;
/** So many kinds are told apart; of more it is only said why. */
const MAX_REFUSALS = 1_000;

/** Those of one kind since the first. */
interface Refusals {
  readonly fields: LogFields;
  more: number;
}

/** What `serve` records. */
export interface ServeAudit extends GatewayAudit {
  /** As {@link GatewayAudit.record}, of what is no exchange. */
  note(event: AuditEntry["event"], fields?: LogFields): Promise<void>;
  /** The host's statement on the exchange of this receipt. @throws {SecLlamaError} As {@link AuditLog.receipt}. */
  receipt(id: string): Promise<Bytes>;
  /** As {@link AuditLog.headSince}. */
  headSince(before?: Uint8Array): HeadSince | undefined;
  /** How far the log is ahead of its signed heads and of its sinks. */
  lag(): AuditLag;
  /** Writes that it ends, and closes the log. */
  close(): Promise<void>;
}

/** Lines that wait. */
export interface AuditLag {
  /** Of the log. */
  readonly lines: number;
  /** Of these, those behind the last signed head. */
  readonly unsigned: number;
  /** Those that a sink has not sent; of one that knows it. */
  readonly sinks: readonly { readonly name: string; readonly waiting: number }[];
}

/** What it is opened with. */
interface ServeAuditOptions {
  readonly config: Config;
  readonly dataDir: string;
  readonly stateDir: string | undefined;
  readonly keys: KeySource;
  readonly logger: Logger;
  readonly onWarning: (line: string) => void;
}

/**
 * Undefined where no record is asked for.
 * @throws {SecLlamaError} With `SECLLAMA_AUDIT=on`: `audit-failed`, `audit-broken`, and `bad-config` for a key that dies with this
 * process, under which nobody could check the log later.
 */
export async function openServeAudit(options: ServeAuditOptions): Promise<ServeAudit | undefined> {
  const { config, keys, onWarning } = options;
  if (config.audit === "off") return undefined;
  const lenient = config.audit === "lenient";
  let log: AuditLog | undefined;
  try {
    if (keys.ephemeral) throw needsKey();
    log = await AuditLog.open({ ...options, hid: keys.hid, activeKid: () => keys.active.kid });
  } catch (error) {
    if (!lenient) throw error;
    onWarning(`nothing is recorded: ${toSecLlamaError(error).message}`);
    return undefined;
  }
  for (const line of [log.unnoted, log.anew]) if (line !== undefined) onWarning(line);
  const sends = config.auditSyslog !== null || config.auditOtlp !== "";
  const caCerts = sends ? await systemAuthorities() : [];
  const away = (name: "syslog" | "otlp", error: unknown) => {
    // Where it had come is in a file that a newer version wrote: nothing goes on by itself.
    if (error instanceof SecLlamaError) {
      onWarning(`nothing is sent to ${name}: ${error.message}; ${error.hint}`);
    }
    options.logger.warn(`${name}-away`, { error: label((error as Error)?.name ?? "") });
  };
  const syslog = config.auditSyslog === null ? undefined : new SyslogSink({
    dataDir: options.dataDir,
    host: hostName(keys),
    target: config.auditSyslog,
    caCerts,
    onAway: (error) => away("syslog", error),
  });
  const otlp = config.auditOtlp === "" ? undefined : new OtlpSink({
    dataDir: options.dataDir,
    host: hostName(keys),
    url: config.auditOtlp,
    caCerts,
    onAway: (error) => away("otlp", error),
  });
  const sinks = [syslog, otlp].filter((sink) => sink !== undefined);
  const audit = new Recorder(log, lenient, options.logger, sinks);
  try {
    await recordStart(audit, config, keys);
    return audit;
  } catch (error) {
    await audit.close();
    throw error;
  }
}

/** What this host is called at a sink: nothing that its owner chose. */
function hostName({ hid }: KeySource): string {
  return `secllama-${toHex(hid).slice(0, 8)}`;
}

async function recordStart(audit: ServeAudit, config: Config, keys: KeySource): Promise<void> {
  await audit.note("serve-started", { version: label(VERSION), kid: label(keys.active.kid) });
  for (const { name, result } of judgeSettings(configured(config))) {
    if (result === "holds") continue;
    await audit.note("weakened", { what: label(name.replaceAll(" ", "-")) });
  }
}

/** What gets the lines, too. */
type Sink = Pick<SyslogSink, "wake" | "close" | "next"> & { readonly name: string };

class Recorder implements ServeAudit {
  readonly #log: AuditLog;
  readonly #lenient: boolean;
  readonly #logger: Logger;
  /** By who and why; bounded, since only clients that exist are named. */
  readonly #refusals = new Map<string, Refusals>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  /** Lines that are still to come. */
  readonly #later = new Set<Promise<void>>();
  readonly #sinks: readonly Sink[];

  constructor(log: AuditLog, lenient: boolean, logger: Logger, sinks: readonly Sink[]) {
    this.#sinks = sinks;
    this.#log = log;
    this.#lenient = lenient;
    this.#logger = logger;
  }

  async admit(): Promise<void> {
    if (!this.#lenient) await this.#log.check();
  }

  async record(event: AuditEntry["event"], fields: LogFields): Promise<void> {
    try {
      await this.#log.record({ event, fields });
      for (const sink of this.#sinks) sink.wake();
    } catch (error) {
      this.#logger.error("audit-failed", { code: label(toSecLlamaError(error).code) });
      if (!this.#lenient) throw error;
    }
  }

  async note(event: AuditEntry["event"], fields: LogFields = {}): Promise<void> {
    await this.record(event, fields);
  }

  later(line: Promise<void>): void {
    this.#later.add(line);
    void line.finally(() => this.#later.delete(line));
  }

  refused(code: ErrorCode, who: LogFields = {}): void {
    const fields = { code: label(code), ...who };
    const key = JSON.stringify(fields);
    const seen = this.#refusals.get(key);
    if (seen !== undefined) return void seen.more++;
    if (this.#refusals.size >= MAX_REFUSALS && Object.keys(who).length > 0) {
      return this.refused(code);
    }
    this.#refusals.set(key, { fields, more: 0 });
    void this.record("client-refused", { ...fields, times: 1 }).catch(() => {});
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#tell(key);
    }, REFUSALS_MS);
    this.#timers.add(timer);
    Deno.unrefTimer(timer);
  }

  lag(): AuditLag {
    const { size: lines, unsigned } = this.#log;
    const sinks = this.#sinks.map(({ name, next }) => ({ name, waiting: lines - next }));
    return { lines, unsigned, sinks };
  }

  async receipt(id: string): Promise<Bytes> {
    return await this.#log.receipt(id);
  }

  headSince(before?: Uint8Array): HeadSince | undefined {
    return this.#log.headSince(before);
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const key of this.#refusals.keys()) this.#tell(key);
    await Promise.all(this.#later);
    await this.note("serve-stopped").catch(() => {});
    try {
      await this.#log.close();
    } finally {
      await Promise.all(this.#sinks.map((sink) => sink.close()));
    }
  }

  /** How many more there were since the line on the first. */
  #tell(key: string): void {
    const { fields, more } = this.#refusals.get(key)!;
    this.#refusals.delete(key);
    if (more > 0) void this.record("client-refused", { ...fields, times: more }).catch(() => {});
  }
}

function needsKey(): SecLlamaError {
  return new SecLlamaError("bad-config", "an audit log needs a key that outlives this process", {
    field: "SECLLAMA_AUDIT",
    hint: HINTS.otherKeySource,
  });
}
