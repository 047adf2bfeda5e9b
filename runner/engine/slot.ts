/** Slots: one sequence of the KV cache each, and whose tokens it holds. */
import type { Generation } from "./generation.ts";
import type { PictureChunk } from "./vision/picture.ts";

/** Tokens that a kept prefix must have in common with a prompt to be worth a slot that is not the emptiest. */
const MIN_SHARED_TOKENS = 8;

/** Where a piece of a picture lies in the cache. */
interface Seen {
  readonly start: number;
  readonly chunk: PictureChunk;
}

export class Slot {
  readonly sequence: number;
  /** Tokens in the KV cache, in their order; below 0: a piece of a picture, once for each of its cells. */
  cells: number[] = [];
  /** Pieces of pictures among them. */
  #seen: Seen[] = [];
  /** Whose tokens they are. Another client's request never sees them. */
  client: string | undefined;
  usedAt = 0;
  generation: Generation | undefined;
  /** The token to decode next; absent while the prompt is not through. */
  next: number | undefined;
  /** The step that last generated for it: those that take turns go in this order. */
  stepped = 0;
  /** When the request took it, on `performance.now()`; and when it began to generate in it, if it has. */
  takenAt = 0;
  generatesSince: number | undefined;
  /** Cells that were there when the request took it. */
  found = 0;

  /** Leading cells that were computed from the tokens before them and no others; those behind saw tokens that are gone. */
  #exact = Infinity;

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

  /** Tokens of the prompt up to the next picture, or its end. */
  get textLeft(): number {
    const left = this.promptLeft;
    if (left === 0 || this.generation?.hasPictures !== true) return left;
    const { pending } = this.generation;
    let end = this.cells.length;
    while (end < pending.length && pending[end]! >= 0) end++;
    return end - this.cells.length;
  }

  /** The picture's piece that the prompt goes on with; undefined: it goes on with text. */
  get nextChunk(): PictureChunk | undefined {
    const next = this.promptLeft === 0 ? 0 : this.generation!.pending[this.cells.length]!;
    return next < 0 ? this.generation!.chunk(next) : undefined;
  }

  /** The position that a number of leading cells ends at: a picture may advance the text by less than its cells. */
  position(cells: number): number {
    return this.#seen.reduce(
      (sum, { start, chunk }) => start < cells ? sum - (chunk.cells - chunk.positions) : sum,
      cells,
    );
  }

  /** Notes that a piece of a picture is in the cache. */
  see(chunk: PictureChunk): void {
    this.#seen.push({ start: this.cells.length, chunk });
    for (let cell = 0; cell < chunk.cells; cell++) this.cells.push(chunk.id);
  }

  /** Notes that only the first cells are left. */
  keep(cells: number): void {
    this.cells.length = cells;
    if (cells <= this.#exact) this.#exact = Infinity;
    this.#seen = this.#seen.filter(({ start }) => start < cells);
  }

  /** Notes that cells in the middle are gone, and those behind them moved up. No piece of a picture is among them. */
  drop(from: number, to: number): void {
    this.cells.splice(from, to - from);
    this.#exact = Math.min(this.#exact, from);
  }

  /** Takes its request out; the tokens stay, for the same client's next prompt. */
  release(): Generation | undefined {
    const { generation } = this;
    this.generation = undefined;
    this.next = undefined;
    this.usedAt = performance.now();
    return generation;
  }

  /** Whether nothing was done yet for the request that took it. */
  get untouched(): boolean {
    return this.next === undefined && this.cells.length === this.found;
  }

  /** Whether the request has generated for as long as its prompt took, and for `turnMs` at least. */
  hadTurn(now: number, turnMs: number): boolean {
    if (this.generatesSince === undefined) return false;
    return now - this.generatesSince >= Math.max(turnMs, this.generatesSince - this.takenAt);
  }

  /** Leading tokens that the cache and the prompt share, if the client is the same; never the whole prompt. */
  sharedPrefix(client: string, prompt: Int32Array): number {
    if (this.client !== client) return 0;
    const limit = Math.min(this.cells.length, prompt.length - 1, this.#exact);
    let length = 0;
    while (length < limit && this.cells[length] === prompt[length]) length++;
    // Never a part of a picture.
    const cut = this.#seen.find(({ start, chunk }) =>
      start < length && length < start + chunk.cells
    );
    return cut?.start ?? length;
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
 * Which slot has to be given up for a client that waits and finds none: of those who have most, more than it, one that nothing was
 * done for yet, else one that had its turn; none if that helps nobody. Of two who have one each, or none, only one that had its turn
 * goes, and only for who has none.
 */
export function chooseYielding(
  slots: readonly Slot[],
  client: string,
  { now, turnMs }: { now: number; turnMs: number },
): Slot | undefined {
  const running = runningBy(slots);
  const own = running.get(client) ?? 0;
  const held = (slot: Slot) => running.get(slot.generation!.client)!;
  const may = (slot: Slot) => {
    if (slot.generation === undefined || slot.generation.client === client) return false;
    if (held(slot) >= own + 2 && slot.untouched) return true;
    return (own === 0 || held(slot) >= own + 2) && slot.hadTurn(now, turnMs);
  };
  // The youngest: the elder ones have more to lose.
  const [first] = slots.filter(may).sort((a, b) =>
    held(b) - held(a) || Number(b.untouched) - Number(a.untouched) || b.turn - a.turn
  );
  return first;
}

function runningBy(slots: readonly Pick<Slot, "generation">[]): Map<string, number> {
  const running = new Map<string, number>();
  for (const { generation } of slots) {
    if (generation) running.set(generation.client, (running.get(generation.client) ?? 0) + 1);
  }
  return running;
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
  const running = runningBy(slots);
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
