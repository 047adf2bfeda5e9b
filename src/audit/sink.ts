/**
 * What every sink of the log's lines does: reads the log itself, remembers how far it came, waits while its server is away. Nothing is
 * lost meanwhile, and after that some lines may come twice. Each has its number. No request waits for a sink.
 */
import { join } from "node:path";
import { utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { writeFileAtomically } from "../keys/mod.ts";
import { refuseNewer } from "../newer_file.ts";
import { AUDIT_FILE, AuditDatabase } from "./database.ts";
import { notThere } from "./failing.ts";

/** Lines of other processes are looked for so often, ms. */
export const POLL_MS = 5_000;
const MAX_WAIT_MS = 60_000;
const FIRST_WAIT_MS = 1_000;

/** A line to be sent. */
export interface SinkLine {
  readonly n: number;
  readonly text: string;
}

/** The log, from where a sink stopped. */
export class SinkPosition {
  readonly #dataDir: string;
  readonly #path: string;
  readonly #batch: number;
  #next = 0;

  /** @param file Of the data folder, where it is noted. @param batch Lines at once. */
  constructor(dataDir: string, file: string, batch: number) {
    this.#dataDir = dataDir;
    this.#path = join(dataDir, file);
    this.#batch = batch;
  }

  /** As it was read or noted last. */
  get next(): number {
    return this.#next;
  }

  /**
   * The number of the first line that was not sent; of another log, 0.
   * @throws {SecLlamaError} `key-corrupt` for a newer version's; `audit-failed`, `audit-broken` while the log that it was noted of is away
   * or cannot be read: all of it would be sent again.
   */
  async read(): Promise<number> {
    let noted: { readonly log?: unknown; readonly next?: unknown } = {};
    try {
      const value = JSON.parse(utf8Decode(await Deno.readFile(this.#path)));
      refuseNewer(this.#path, value, 1);
      noted = Object(value);
    } catch (error) {
      if (error instanceof SecLlamaError && error.code === "key-corrupt") throw error;
    }
    const log = this.#log();
    if (log === "" && noted.log !== undefined) throw notThere(join(this.#dataDir, AUDIT_FILE));
    const { next } = noted;
    this.#next = log === noted.log && Number.isSafeInteger(next) ? Number(next) : 0;
    return this.#next;
  }

  /** Notes it. */
  async keep(next: number): Promise<void> {
    const log = this.#log();
    // Away for now: its place is still of it.
    if (log === "") throw notThere(join(this.#dataDir, AUDIT_FILE));
    const text = JSON.stringify({ log, next }) + "\n";
    await writeFileAtomically(this.#path, utf8(text));
    this.#next = next;
  }

  /** The next lines from `from` on. What retention took is left out. */
  after(from: number): SinkLine[] {
    using db = AuditDatabase.read(this.#dataDir);
    const some: SinkLine[] = [];
    let count = 0;
    for (const { n, text } of db?.lines(from) ?? []) {
      if (text !== null) some.push({ n, text });
      if (++count >= this.#batch) break;
    }
    return some;
  }

  #log(): string {
    using db = AuditDatabase.read(this.#dataDir);
    return db?.id.toHex() ?? "";
  }
}

/** How a sink waits: for new lines, for a pause to be over, for its end. */
export class SinkClock {
  #wake = () => {};
  /** Its server is away: that there is something new is no reason to ask it sooner. */
  #pausing = false;
  #closing = false;
  #closeBy = Infinity;
  readonly #firstWaitMs: number;

  /** @param firstWaitMs The first pause while its server is away; each further one is twice as long. */
  constructor(firstWaitMs = FIRST_WAIT_MS) {
    this.#firstWaitMs = firstWaitMs;
  }

  /** It is to send what there is, and end. */
  get closing(): boolean {
    return this.#closing;
  }

  /** There is something new. */
  wake(): void {
    if (!this.#pausing || this.#closing) this.#wake();
  }

  /** From now on nothing is waited for longer than so many ms. */
  close(ms: number): void {
    this.#closeBy = performance.now() + ms;
    this.#closing = true;
    this.wake();
  }

  /** Calls `connected` again and again until it returns, with longer pauses while it throws. `onAway` is told of the first failure. */
  async run(
    connected: (onSent: () => void) => Promise<void>,
    onAway: (error: unknown) => void,
  ): Promise<void> {
    for (let failures = 0;;) {
      try {
        return await connected(() => failures = 0);
      } catch (error) {
        if (failures++ === 0) onAway(error);
        if (this.#closing) return;
        this.#pausing = true;
        await this.sleep(
          Math.min(MAX_WAIT_MS, this.#firstWaitMs * 2 ** Math.min(failures - 1, 10)),
        );
        this.#pausing = false;
        if (this.#closing && performance.now() >= this.#closeBy) return;
      }
    }
  }

  /** @param whole Not ended by new lines. */
  sleep(ms: number, whole = false): Promise<void> {
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
