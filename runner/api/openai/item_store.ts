/**
 * What past responses were made of, so that a client may refer to it instead of sending it again, as OpenAI's API has it
 * unless `store` is false: output items by their ids (`item_reference`), and conversations by the response that ended them
 * (`previous_response_id`). It stays in the runner's memory: for a while, a little, each for the client it was made for,
 * and nothing outlives the model's being loaded.
 */
import type { ChatMessage } from "../../engine/types.ts";
import type { OutputItem } from "./responses_events.ts";

const MAX_ENTRIES = 1024;
const MAX_CHARS = 8 * 1024 * 1024;
const LIFE_MS = 30 * 60 * 1000;

/** Its turns, the reply included, without the instructions. */
export type Conversation = readonly ChatMessage[];

interface Entry {
  readonly client: string;
  readonly value: OutputItem | Conversation;
  readonly chars: number;
  readonly until: number;
}

export class ItemStore {
  /** In the order of their age. */
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;
  #chars = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  rememberItems(client: string, items: readonly OutputItem[]): void {
    for (const item of items) this.#remember(client, String(item.id), item);
  }

  rememberConversation(client: string, responseId: string, conversation: Conversation): void {
    this.#remember(client, responseId, conversation);
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

  #remember(client: string, id: string, value: OutputItem | Conversation): void {
    const chars = JSON.stringify(value).length;
    this.#entries.set(id, { client, value, chars, until: this.#now() + LIFE_MS });
    this.#chars += chars;
    this.#forget();
  }

  #find(client: string, id: string): OutputItem | Conversation | undefined {
    this.#forget();
    const entry = this.#entries.get(id);
    return entry?.client === client ? entry.value : undefined;
  }

  #forget(): void {
    for (const [id, { chars, until }] of this.#entries) {
      const full = this.#entries.size > MAX_ENTRIES || this.#chars > MAX_CHARS;
      if (!full && until > this.#now()) return;
      this.#entries.delete(id);
      this.#chars -= chars;
    }
  }
}
