/**
 * Many exchanges over one pair of byte streams. The gateway opens exchanges, the runner answers them. Spawns nothing and
 * knows nothing of what the bytes mean. Garbage from the other side ends the pipe with `pipe-broken`: the gateway then
 * kills that runner, a runner then exits.
 */
import { type Bytes, utf8, utf8Decode } from "../bytes.ts";
import { BUSY_TEXT } from "../api/texts.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { wipe } from "../secret.ts";
import { Exchange, type JsonObject, MAX_HEAD_BYTES, WINDOW_BYTES } from "./exchange.ts";
import { CONTROL_RATE, EMPTY_RATE, FrameBudget } from "./frame_budget.ts";
import {
  broken,
  encodeFrame,
  FRAME,
  type Frame,
  FrameReader,
  type FrameType,
  MAX_PAYLOAD_BYTES,
} from "./frame.ts";

export { Exchange, type JsonObject, WINDOW_BYTES };

/** Most exchanges open at once on one pipe; with the window this bounds the memory one pipe can hold. */
const MAX_EXCHANGES = 4096;

interface PipeOptions {
  readonly side: "gateway" | "runner";
  readonly readable: ReadableStream<Uint8Array>;
  /** Writes all of `bytes`, in the order of the calls. May be synchronous. */
  readonly write: (bytes: Bytes) => void | Promise<void>;
  readonly onControl: (message: JsonObject) => void;
  /** Secrets from the gateway. The bytes are zeroed when it returns. */
  readonly onSecret?: (payload: Bytes) => void;
  /** A new exchange (runner side). A rejection cancels the exchange. */
  readonly onExchange?: (exchange: Exchange) => Promise<void>;
  /** Milliseconds, never going back; for tests. */
  readonly now?: () => number;
}

export class Pipe {
  readonly #options: PipeOptions;
  readonly #exchanges = new Map<number, Exchange>();
  #nextId = 1;
  #lastOpened = 0;
  #failure: SecLlamaError | undefined;
  /** What a runner may send beside its answers; a gateway is trusted. */
  readonly #control: FrameBudget | undefined;
  readonly #empty: FrameBudget | undefined;

  constructor(options: PipeOptions) {
    this.#options = options;
    if (options.side === "gateway") {
      this.#control = new FrameBudget(CONTROL_RATE, options.now);
      this.#empty = new FrameBudget(EMPTY_RATE, options.now);
    }
  }

  /** Exchanges that are open. */
  get openExchanges(): number {
    return this.#exchanges.size;
  }

  /**
   * Reads frames until the stream ends. Every exchange still open then fails with `runner-died`.
   * @throws {SecLlamaError} `pipe-broken` if the other side sends garbage, `runner-died` if it ends inside a frame.
   */
  async run(): Promise<void> {
    const reader = new FrameReader();
    let error = new SecLlamaError("runner-died", "the model's runner ended before it answered", {
      hint: HINTS.nextRunner,
    });
    try {
      for await (const chunk of this.#options.readable) {
        for (const frame of reader.push(chunk)) this.#receive(frame);
      }
      // Whoever is killed is killed anywhere: that is no garbage.
      if (reader.pendingBytes > 0) throw error;
    } catch (cause) {
      error = cause instanceof SecLlamaError
        ? cause
        : new SecLlamaError("pipe-broken", "pipe to the runner: reading failed", { cause });
      throw error;
    } finally {
      this.close(error);
    }
  }

  /** Sends a one-way JSON message. */
  async control(message: object): Promise<void> {
    await this.#send(FRAME.control, 0, utf8(JSON.stringify(message)));
  }

  /** Sends secrets. The caller zeroes its copy. */
  async secret(payload: Uint8Array): Promise<void> {
    await this.#send(FRAME.secret, 0, payload);
  }

