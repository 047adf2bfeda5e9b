/**
 * The audit log's lines to a syslog server as well: RFC 5424, each with its length before it (RFC 6587 section 3.4.1), over TLS
 * (RFC 5425) or to a server of this machine.
 */
import { utf8 } from "../bytes.ts";
import { parseLine } from "./line.ts";
import { POLL_MS, SinkClock, SinkPosition } from "./sink.ts";

/** Facility 13, log audit; severity 6, informational. */
const PRIORITY = 13 * 8 + 6;
/** Lines that are written at once. */
const BATCH = 200;
/** A connection that a server closes shows it within this time, ms: until then what was written counts as not sent. */
const SETTLED_MS = 1_000;
/** A server that takes no connection, or no bytes, in this time, ms, is away. */
const TIMEOUT_MS = 10_000;
/** How far it came, in the data folder. */
const POSITION_FILE = "audit-syslog.json";

/** Where it goes. */
interface SyslogTarget {
  /** Over TLS, or in the clear, which is for loopback. */
  readonly tls: boolean;
  readonly hostname: string;
  readonly port: number;
}

interface SyslogOptions {
  readonly dataDir: string;
  /** What this host is called there. */
  readonly host: string;
  readonly target: SyslogTarget;
  /** Authorities that are trusted besides those that the runtime brings, PEM. */
  readonly caCerts?: readonly string[];
  /** Told when the server cannot be reached, once until it can. */
  readonly onAway: (error: unknown) => void;
  /** By default {@link TIMEOUT_MS}. */
  readonly timeoutMs?: number;
  /** As {@link SinkClock} has it. */
  readonly firstWaitMs?: number;
}

/** Sends until it is closed. */
export class SyslogSink {
  readonly #o: SyslogOptions;
  readonly #position: SinkPosition;
  readonly #clock: SinkClock;
  readonly #running: Promise<void>;

  /** Begins at once, where the last one stopped. */
  constructor(options: SyslogOptions) {
    this.#o = options;
    this.#clock = new SinkClock(options.firstWaitMs);
    this.#position = new SinkPosition(options.dataDir, POSITION_FILE, BATCH);
    this.#running = this.#clock.run((onSent) => this.#connected(onSent), options.onAway);
  }

  /** In metrics. */
  readonly name = "syslog";

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
    const hold = setTimeout(() => {}, ms + SETTLED_MS + POLL_MS);
    await this.#running;
    clearTimeout(hold);
  }

  /** One connection. Returns when it is closed from here, throws when it is from there. */
  async #connected(onSent: () => void): Promise<void> {
    let sent = await this.#position.read();
    const { target: { tls, hostname, port }, host, timeoutMs = TIMEOUT_MS } = this.#o;
    const tcp = await within(timeoutMs, Deno.connect({ hostname, port }), (late) => late.close());
    // The handshake comes with the first write.
    const caCerts = [...this.#o.caCerts ?? []];
    using conn = tls ? await Deno.startTls(tcp, { hostname, caCerts }) : tcp;
    let broken: unknown;
    const watching = (async () => {
      try {
        // A server says nothing; the end of the connection is what is waited for.
        const nothing = new Uint8Array(256);
        while (await conn.read(nothing) !== null);
        throw new Error("the server closed the connection");
      } catch (error) {
        broken ??= error;
        this.wake();
      }
    })();
    void watching;
    for (;;) {
      const lines = this.#position.after(sent);
      if (lines.length > 0) {
        const text = lines.map(({ text }) => frame(text, host)).join("");
        // One that reads nothing fills what lies between, and then holds the writer.
        await within(timeoutMs, writeAll(conn, utf8(text)));
        await this.#clock.sleep(SETTLED_MS, true);
        if (broken !== undefined) throw broken;
        sent = lines.at(-1)!.n + 1;
        await this.#position.keep(sent);
        onSent();
        continue;
      }
      if (this.#clock.closing) return;
      await this.#clock.sleep(POLL_MS);
      if (broken !== undefined) throw broken;
    }
  }
}

/** `LENGTH SP <PRI>1 TIME HOST APP PROCID MSGID SD MSG`; the message is the line as the log has it. */
function frame(text: string, host: string): string {
  const line = parseLine(text);
  const time = new Date(line?.t ?? 0).toISOString();
  const event = line?.event.replaceAll(/[^\x21-\x7e]/g, "").slice(0, 32) || "-";
  const message = `<${PRIORITY}>1 ${time} ${host} secllama - ${event} - ${text}`;
  return `${utf8(message).length} ${message}`;
}

/** What comes in so many ms. @throws {Error} If it does not; `late` is called with what comes then. */
async function within<T>(
  ms: number,
  coming: Promise<T>,
  late: (value: T) => void = () => {},
): Promise<T> {
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(() => over.reject(new Error("the server does not answer")), ms);
  Deno.unrefTimer(timer);
  try {
    return await Promise.race([coming, over.promise]);
  } catch (error) {
    coming.then(late, () => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}
