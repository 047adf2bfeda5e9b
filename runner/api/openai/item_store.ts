/**
 * What past responses were made of, so that a client may refer to it instead of sending it again, as OpenAI's API has it
 * unless `store` is false: output items by their ids (`item_reference`), and conversations by the response that ended them
 * (`previous_response_id`). It stays in the runner's memory: for a while, a little, each for the client it was made for,
 * and nothing outlives the model's being loaded. Each client has a map of its own. Where there is too much, who holds the most
 * loses its oldest: so a client alone may use all, and one that floods pushes out nobody's but its own.
 */
import type { Work } from "../../../src/budget.ts";
import { jsonSize } from "../../json_work.ts";
import type { ChatMessage } from "../../engine/types.ts";
import type { OutputItem } from "./responses_events.ts";

/** Of all clients together; characters of JSON, about. */
const MAX_ENTRIES = 1024;
const MAX_CHARS = 8 * 1024 * 1024;
const LIFE_MS = 30 * 60 * 1000;

/** Its turns, the reply included, without the instructions. */
type Conversation = readonly ChatMessage[];

interface Entry {
  readonly value: OutputItem | Conversation;
  readonly chars: number;
  readonly until: number;
}

/** What one client holds. */
class Share {
  /** In the order of their age. */
  readonly entries = new Map<string, Entry>();
  chars = 0;

  add(id: string, entry: Entry): void {
    this.delete(id);
    this.entries.set(id, entry);
    this.chars += entry.chars;
  }

  delete(id: string): void {
    this.chars -= this.entries.get(id)?.chars ?? 0;
    this.entries.delete(id);
  }

  deleteOldest(): void {
    const [oldest] = this.entries.keys();
    if (oldest !== undefined) this.delete(oldest);
  }

  deleteExpired(now: number): void {
    for (const [id, { until }] of this.entries) {
      if (until > now) return;
      this.delete(id);
    }
  }
}

export class ItemStore {
  readonly #shares = new Map<string, Share>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  *rememberItems(client: string, items: readonly OutputItem[]): Work<void> {
    for (const item of items) yield* this.#remember(client, String(item.id), item);
  }

  *rememberConversation(
    client: string,
    responseId: string,
    conversation: Conversation,
  ): Work<void> {
    yield* this.#remember(client, responseId, conversation);
  }

  /** The client's own item, if it is still there. */
  item(client: string, id: string): OutputItem | undefined {
    const value = this.#find(client, id);
    return value === undefined || Array.isArray(value) ? undefined : value as OutputItem;
  }

  /** The client's own conversation up to this response, if it is still there. */
  conversation(client: string, responseId: string): Conversation | undefined {
    const value = this.#find(client, responseId);
    return Array.isArray(value) ? value : undefined;
  }

  *#remember(client: string, id: string, value: OutputItem | Conversation): Work<void> {
    // No more than is kept: what is larger goes at once.
    const chars = yield* jsonSize(value, MAX_CHARS);
    const share = this.#shares.get(client) ?? new Share();
    this.#shares.set(client, share);
    share.add(id, { value, chars, until: this.#now() + LIFE_MS });
    this.#forgetExpired();
    this.#makeRoom((one) => one.entries.size, MAX_ENTRIES);
    this.#makeRoom((one) => one.chars, MAX_CHARS);
  }

  #find(client: string, id: string): OutputItem | Conversation | undefined {
    this.#forgetExpired();
    return this.#shares.get(client)?.entries.get(id)?.value;
  }

  #forgetExpired(): void {
    const now = this.#now();
    for (const [client, share] of this.#shares) {
      share.deleteExpired(now);
      if (share.entries.size === 0) this.#shares.delete(client);
    }
  }

  /** While all hold more than `most` together, who holds the most loses its oldest. */
  #makeRoom(sizeOf: (share: Share) => number, most: number): void {
    for (;;) {
      let sum = 0;
      let largest: { client: string; share: Share } | undefined;
      for (const [client, share] of this.#shares) {
        sum += sizeOf(share);
        if (!largest || sizeOf(share) > sizeOf(largest.share)) largest = { client, share };
      }
      if (sum <= most || !largest) return;
      largest.share.deleteOldest();
      if (largest.share.entries.size === 0) this.#shares.delete(largest.client);
    }
  }
}