  /**
   * Opens an exchange (gateway side).
   * @throws {SecLlamaError} `busy` if {@link MAX_EXCHANGES} are open, or the pipe's own error once it has ended.
   */
  open(request: object): Exchange {
    if (this.#failure) throw this.#failure;
    if (this.#exchanges.size >= MAX_EXCHANGES) {
      throw new SecLlamaError("busy", BUSY_TEXT);
    }
    const exchange = this.#make(this.#nextId++, { ...request });
    void this.#send(FRAME.open, exchange.id, utf8(JSON.stringify(request)));
    return exchange;
  }

  /** Whether the exchange of this number is under way. */
  isOpen(id: number): boolean {
    return this.#exchanges.has(id);
  }

  /** Ends every exchange with `error` and refuses new ones. */
  close(error: SecLlamaError): void {
    this.#failure ??= error;
    for (const exchange of [...this.#exchanges.values()]) exchange.fail(error);
  }

  #make(id: number, request: JsonObject): Exchange {
    const exchange = new Exchange(id, request, {
      send: (type, on, payload) => this.#send(type, on, payload),
      onClosed: (closed) => this.#exchanges.delete(closed),
    });
    this.#exchanges.set(id, exchange);
    return exchange;
  }

  #send(type: FrameType, exchange: number, payload: Uint8Array): void | Promise<void> {
    if (this.#failure) return;
    const bytes = encodeFrame(type, exchange, payload);
    const written = this.#options.write(bytes);
    if (type === FRAME.secret) {
      if (written) return written.then(() => wipe(bytes));
      wipe(bytes);
    }
    return written;
  }

  #receive(frame: Frame): void {
    const gateway = this.#options.side === "gateway";
    switch (frame.type) {
      case FRAME.control:
        if (frame.exchange !== 0) throw broken("a control frame names an exchange");
        if (this.#control?.take() === false) throw broken("more messages than it can have");
        // The boot message holds a Modelfile's texts; what a runner sends is small, and a runner is not trusted.
        return this.#options.onControl(
          parseJson(frame.payload, gateway ? MAX_HEAD_BYTES : MAX_PAYLOAD_BYTES),
        );
      case FRAME.secret:
        if (gateway || frame.exchange !== 0 || !this.#options.onSecret) {
          throw broken("a secret came the wrong way");
        }
        this.#options.onSecret(frame.payload);
        return wipe(frame.payload);
      case FRAME.open:
        return this.#opened(frame);
    }
    const exchange = this.#exchanges.get(frame.exchange);
    const carries = exchange !== undefined && frame.type !== FRAME.credit &&
      (frame.type !== FRAME.data || frame.payload.length > 0);
    if (!carries && this.#empty?.take() === false) {
      throw broken("more empty frames than it can have");
    }
    // Frames that were under way when this side cancelled or finished are expected; ids never used are garbage.
    if (!exchange) {
      const used = gateway ? frame.exchange < this.#nextId : frame.exchange <= this.#lastOpened;
      if (frame.exchange === 0 || !used) {
        throw broken("a frame names an exchange that was never opened");
      }
      return;
    }
    switch (frame.type) {
      case FRAME.head:
        if (!gateway) throw broken("an answer's head came the wrong way");
        return exchange.receiveHead(parseJson(frame.payload));
      case FRAME.data:
        return exchange.receiveData(frame.payload);
      case FRAME.end:
        return exchange.receiveEnd();
      case FRAME.credit:
        if (frame.payload.length !== 4) throw broken("a credit frame is not 4 bytes");
        return exchange.receiveCredit(new DataView(frame.payload.buffer).getUint32(0));
      case FRAME.cancel:
        return exchange.fail(
          new SecLlamaError("cancelled", "the other side cancelled the exchange"),
        );
    }
  }

  #opened(frame: Frame): void {
    const onExchange = this.#options.onExchange;
    if (this.#options.side === "gateway" || !onExchange) {
      throw broken("an exchange was opened the wrong way");
    }
    if (frame.exchange <= this.#lastOpened) throw broken("exchange ids must rise");
    if (this.#exchanges.size >= MAX_EXCHANGES) throw broken("too many exchanges");
    this.#lastOpened = frame.exchange;
    const exchange = this.#make(frame.exchange, parseJson(frame.payload));
    onExchange(exchange).catch((error) => exchange.cancel(toSecLlamaError(error).code));
  }
}

function parseJson(payload: Bytes, most: number = MAX_HEAD_BYTES): JsonObject {
  if (payload.length > most) throw broken(`a head is over ${most / 1024} KiB`);
  let value: unknown;
  try {
    value = JSON.parse(utf8Decode(payload));
  } catch {
    throw broken("a head is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw broken("a head is not an object");
  }
  return value as JsonObject;
}
