/** Slots: one sequence of the KV cache each, and whose tokens it holds. */
import type { Generation } from "./generation.ts";

/** Tokens that a kept prefix must have in common with a prompt to be worth a slot that is not the emptiest. */
const MIN_SHARED_TOKENS = 8;

export class Slot {
  readonly sequence: number;
  /** Tokens in the KV cache, by position. */
  cells: number[] = [];
  /** Whose tokens they are. Another client's request never sees them. */
  client: string | undefined;
  usedAt = 0;
  generation: Generation | undefined;
  /** The token to decode next; absent while the prompt is not through. */
  next: number | undefined;
  /** The step that last generated for it: those that take turns go in this order. */
  stepped = 0;

  constructor(sequence: number) {
    this.sequence = sequence;
  }

  /** Order in which requests first took a slot: the eldest goes first. */
  get turn(): number {
    return this.generation?.turn ?? Infinity;
  }

  /** Tokens of the prompt that are not in the cache yet. */
  get promptLeft(): number {
    return this.generation === undefined || this.next !== undefined
      ? 0
      : this.generation.pending.length - this.cells.length;
  }

  /** Leading tokens that the cache and the prompt share, if the client is the same; never the whole prompt. */
  sharedPrefix(client: string, prompt: Int32Array): number {
    if (this.client !== client) return 0;
    const limit = Math.min(this.cells.length, prompt.length - 1);
    let length = 0;
    while (length < limit && this.cells[length] === prompt[length]) length++;
    return length;
  }
}

/** The free slot that fits best: the longest shared prefix, else an empty one, else the one unused for longest. */
export function chooseSlot(
  slots: readonly Slot[],
  client: string,
  prompt: Int32Array,
): { slot: Slot; shared: number } | undefined {
  let best: { slot: Slot; shared: number } | undefined;
  let oldest: Slot | undefined;
  for (const slot of slots) {
    if (slot.generation) continue;
    const shared = slot.sharedPrefix(client, prompt);
    if (shared >= MIN_SHARED_TOKENS && shared > (best?.shared ?? 0)) best = { slot, shared };
    if (oldest === undefined || slot.usedAt < oldest.usedAt) oldest = slot;
  }
  if (best || oldest === undefined) return best;
  return { slot: oldest, shared: oldest.sharedPrefix(client, prompt) };
}

/**
 * Which waiting request is next: of the client with the fewest running, and of those of the one whose turn was longest ago,
 * the one that waits longest. So one client's hundred requests do not hold up another's one, with one slot or with many.
 * @param turns When each client last took a slot, in any rising order.
 */
export function chooseWaiting(
  waiting: readonly Pick<Generation, "client">[],
  slots: readonly Pick<Slot, "generation">[],
  turns: ReadonlyMap<string, number>,
): number {
  const running = new Map<string, number>();
  for (const { generation } of slots) {
    if (generation) running.set(generation.client, (running.get(generation.client) ?? 0) + 1);
  }
  let best = 0;
  let fewest = Infinity;
  let longestAgo = Infinity;
  for (const [index, { client }] of waiting.entries()) {
    const count = running.get(client) ?? 0;
    const turn = turns.get(client) ?? -1;
    if (count < fewest || count === fewest && turn < longestAgo) {
      fewest = count;
      longestAgo = turn;
      best = index;
    }
  }
  return best;
}
