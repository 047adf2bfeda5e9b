/**
 * The audit log's lines to an OpenTelemetry collector: OTLP 1.x over HTTP, in its JSON encoding, one log record a line. Whatever the
 * collector answers beyond its status is not read.
 */
import { JSON_TYPE } from "../api/media_types.ts";
import { VERSION } from "../version.ts";
import { parseLine } from "./line.ts";
import { POLL_MS, SinkClock, type SinkLine, SinkPosition } from "./sink.ts";

/** Lines of one request. */
const BATCH = 200;
/** A collector that does not answer in this time, ms, is away. */
const TIMEOUT_MS = 10_000;
/** OpenTelemetry's INFO. */
const SEVERITY = 9;

/** Where to, and as whom. */
interface OtlpOptions {
  readonly dataDir: string;
  /** What this host is called there. */
  readonly host: string;
  /** `https://collector:4318/v1/logs`, or http on loopback. */
  readonly url: string;
  /** Authorities that are trusted besides those that the runtime brings, PEM. */
  readonly caCerts?: readonly string[];
  /** Told when the collector does not take them, once until it does. */
  readonly onAway: (error: unknown) => void;
  /** By default {@link TIMEOUT_MS}. */
  readonly timeoutMs?: number;
  /** As {@link SinkClock} has it. */
  readonly firstWaitMs?: number;
}

/** Sends until it is closed. */
export class OtlpSink {
  readonly #o: OtlpOptions;
  readonly #position: SinkPosition;
  readonly #clock: SinkClock;
  readonly #end = new AbortController();
  readonly #client: Deno.HttpClient;
  readonly #running: Promise<void>;

  /** Begins at once, where the last one stopped. */
  constructor(options: OtlpOptions) {
    this.#o = options;
    this.#client = Deno.createHttpClient({ caCerts: [...options.caCerts ?? []] });
    this.#clock = new SinkClock(options.firstWaitMs);
    this.#position = new SinkPosition(options.dataDir, "audit-otlp.json", BATCH);
    this.#running = this.#clock.run((onSent) => this.#send(onSent), options.onAway);
  }

  /** In metrics. */
  readonly name = "otlp";

  /** The number of the first line that was not sent; what an earlier process sent counts once this one has looked. */
  get next(): number {
    return this.#position.next;
  }

  /** There are new lines. */
  wake(): void {
    this.#clock.wake();
  }

  /** Sends what there is, if that can be done in so many ms, and ends. */
  async close(ms = 2_000): Promise<void> {
    this.#clock.close(ms);
    // Its other timers keep no process alive.
    const timer = setTimeout(() => this.#end.abort(), ms);
    await this.#running;
    clearTimeout(timer);
    this.#client.close();
  }

  async #send(onSent: () => void): Promise<void> {
    for (let sent = await this.#position.read();;) {
      const lines = this.#position.after(sent);
      if (lines.length > 0) {
        await this.#post(JSON.stringify(exportRequest(lines, this.#o.host)));
        sent = lines.at(-1)!.n + 1;
        await this.#position.keep(sent);
        onSent();
        continue;
      }
      if (this.#clock.closing) return;
      await this.#clock.sleep(POLL_MS);
    }
  }

  /** @throws If the collector did not take it. */
  async #post(body: string): Promise<void> {
    const { url, timeoutMs = TIMEOUT_MS } = this.#o;
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    Deno.unrefTimer(timer);
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: { "content-type": JSON_TYPE },
        body,
        client: this.#client,
        // It was told where they go.
        redirect: "manual",
        signal: AbortSignal.any([this.#end.signal, controller.signal]),
      });
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`the collector answered ${answer.status}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** `ExportLogsServiceRequest` of opentelemetry-proto: 64-bit numbers are texts. */
function exportRequest(lines: readonly SinkLine[], host: string) {
  return {
    resourceLogs: [{
      resource: {
        attributes: Object.entries({
          "service.name": "secllama",
          "service.version": VERSION,
          "service.instance.id": host,
        }).map(attribute),
      },
      scopeLogs: [{ scope: { name: "secllama.audit" }, logRecords: lines.map(logRecord) }],
    }],
  };
}

function logRecord({ text }: SinkLine) {
  const { n, t, event, ...fields } = parseLine(text) ?? { n: 0, t: 0, event: "unknown" };
  return {
    timeUnixNano: `${Math.round(t)}000000`,
    severityNumber: SEVERITY,
    severityText: "INFO",
    eventName: `secllama.${event}`,
    // As the log has it: its hash is the tree's leaf.
    body: { stringValue: text },
    attributes: [["log.record.uid", String(n)] as const, ...Object.entries(fields)].map(attribute),
  };
}

function attribute([key, value]: readonly [string, string | number | boolean]) {
  if (typeof value === "boolean") return { key, value: { boolValue: value } };
  if (typeof value === "string") return { key, value: { stringValue: value } };
  return Number.isSafeInteger(value)
    ? { key, value: { intValue: String(value) } }
    : { key, value: { doubleValue: value } };
}
