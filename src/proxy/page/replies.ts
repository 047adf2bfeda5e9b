/** The replies that a page asked for and may ask for again: begun, read, stopped, and forgotten when nobody comes for them. */
import { collect, parseJsonObject } from "../../api/body.ts";
import { refusedRequestBody } from "../../api/listener_rules.ts";
import { NDJSON_TYPE } from "../../api/media_types.ts";
import { CONVERSATION_ID, type NewMessage } from "../../api/history.ts";
import { parameterOf, routeOf, ROUTES } from "../../api/routes.ts";
import { SecLlamaError } from "../../errors.ts";
import type { Keep } from "./reader.ts";
import { Reply } from "./reply.ts";

/** A person has a few pages open; each reply is up to 32 MiB. */
const MAX_REPLIES = 32;
const MODEL_CHARACTERS = 600;
/** A reload takes a moment; a reply that nobody came back for in this time is forgotten, done or not. */
const LONELY_MS = 10 * 60_000;
const SWEEP_MS = 30_000;
/** The page's name of a conversation. */
const CONVERSATION = /^[0-9a-z-]{1,64}$/;

/** How a reply is asked for: `body` is a request of `/api/chat`. */
type Ask = (body: Record<string, unknown>, signal: AbortSignal) => Promise<Response>;

interface RepliesOptions {
  readonly ask: Ask;
  /** What protected an answer, for its first line. */
  readonly receipt: (answer: Response) => object;
  /** Puts an answer into the history. */
  readonly save?: (conversation: string, message: NewMessage) => Promise<{ id: string }>;
  /** Told of what went wrong with one, for the log. */
  readonly onFailed: (error: SecLlamaError) => void;
  /** Aborted: all are stopped and forgotten. */
  readonly signal: AbortSignal;
}

export class Replies {
  readonly #options: RepliesOptions;
  readonly #held = new Map<string, Reply>();
  /** Those that are being made, or kept. */
  readonly #filling = new Set<Promise<void>>();

  constructor(options: RepliesOptions) {
    this.#options = options;
    const timer = setInterval(() => this.#sweep(), SWEEP_MS);
    Deno.unrefTimer(timer);
    options.signal.addEventListener("abort", () => {
      clearInterval(timer);
      // What has come of those that are to be kept still is.
      for (const reply of this.#held.values()) reply.stop();
    }, { once: true });
  }

  /**
   * `GET` and `POST` of {@link ROUTES.pageReplies}, `GET` and `DELETE` of {@link ROUTES.pageReply}.
   * @throws {SecLlamaError} `bad-request`, `not-found`, `busy`.
   */
  async answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (routeOf(url.pathname) === ROUTES.pageReplies) {
      return request.method === "POST"
        ? await this.#begin(request)
        : Response.json({ replies: this.#list(url.searchParams.get("conversation")) });
    }
    const id = parameterOf(ROUTES.pageReply, url.pathname) ?? "";
    const reply = this.#held.get(id);
    if (!reply) throw new SecLlamaError("not-found", "this reply is not kept here any more");
    if (request.method !== "DELETE") {
      return new Response(request.method === "HEAD" ? null : reply.read(), {
        headers: { "content-type": NDJSON_TYPE },
      });
    }
    // Twice: a reply that is being made is stopped and can still be read; one that is done is forgotten.
    if (reply.facts.done) this.#drop(id);
    else reply.stop();
    return new Response(null, { status: 204 });
  }

  async #begin(request: Request): Promise<Response> {
    const refused = refusedRequestBody(request, ROUTES.pageReplies);
    if (refused) throw refused;
    const body = parseJsonObject(await collect(request.body, ROUTES.pageReplies.maxBytes));
    const conversation = body["conversation"];
    const chat = body["request"];
    if (typeof conversation !== "string" || !CONVERSATION.test(conversation)) {
      throw new SecLlamaError("bad-request", "conversation must be an id", {
        field: "conversation",
      });
    }
    if (chat === null || typeof chat !== "object" || Array.isArray(chat)) {
      throw new SecLlamaError("bad-request", "request must be an object", { field: "request" });
    }
    const keep = keepOf(body["save"], conversation);
    this.#makeRoom();
    const reply = new Reply(conversation, body["note"] ?? null);
    this.#held.set(reply.id, reply);
    const { ask, receipt, save, onFailed } = this.#options;
    const filled = reply.fill({
      answer: (signal) => ask({ ...chat, stream: true }, signal),
      receipt,
      onFailed,
      ...(keep && save
        ? { keep: { as: keep, save: (message) => save(conversation, message) } }
        : {}),
    });
    this.#filling.add(filled);
    void filled.then(() => this.#filling.delete(filled));
    return Response.json(reply.facts, { status: 201 });
  }

  /** Settles when nothing is made or kept any more. Once the signal is aborted that is soon. */
  async settled(): Promise<void> {
    await Promise.all(this.#filling);
  }

  /** A note may be a whole conversation: only that of the conversation that was asked for. */
  #list(conversation: string | null): object[] {
    return [...this.#held.values()]
      .filter((reply) => conversation === null || reply.conversation === conversation)
      .map((reply) => conversation === null ? reply.facts : { ...reply.facts, note: reply.note });
  }

  #makeRoom(): void {
    if (this.#held.size < MAX_REPLIES) return;
    const oldest = [...this.#held.values()].find((reply) => reply.facts.done);
    if (oldest) return this.#drop(oldest.id);
    throw new SecLlamaError("busy", "too many replies are being made at once", {
      hint: "stop one of them, or wait until one is done",
    });
  }

  #sweep(): void {
    const now = Date.now();
    for (const reply of [...this.#held.values()]) {
      if (reply.lonelyFor(now) > LONELY_MS) this.#drop(reply.id);
    }
  }

  #drop(id: string): void {
    this.#held.get(id)?.drop();
    this.#held.delete(id);
  }
}

/** @throws {SecLlamaError} `bad-request` for what names no message of a kept conversation. */
function keepOf(value: unknown, conversation: string): Keep | undefined {
  if (value === undefined) return undefined;
  const { parent, model } = Object(value) as Record<string, unknown>;
  const known = typeof parent === "string" && /^[1-9]\d{0,8}$/.test(parent) &&
    typeof model === "string" && model.length <= MODEL_CHARACTERS;
  if (known && CONVERSATION_ID.test(conversation)) return { parent, model };
  throw new SecLlamaError("bad-request", "save must be a parent and a model, of a conversation", {
    field: "save",
  });
}
