/**
 * Output items of past responses, so that a client may refer to them by id (`item_reference`) instead of sending them
 * again, as OpenAI's API has it unless `store` is false. They stay in the runner's memory: for a while, a few, each for
 * the client it was made for, and none outlives the model's being loaded.
 */
import type { OutputItem } from "./responses_events.ts";

const MAX_ITEMS = 1024;
const MAX_CHARS = 8 * 1024 * 1024;
const LIFE_MS = 30 * 60 * 1000;

interface Entry {
  readonly client: string;
  readonly item: OutputItem;
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

  remember(client: string, items: readonly OutputItem[]): void {
    for (const item of items) {
      const chars = JSON.stringify(item).length;
      this.#entries.set(String(item.id), { client, item, chars, until: this.#now() + LIFE_MS });
      this.#chars += chars;
    }
    this.#forget();
  }

  /** The client's own item, if it is still there. */
  find(client: string, id: string): OutputItem | undefined {
    this.#forget();
    const entry = this.#entries.get(id);
    return entry?.client === client ? entry.item : undefined;
  }

  #forget(): void {
    for (const [id, { chars, until }] of this.#entries) {
      const full = this.#entries.size > MAX_ITEMS || this.#chars > MAX_CHARS;
      if (!full && until > this.#now()) return;
      this.#entries.delete(id);
      this.#chars -= chars;
    }
  }
}
