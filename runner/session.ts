/**
 * What the runner does with an exchange: hand out its key document, or open a sealed request, let the API answer it and
 * seal the reply frame by frame. With encryption on, nothing but a sealed request reaches the API.
 */
import { collect } from "../src/api/body.ts";
import { JSON_TYPE, PROBLEM_TYPE, SEALED_TYPE } from "../src/api/media_types.ts";
import { RUNNER_HEADER } from "../src/api/runner_name.ts";
import type { CallTerms } from "../src/api/call_terms.ts";
import { RECEIPT_HEADER } from "../src/api/receipt.ts";
import { INFERENCE_BYTES } from "../src/api/routes.ts";
import { type Bytes, fromBase64Url, fromHex, toHex, utf8 } from "../src/bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../src/errors.ts";
import {
  type AnswerHead,
  type OpenHead,
  parseOpenHead,
  type UsedTokens,
} from "../src/api/pipe_messages.ts";
import type { Exchange } from "../src/pipe/pipe.ts";
import { toProblem } from "../src/api/problems.ts";
import type { Pot } from "../src/shares.ts";
import { HeldBytes, requestBytes } from "../src/sealed/held_bytes.ts";
import {
  DEFAULT_LIMITS,
  type OpenedRequest,
  Recipient,
  type RecipientOptions,
} from "../src/sealed/recipient.ts";
import { recipientId } from "../src/sealed/suite.ts";
import { Receipted, type ReceiptWord } from "./receipted.ts";
import { pacingOf, sendReply } from "./reply_stream.ts";
import { RunnerKeys } from "./runner_keys.ts";

/** How often recipient keys are looked at; they roll hourly. */
const ROLL_CHECK_MS = 30_000;

export interface SessionOptions {
  readonly model: string;
  readonly encryption: boolean;
  /** The host's id and the number of this start, hexadecimal: as the boot message has them. */
  readonly hid: string;
  readonly rn: string;
  readonly fetch: (
    request: Request,
    context: {
      client: string;
      waitedMs: number;
      terms?: CallTerms;
      used: (tokens: UsedTokens) => void;
      refused: (code: "role-refused") => void;
    },
  ) => Promise<Response>;
  readonly onRecipients: (ids: readonly string[]) => void;
  /** Told what an exchange cost, by its number on the pipe; in parts that add up. */
  readonly onUsed?: (exchange: number, tokens: UsedTokens) => void;
  /** Told that an exchange asks for what its client's role does not let it, before its answer says so. */
  readonly onRefused?: (exchange: number, code: "role-refused") => void;
  /** Told what an exchange's line is to say for its client's receipt, before its reply ends. */
  readonly onReceipt?: (exchange: number, word: ReceiptWord) => void;
  /** A clock and short lives, for tests in one process. A runner never sets it. */
  readonly recipient?: Pick<RecipientOptions, "now" | "recipientKeyLifeMs" | "limits">;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #recipient: Recipient;
  readonly #keys = new RunnerKeys();
  /** The bytes of all requests, sealed or not. */
  readonly #pot: Pot;
  /** Sealed exchanges under way, and whose they are. */
  readonly #open = new Map<Exchange, string>();
  /** By client: what each key that was handed out had to wait for the load, for the request that follows it. */
  readonly #waits = new Map<string, number>();
  #serving = false;
  #lastIds = "";

