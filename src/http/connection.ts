/**
 * One connection: reads a request's head, lets the handler answer, writes the answer, and again, until either side ends.
 *
 * The client's end is watched for while the handler works; it aborts `request.signal`. Whatever is waited for has a
 * deadline, which the server's clock enforces by calling {@link Connection.tick}.
 */
import { SecLlamaError } from "../errors.ts";
import { label, type Logger } from "../log.ts";
import { answer, type Handler } from "./answer.ts";
import { breakSocket } from "./break_socket.ts";
import {
  asksForHead,
  type Head,
  headEnd,
  type HeadPolicy,
  originOfHead,
  parseHead,
  pathOf,
  pathOfHead,
} from "./head.ts";
import type { Limits } from "./limits.ts";
import { Refusal, refusalBytes } from "./refusal.ts";
import { RequestBody } from "./request_body.ts";
import type { Rules } from "./rules.ts";
import { writeResponse } from "./response_writer.ts";
import { SocketReader } from "./socket_reader.ts";

/** A client's connection; TLS is Deno's work and shows here as plain bytes. */
export type Socket = Deno.TcpConn | Deno.TlsConn | Deno.UnixConn;

export interface ConnectionOptions {
  readonly handler: Handler;
  readonly rules: Rules;
  readonly limits: Limits;
  readonly policy: HeadPolicy;
  readonly logger: Logger;
}

/** What is known of a connection at its accept. */
interface Accepted {
  /** Whose shares it counts for. */
  readonly party: string;
  /** What its first request is answered with, whatever it is. */
  readonly refusal?: Refusal;
}

/** Who is refused may take this long to ask for it. */
const REFUSED_HEAD_MS = 2_000;
/** And so many ticks of the clock more: what it has sent may wait to be read, on a machine that other work takes. */
const REFUSED_TICKS = 4;

const LINGER_MS = 1_000;
/** A client that sends much is told no before it has sent it all, and must be able to read that. */
const LINGER_BYTES = 64 * 1024 * 1024;
const CONTINUE = new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n");

export class Connection {
  readonly peer: Deno.NetAddr;
  readonly #conn: Socket;
  readonly #options: ConnectionOptions;
  readonly #party: string;
  /** What its next request is answered with, whatever it is. */
  #refusal: Refusal | undefined;
  readonly #reader: SocketReader;
  /** Of the request that is being read or answered, as far as it is known. */
  #path = "/";
  #isHead = false;
  #origin: string | undefined;
  #phase: "head" | "exchange" | "linger" = "head";
  /** When this connection began to wait for a head, on `performance.now()`. */
  waitingSince = performance.now();
  /** When its request began to come: at its accept, or with the first byte after another request. */
  #cameAt = this.waitingSince;
  #deadline: number;
  #writeDeadline = Infinity;
  #body: RequestBody | undefined;
  #abort: AbortController | undefined;
  readonly #heard = Promise.withResolvers<void>();
  /** A whole head has come. */
  #hasSpoken = false;
  /** A handshake of TLS may be under way. */
  #shakes: boolean;
  #closing = false;
  #closed = false;
  /** Its time to ask is over, and what it has asked may be read yet. */
  #ticks = 0;

  constructor(conn: Socket, options: ConnectionOptions, accepted: Accepted) {
    this.#conn = conn;
    this.#options = options;
    this.#party = accepted.party;
    this.#refusal = accepted.refusal;
    this.#reader = new SocketReader(conn);
    this.#shakes = this.#isTls;
    this.#deadline = this.waitingSince + this.#headMs;
    this.peer = conn.remoteAddr.transport === "tcp"
      ? conn.remoteAddr
      : { transport: "tcp", hostname: "::1", port: 0 };
  }

