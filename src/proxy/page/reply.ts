/**
 * A reply that is being made, apart from the connection that asked for it: a page that is reloaded, or a second tab, gets it from
 * its beginning. In memory only.
 */
import type { Bytes } from "../../bytes.ts";
import { utf8 } from "../../bytes.ts";
import { errorDocument } from "../../api/errors.ts";
import type { NewMessage } from "../../api/history.ts";
import { SecLlamaError, toSecLlamaError } from "../../errors.ts";
import { type Keep, ReplyReader } from "./reader.ts";

/** Of one reply, as it came: about 110 bytes a token, so some 300,000 tokens. */
const MAX_REPLY_BYTES = 32 << 20;

/** What a page is told of a reply. */
interface ReplyFacts {
  readonly id: string;
  /** Of the page's choosing; random. */
  readonly conversation: string;
  /** Unix ms. */
  readonly started: number;
  readonly done: boolean;
}

/** How a reply is made, and kept. */
interface Filling {
  /** Asks for it. */
  readonly answer: (signal: AbortSignal) => Promise<Response>;
  /** Its first line: what protected it. */
  readonly receipt: (answer: Response) => object;
  /** Puts it into the history; absent: it is not to be kept. */
  readonly keep?: { readonly as: Keep; save(message: NewMessage): Promise<{ id: string }> };
  /** Told of what went wrong, for the log. */
  readonly onFailed: (error: SecLlamaError) => void;
}

export class Reply {
  readonly id = crypto.getRandomValues(new Uint8Array(16)).toHex();
  readonly started = Date.now();
  readonly #abort = new AbortController();
  readonly #reader = new ReplyReader();
  #chunks: Bytes[] = [];
  #size = 0;
  #done = false;
  /** Readers that wait for more. */
  #waiting: (() => void)[] = [];
  #readers = 0;
  /** When the last reader left; its start if none came. Unix ms. */
  #leftAt = this.started;

  /** @param note The page's own word on it, to go on after a reload: for a conversation that is never written, all of it. */
  constructor(readonly conversation: string, readonly note: unknown) {}

  get facts(): ReplyFacts {
    const { id, conversation, started } = this;
    return { id, conversation, started, done: this.#done };
  }

  /** For how long nobody has read it, ms; 0 while somebody does. */
  lonelyFor(now: number): number {
    return this.#readers > 0 ? 0 : now - this.#leftAt;
  }

  /** Aborted when the reply is not wanted any more. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /**
   * Takes the answer in until its end, and has it kept, whether anybody reads it or not; every reader gets it as it comes.
   * Never throws: what went wrong is a line of it.
   */
  async fill({ answer, receipt, keep, onFailed }: Filling): Promise<void> {
    try {
      const response = await answer(this.signal);
      this.#add(line({ receipt: receipt(response) }));
      if (response.body) {
        for await (const chunk of response.body) this.#add(chunk as Bytes);
      }
    } catch (error) {
      const tooLarge = error instanceof SecLlamaError && error.code === "too-large";
      const stopped = this.signal.aborted && !tooLarge;
      if (!stopped) onFailed(toSecLlamaError(error));
      this.#put(line(stopped ? { stopped: true } : errorDocument(error, "ollama")));
    }
    if (keep) await this.#keep(keep, onFailed);
    this.#done = true;
    this.#wake();
  }

  async #keep(
    { as, save }: NonNullable<Filling["keep"]>,
    onFailed: Filling["onFailed"],
  ): Promise<void> {
    const message = this.#reader.message(as, Date.now() - this.started);
    if (!message) return;
    try {
      const { id } = await save(message);
      this.#put(line({ saved: { id } }));
    } catch (error) {
      onFailed(toSecLlamaError(error));
      this.#put(line(errorDocument(error, "ollama")));
    }
  }

  /** Stops it; what has come stays until it is dropped. */
  stop(): void {
    this.#abort.abort();
  }

  /** The lines from the first on, and what comes. Ends with the reply, or early if the reader goes. */
  read(): ReadableStream<Bytes> {
    let at = 0;
    this.#readers++;
    const leave = () => {
      this.#readers--;
      this.#leftAt = Date.now();
    };
    let open = true;
    return new ReadableStream<Bytes>({
      pull: async (controller) => {
        while (open && at === this.#chunks.length && !this.#done) {
          await new Promise<void>((resolve) => this.#waiting.push(resolve));
        }
        if (!open) return;
        if (at < this.#chunks.length) return controller.enqueue(this.#chunks[at++]!.slice());
        open = false;
        leave();
        controller.close();
      },
      cancel: () => {
        if (open) leave();
        open = false;
        this.#wake();
      },
    }, { highWaterMark: 0 });
  }

  /** Forgets what it said. */
  drop(): void {
    this.stop();
    this.#chunks = [];
    this.#done = true;
    this.#wake();
  }

  #add(chunk: Bytes): void {
    this.#size += chunk.length;
    if (this.#size > MAX_REPLY_BYTES) {
      this.stop();
      throw new SecLlamaError("too-large", "the answer is larger than a page can be given", {
        hint: "ask for less at once",
      });
    }
    this.#put(chunk.slice());
  }

  #put(chunk: Bytes): void {
    this.#reader.take(chunk);
    this.#chunks.push(chunk);
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** A line of its own, also after one that broke off. */
function line(document: object): Bytes {
  return utf8("\n" + JSON.stringify(document) + "\n");
}