  private constructor(options: SessionOptions) {
    this.#options = options;
    this.#pot = requestBytes(options.recipient?.limits?.heldBytes ?? DEFAULT_LIMITS.heldBytes);
    this.#recipient = new Recipient({
      pot: this.#pot,
      model: options.model,
      hid: fromHex(options.hid),
      rn: fromHex(options.rn),
      psk: (id) => this.#keys.psk(id),
      suites: [1, 2],
      replyBucket: (id) => pacingOf(id)?.bucketBytes,
      ...options.recipient,
    });
  }

  static async start(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    await session.#roll();
    const timer = setInterval(() => void session.#roll(), ROLL_CHECK_MS);
    Deno.unrefTimer(timer);
    return session;
  }

  /** Takes a key frame. What a revoked client's requests were doing ends. */
  takeKeys(payload: Bytes): void {
    const revoked = new Set(this.#keys.apply(payload));
    if (revoked.size === 0) return;
    for (const [exchange, pskId] of this.#open) if (revoked.has(pskId)) exchange.cancel("auth");
  }

  serve(): void {
    this.#serving = true;
  }

  async handle(exchange: Exchange): Promise<void> {
    try {
      const head = parseOpenHead(exchange.request);
      if (!this.#serving) throw new SecLlamaError("busy", "the runner is not ready");
      switch (head.kind) {
        case "key":
          return await this.#key(exchange, head);
        case "sealed":
          return await this.#sealed(exchange, head);
        case "plain":
          if (this.#options.encryption) {
            throw new SecLlamaError("plaintext-refused", "plaintext requests are refused");
          }
          return await this.#plain(exchange, head);
      }
    } catch (error) {
      await refuse(exchange, error);
    } finally {
      this.#announce();
    }
  }

  async #key(exchange: Exchange, head: Extract<OpenHead, { kind: "key" }>): Promise<void> {
    await this.#recipient.rollIfDue();
    this.#announce();
    if (head.waitedMs > 0 && this.#keys.has(head.id)) this.#waits.set(head.id, head.waitedMs);
    const document = await this.#recipient.keyDocument({
      pskId: head.id,
      challenge: Uint8Array.fromHex(head.c),
      model: head.model,
      suite: head.suite,
      gen: head.gen,
      attest: fromHex(head.attest),
    });
    this.#announce(); // a suite's key is made when it is first asked for
    await answer(
      exchange,
      {
        status: 200,
        headers: {
          "content-type": JSON_TYPE,
          [RUNNER_HEADER]: toHex(recipientId(fromBase64Url(document.pk))),
        },
      },
      utf8(JSON.stringify(document)),
    );
  }

  async #sealed(exchange: Exchange, head: Extract<OpenHead, { kind: "sealed" }>): Promise<void> {
    const opened = await this.#recipient.open(exchange);
    this.#open.set(exchange, opened.pskId);
    try {
      // Taken away while its last bytes were read.
      if (!this.#keys.has(opened.pskId)) {
        throw new SecLlamaError("auth", "the request does not authenticate");
      }
      await this.#answer(exchange, opened, head.terms);
    } finally {
      this.#open.delete(exchange);
      opened.release();
    }
  }

  async #answer(exchange: Exchange, opened: OpenedRequest, terms?: CallTerms): Promise<void> {
    const { method, path, headers: { [RECEIPT_HEADER]: wanted, ...headers } } = opened.request;
    const receipted = Receipted.of(wanted, opened.body);
    const answered = await this.#run(
      exchange,
      { method, path, headers, body: opened.body },
      {
        client: opened.pskId,
        waitedMs: this.#takeWait(opened.pskId),
        ...(terms === undefined ? {} : { terms }),
      },
    );
    const response = receipted?.watch(
      answered,
      (word) => this.#options.onReceipt?.(exchange.id, word),
    ) ?? answered;
    // Not before there is something to send: each message wakes the gateway and the client.
    await exchange.respond(
      {
        status: 200,
        headers: {
          "content-type": SEALED_TYPE,
          "cache-control": "no-store, no-transform",
        },
      } satisfies AnswerHead,
    );
    await sendReply(opened.reply, response, {
      write: (bytes) => exchange.write(bytes),
      pacing: pacingOf(opened.pskId),
      renewal: this.#keys.renewal(opened.pskId),
    });
    await exchange.end();
  }

  async #plain(exchange: Exchange, head: Extract<OpenHead, { kind: "plain" }>): Promise<void> {
    const { client } = head;
    const held = new HeldBytes(this.#pot);
    held.begin(client, 0);
    try {
      const body = await collect(counted(exchange, held), INFERENCE_BYTES);
      const response = await this.#run(exchange, { ...head, body }, {
        client,
        waitedMs: head.waitedMs,
      });
      await exchange.respond({
        status: response.status,
        headers: Object.fromEntries(response.headers),
      });
      if (response.body) { for await (const chunk of response.body) await exchange.write(chunk); }
      await exchange.end();
    } finally {
      held.release();
    }
  }

  /** Lets the API answer; the exchange's end aborts it. */
  async #run(
    exchange: Exchange,
    request: {
      method: string;
      path: string;
      headers: { readonly [name: string]: string };
      body: Bytes;
    },
    context: { client: string; waitedMs: number; terms?: CallTerms },
  ): Promise<Response> {
    const bodyless = request.method === "GET" || request.method === "HEAD";
    // The path was checked by the opener of the request to begin with a slash; the host is a name without meaning.
    return await this.#options.fetch(
      new Request(new URL("http://runner.invalid" + request.path), {
        method: request.method,
        headers: { ...request.headers },
        signal: exchange.signal,
        // Bytes would be copied, which takes a tenth of a second for ten megabytes.
        ...(bodyless ? {} : { body: ReadableStream.from([request.body]) }),
      }),
      {
        ...context,
        used: (tokens) => this.#options.onUsed?.(exchange.id, tokens),
        refused: (code) => this.#options.onRefused?.(exchange.id, code),
      },
    );
  }

  /** A client fetches the key, and the load is waited for, before it sends its request: the time is that request's. */
  #takeWait(client: string): number {
    const waitedMs = this.#waits.get(client) ?? 0;
    this.#waits.delete(client);
    return waitedMs;
  }

  async #roll(): Promise<void> {
    await this.#recipient.rollIfDue();
    this.#announce();
  }

  #announce(): void {
    const ids = this.#recipient.recipientIds();
    // The last one was used up and its successor is being made: that one is announced.
    if (ids.length === 0 || ids.join() === this.#lastIds) return;
    this.#lastIds = ids.join();
    this.#options.onRecipients(ids);
  }
}

/** The chunks of a body, each counted before it is kept. */
async function* counted(
  body: AsyncIterable<Uint8Array>,
  held: HeldBytes,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    held.add(chunk.length);
    yield chunk;
  }
}

async function answer(exchange: Exchange, head: AnswerHead, body: Uint8Array): Promise<void> {
  await exchange.respond(head);
  await exchange.write(body);
  await exchange.end();
}

/** Answers with a problem document, or cancels if an answer has begun. */
async function refuse(exchange: Exchange, error: unknown): Promise<void> {
  if (exchange.signal.aborted) return;
  const e = toSecLlamaError(error);
  const problem = toProblem(e);
  try {
    await answer(
      exchange,
      { status: problem.status, headers: { "content-type": PROBLEM_TYPE } },
      utf8(JSON.stringify(problem)),
    );
  } catch {
    exchange.cancel(e.code);
  }
}