  get #headMs(): number {
    const { headMs } = this.#options.limits;
    return this.#refusal === undefined ? headMs : Math.min(headMs, REFUSED_HEAD_MS);
  }

  get #isTls(): boolean {
    return !("setNoDelay" in this.#conn);
  }

  /** Settles when the first bytes have come, or it ended. */
  get heard(): Promise<void> {
    return this.#heard.promise;
  }

  /** Waits for a request: closing it now breaks nothing that has begun. */
  get isIdle(): boolean {
    return this.#phase === "head";
  }

  /**
   * Since when it has shown nothing that is worth a place, on `performance.now()`: no request has come on it, or bytes of a
   * request's body have not, whether its handler waits for them or not. 0: it was answered, and is only kept so that the client can
   * read that. `undefined`: it is at work, or was before.
   */
  get unprovenSince(): number | undefined {
    if (this.#phase === "linger") return 0;
    if (this.#phase === "head") return this.#hasSpoken ? undefined : this.waitingSince;
    return this.#body?.isOwed ? this.#cameAt : undefined;
  }

  /**
   * It has no place any more: what it asks, or has asked without its whole body, is answered by `refusal`, and it ends.
   * An answer that has begun goes on.
   */
  turnAway(refusal: Refusal): void {
    this.#closing = true;
    if (this.#phase === "exchange") return this.#body?.fail(refusal);
    if (this.#phase !== "head") return;
    this.#refusal = refusal;
    this.#ticks = REFUSED_TICKS;
    this.#deadline = Math.min(this.#deadline, performance.now() + REFUSED_HEAD_MS);
  }

  /** Serves until the end. Never throws. */
  async run(): Promise<void> {
    try {
      // TLS connections have it from their listener.
      if (!this.#isTls) (this.#conn as Deno.TcpConn).setNoDelay(true);
      let first = true;
      do {
        const head = await this.#nextHead(first);
        if (!head) return;
        first = false;
        if (!(await this.#exchange(head))) return await this.#linger();
      } while (!this.#closing);
    } catch (error) {
      if (error instanceof Refusal) await this.#refuse(error).catch(() => {});
      // Anything else: the client went away, or this side closed the connection. There is nobody to answer.
    } finally {
      this.#heard.resolve();
      this.close();
    }
  }

  /** No further request after the one under way. */
  finishSoon(): void {
    this.#closing = true;
    if (this.isIdle) this.close();
  }

  /** Ends the connection now; what is under way is aborted. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#abort?.abort(gone());
    // Neither a write that is stuck nor a TLS handshake that never ends is given up by the runtime's close.
    if (this.#writeDeadline !== Infinity || this.#shakes) {
      // A Unix socket's ends have no addresses to be found by; its writer is a program of this machine.
      if (this.#conn.remoteAddr.transport === "tcp") {
        breakSocket(this.#conn.localAddr as Deno.NetAddr, this.peer);
      }
    }
    try {
      this.#conn.close();
    } catch { /* closed by the runtime already */ }
  }

  /** Called by the server's clock. */
  tick(now: number): void {
    if (now > this.#writeDeadline) return this.close();
    if (this.#body && now > this.#body.deadline) {
      this.#body.fail(new SecLlamaError("timeout", "the body came too slowly"));
    }
    if (now <= this.#deadline || this.#ticks-- > 0) return;
    this.#deadline = Infinity;
    if (this.#phase === "head" && this.#reader.length > 0) {
      this.#look();
      const timeout = new Refusal(408, "timeout", "the request head came too slowly");
      void this.#refuse(timeout).catch(() => {}).finally(() => this.close());
    } else {
      this.close();
    }
  }

  /** The next head; undefined when the client has ended. @throws {Refusal} */
  async #nextHead(first: boolean): Promise<Head | undefined> {
    const { limits, policy } = this.#options;
    const reader = this.#reader;
    this.#phase = "head";
    this.#path = "/";
    this.waitingSince = performance.now();
    const started = () => {
      this.#cameAt = performance.now();
      this.#deadline = this.#cameAt + this.#headMs;
    };
    if (first || reader.length > 0) started();
    else this.#deadline = this.waitingSince + limits.idleMs;
    let searched = 0;
    for (;;) {
      const end = headEnd(reader.bytes, searched);
      if (end > limits.headBytes || (end < 0 && reader.length >= limits.headBytes)) {
        this.#look();
        throw new Refusal(431, "bad-request", "the request head is too large");
      }
      if (end >= 0) {
        this.#deadline = Infinity;
        if (this.#phase !== "head") return undefined; // timed out while this was on its way
        this.#phase = "exchange";
        this.#hasSpoken = true;
        this.#look();
        if (this.#refusal !== undefined) throw this.#refusal;
        return parseHead(reader.take(end), policy);
      }
      searched = Math.max(0, reader.length - 3);
      const waitedForFirst = !first && reader.length === 0;
      if (!(await reader.fill().finally(() => this.#shakes = false))) return undefined;
      this.#heard.resolve();
      if (waitedForFirst) started();
    }
  }

  /** What an error answer must know of the head that has come, or of what there is of it. */
  #look(): void {
    this.#path = pathOfHead(this.#reader.bytes);
    this.#isHead = asksForHead(this.#reader.bytes);
    this.#origin = originOfHead(this.#reader.bytes, this.#options.policy);
  }

  /** One request and its answer; whether another may follow. */
  async #exchange(head: Head): Promise<boolean> {
    const { handler, limits, logger, rules } = this.#options;
    const abort = this.#abort = new AbortController();
    const body = this.#body = new RequestBody(this.#reader, {
      contentLength: head.contentLength,
      maxBytes: rules.maxBodyBytes(head.method, pathOf(head.target)),
      tooLarge: rules.tooLarge,
      limits,
      onFirstWait: () => {
        if (head.expectsContinue) void this.#write(CONTINUE).catch(() => {});
      },
    });
    const answered = { done: false };
    try {
      const path = this.#path = pathOf(head.target);
      const response = await answer(head, {
        ...{ body, path, handler, rules, logger, signal: abort.signal },
        info: { peer: this.peer, party: this.#party },
        origin: this.#origin,
        onReading: () => void this.#watch(body, abort, answered),
      });
      return await writeResponse({ write: (bytes) => this.#write(bytes) }, response, {
        method: head.method,
        minor: head.minor,
        keepAlive: () => head.keepAlive && body.isComplete && !this.#closing,
        signal: abort.signal,
      });
    } catch (error) {
      if (!abort.signal.aborted && !this.#closed) {
        // The head may be out: all that is left to say is to break off.
        logger.warn("answer-failed", { error: label((error as Error)?.name ?? "unknown") });
      }
      throw error;
    } finally {
      answered.done = true;
      body.stop();
      this.#body = undefined;
      this.#abort = undefined;
    }
  }

  /** Once the body is in, the only thing the client may still do is wait, send its next request, or go. */
  async #watch(body: RequestBody, abort: AbortController, answered: { done: boolean }) {
    await body.complete;
    try {
      while (!answered.done && !this.#closed && !this.#reader.full) {
        if (!(await this.#reader.fill())) break;
      }
      if (!answered.done && !this.#reader.full) abort.abort(gone());
    } catch {
      if (!answered.done) this.close();
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) {
        this.#writeDeadline = performance.now() + this.#options.limits.writePauseMs;
        at += await this.#conn.write(at === 0 ? bytes : bytes.subarray(at));
      }
    } finally {
      this.#writeDeadline = Infinity;
    }
  }

  async #refuse(refusal: Refusal): Promise<void> {
    this.#phase = "linger";
    this.#options.logger.warn("request-refused", {
      code: label(refusal.code),
      status: refusal.status,
    });
    const rendered = this.#options.rules.render(refusal, this.#path, this.#origin);
    await this.#write(refusalBytes(rendered, this.#isHead));
    await this.#linger();
  }

  /** Closing with unread bytes resets a connection, and the client may then never see the answer that it got. */
  async #linger(): Promise<void> {
    if (this.#closed) return;
    this.#phase = "linger";
    this.#deadline = performance.now() + LINGER_MS;
    await this.#conn.closeWrite();
    for (let taken = 0; taken < LINGER_BYTES;) {
      taken += this.#reader.length;
      this.#reader.drop(this.#reader.length);
      if (!(await this.#reader.fill())) return;
    }
  }
}

function gone(): SecLlamaError {
  return new SecLlamaError("cancelled", "the client has gone");
}
