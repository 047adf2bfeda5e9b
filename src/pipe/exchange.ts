/**
 * One request and its answer on the pipe. Each direction has a window of bytes: a writer waits for credit, a reader
 * gives credit back only for what its consumer took, so a slow reader holds up its own exchange and no other.
 */
import type { Bytes } from "../bytes.ts";
import { utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { broken, FRAME, type FrameType, MAX_PAYLOAD_BYTES } from "./frame.ts";

/** Bytes in flight per exchange and direction. Bounds what a reader that stops can make the other side hold. */
export const WINDOW_BYTES = 256 * 1024;
/** Credit is given back in steps of at least this, so that tokens do not each cause a credit frame. */
const CREDIT_STEP_BYTES = WINDOW_BYTES / 4;
/** Data per frame; small enough that exchanges interleave. */
const CHUNK_BYTES = Math.min(64 * 1024, MAX_PAYLOAD_BYTES);
/** Answer heads and open heads are small JSON. */
export const MAX_HEAD_BYTES = 64 * 1024;

/** A JSON object as it came: whoever takes it parses it. */
export type JsonObject = { readonly [key: string]: unknown };

type SendFrame = (
  type: FrameType,
  exchange: number,
  payload: Uint8Array,
) => void | Promise<void>;

export class Exchange {
  readonly id: number;
  /** The opener's head. */
  readonly request: JsonObject;
  readonly #send: SendFrame;
  readonly #onClosed: (id: number) => void;
  readonly #abort = new AbortController();
  #credit = WINDOW_BYTES;
  #creditWaiters: (() => void)[] = [];
  #inbox: Bytes[] = [];
  #inboxBytes = 0;
  #owed = 0;
  #inboxWaiter: (() => void) | undefined;
  #localEnded = false;
  #remoteEnded = false;
  #failure: SecLlamaError | undefined;
  #head: JsonObject | undefined;
  /** Of who asked for the head before it came. */
  #headWaiter: PromiseWithResolvers<JsonObject> | undefined;

  constructor(
    id: number,
    request: JsonObject,
    options: { send: SendFrame; onClosed: (id: number) => void },
  ) {
    this.id = id;
    this.request = request;
    this.#send = options.send;
    this.#onClosed = options.onClosed;
  }

  /** Aborted when the other side cancels or the pipe ends; its reason is the error. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The answer's head. @throws {SecLlamaError} As the exchange failed before it came. */
  head(): Promise<JsonObject> {
    if (this.#head !== undefined) return Promise.resolve(this.#head);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#remoteEnded) return Promise.reject(withoutHead());
    if (this.#headWaiter === undefined) {
      this.#headWaiter = Promise.withResolvers();
      this.#headWaiter.promise.catch(() => {}); // a caller that asked and went away must not end the process
    }
    return this.#headWaiter.promise;
  }

  /** Sends the answer's head. */
  async respond(head: object): Promise<void> {
    this.#throwIfOver();
    await this.#send(FRAME.head, this.id, utf8(JSON.stringify(head)));
  }

  /** Sends data, waiting for credit. @throws {SecLlamaError} If the exchange is over. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      this.#throwIfOver();
      if (this.#credit === 0) {
        await new Promise<void>((resolve) => this.#creditWaiters.push(resolve));
        continue;
      }
      const chunk = bytes.subarray(at, at + Math.min(this.#credit, CHUNK_BYTES));
      this.#credit -= chunk.length;
      at += chunk.length;
      const sent = this.#send(FRAME.data, this.id, chunk);
      if (sent) await sent;
    }
  }

  /** Ends this direction. */
  async end(): Promise<void> {
    if (this.#failure || this.#localEnded) return;
    this.#localEnded = true;
    await this.#send(FRAME.end, this.id, new Uint8Array(0));
    this.#closeIfDone();
  }

  /**
   * Ends both directions at once and tells the other side. Does nothing to an exchange that is over.
   * @param error What whoever waits on this side gets. Default: `cancelled`.
   */
  cancel(code: string, error?: SecLlamaError): void {
    if (this.#failure || (this.#localEnded && this.#remoteEnded)) return;
    void this.#send(FRAME.cancel, this.id, utf8(code.slice(0, 64)));
    this.fail(error ?? new SecLlamaError("cancelled", "the exchange was cancelled"));
  }

  /** The other side's data, in order. Taking a chunk gives its credit back. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void> {
    for (;;) {
      const chunk = this.#inbox.shift();
      if (chunk) {
        this.#inboxBytes -= chunk.length;
        this.#owed += chunk.length;
        if (this.#owed >= CREDIT_STEP_BYTES && !this.#remoteEnded && !this.#failure) {
          const owed = new Uint8Array(4);
          new DataView(owed.buffer).setUint32(0, this.#owed);
          this.#owed = 0;
          await this.#send(FRAME.credit, this.id, owed);
        }
        yield chunk;
        continue;
      }
      if (this.#failure) throw this.#failure;
      if (this.#remoteEnded) return;
      await new Promise<void>((resolve) => this.#inboxWaiter = resolve);
    }
  }

  // What follows is called by the pipe that owns the exchange.

  receiveHead(head: JsonObject): void {
    if (this.#failure) return;
    this.#head ??= head;
    this.#headWaiter?.resolve(head);
  }

  /** @throws {SecLlamaError} `pipe-broken` if the other side sent more than its credit, or after its end. */
  receiveData(bytes: Bytes): void {
    if (this.#failure) return;
    if (this.#remoteEnded) throw broken("data after end");
    // They cost no credit, so nothing would bound their number.
    if (bytes.length === 0) throw broken("a data frame without data");
    this.#inboxBytes += bytes.length;
    if (this.#inboxBytes + this.#owed > WINDOW_BYTES) {
      throw broken("more data than the credit given");
    }
    this.#inbox.push(bytes);
    this.#wake();
  }

  receiveEnd(): void {
    if (this.#remoteEnded) throw broken("end after end");
    this.#remoteEnded = true;
    if (this.#head === undefined) this.#headWaiter?.reject(withoutHead());
    this.#wake();
    this.#closeIfDone();
  }

  /** @throws {SecLlamaError} `pipe-broken` if it would raise the credit above the window. */
  receiveCredit(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > WINDOW_BYTES) throw broken("more credit than the window");
    for (const resolve of this.#creditWaiters.splice(0)) resolve();
  }

  /** Ends the exchange with `error`; what was received and not yet taken is dropped. */
  fail(error: SecLlamaError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#inbox = [];
    this.#headWaiter?.reject(error);
    for (const resolve of this.#creditWaiters.splice(0)) resolve();
    this.#wake();
    this.#abort.abort(error);
    this.#onClosed(this.id);
  }

  #closeIfDone(): void {
    if (this.#localEnded && this.#remoteEnded) this.#onClosed(this.id);
  }

  #wake(): void {
    const waiter = this.#inboxWaiter;
    this.#inboxWaiter = undefined;
    waiter?.();
  }

  #throwIfOver(): void {
    if (this.#failure) throw this.#failure;
    if (this.#localEnded) throw broken("write after end");
  }
}

function withoutHead(): SecLlamaError {
  return broken("an answer ended without a head");
}
