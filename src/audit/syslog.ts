/**
 * The audit log's lines to a syslog server as well: RFC 5424, each with its length before it (RFC 6587 section 3.4.1), over TLS
 * (RFC 5425) or to a server of this machine. It reads the log itself and remembers how far it came: while the server is away nothing is
 * lost, and after that some lines may come twice. Each has its number.
 */
import { join } from "node:path";
import { utf8, utf8Decode } from "../bytes.ts";
import { writeFileAtomically } from "../keys/mod.ts";
import { AuditDatabase } from "./database.ts";
import { parseLine } from "./line.ts";

/** Facility 13, log audit; severity 6, informational. */
const PRIORITY = 13 * 8 + 6;
/** Lines that are written at once. */
const BATCH = 200;
/** Lines of other processes are looked for so often, ms. */
const POLL_MS = 5_000;
/** A connection that a server closes shows it within this time, ms: until then what was written counts as not sent. */
const SETTLED_MS = 1_000;
const MAX_WAIT_MS = 60_000;
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
  /** Told when the server cannot be reached, once until it can. */
  readonly onAway: (error: unknown) => void;
}

/** Sends until it is closed. */
export class SyslogSink {
  readonly #o: SyslogOptions;
  readonly #running: Promise<void>;
  #wake = () => {};
  #closing = false;
  #closeBy = Infinity;

  /** Begins at once, where the last one stopped. */
  constructor(options: SyslogOptions) {
    this.#o = options;
    this.#running = this.#run();
  }

  /** There are new lines. */
  wake(): void {
    this.#wake();
  }

  /** Sends what there is, if that can be done in so many ms, and ends. */
  async close(ms = 2_000): Promise<void> {
    this.#closeBy = performance.now() + ms;
    this.#closing = true;
    this.wake();
    // Its other timers keep no process alive.
    const hold = setTimeout(() => {}, ms + SETTLED_MS + POLL_MS);
    await this.#running;
    clearTimeout(hold);
  }

  async #run(): Promise<void> {
    for (let failures = 0;;) {
      try {
        await this.#connected(() => failures = 0);
        return;
      } catch (error) {
        if (failures++ === 0) this.#o.onAway(error);
        if (this.#closing) return;
        await this.#sleep(Math.min(MAX_WAIT_MS, 500 * 2 ** Math.min(failures, 10)));
        if (this.#closing && performance.now() >= this.#closeBy) return;
      }
    }
  }

  /** One connection. Returns when it is closed from here, throws when it is from there. */
  async #connected(onSent: () => void): Promise<void> {
    let sent = await this.#position();
    const { target: { tls, hostname, port }, host } = this.#o;
    using conn = tls
      ? await Deno.connectTls({ hostname, port })
      : await Deno.connect({ hostname, port });
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
      const lines = [...this.#after(sent)];
      if (lines.length > 0) {
        const text = lines.map(({ line }) => frame(line, host)).join("");
        await writeAll(conn, utf8(text));
        await this.#sleep(SETTLED_MS, true);
        if (broken !== undefined) throw broken;
        sent = lines.at(-1)!.n + 1;
        await this.#keep(sent);
        onSent();
        continue;
      }
      if (this.#closing) return;
      await this.#sleep(POLL_MS);
      if (broken !== undefined) throw broken;
    }
  }

  *#after(from: number): Generator<{ n: number; line: string }> {
    using db = AuditDatabase.read(this.#o.dataDir);
    if (db === undefined) return;
    let count = 0;
    for (const { n, text } of db.lines(from)) {
      if (text !== null) yield { n, line: text };
      if (++count >= BATCH) return;
    }
  }

  get #path(): string {
    return join(this.#o.dataDir, POSITION_FILE);
  }

  /** The number of the first line that was not sent; of another log, 0. */
  async #position(): Promise<number> {
    try {
      const { log, next } = JSON.parse(utf8Decode(await Deno.readFile(this.#path)));
      return log === this.#log() && Number.isSafeInteger(next) ? next : 0;
    } catch {
      return 0;
    }
  }

  async #keep(next: number): Promise<void> {
    const text = JSON.stringify({ log: this.#log(), next }) + "\n";
    await writeFileAtomically(this.#path, utf8(text));
  }

  #log(): string {
    using db = AuditDatabase.read(this.#o.dataDir);
    return db?.id.toHex() ?? "";
  }

  /** @param whole Not ended by new lines. */
  #sleep(ms: number, whole = false): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      Deno.unrefTimer(timer);
      if (whole) return;
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
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

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}
