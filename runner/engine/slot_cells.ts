/**
 * The cells of the context's cache, of one token each, which all slots share: who may have more, who gives theirs back, and what of
 * a sequence is forgotten or moved.
 */
import { cellsToDrop } from "./context_shift.ts";
import type { Generation } from "./generation.ts";
import type { Slot } from "./slot.ts";
import type { LlamaSymbols } from "./symbols.ts";

/** Cells that are left to each request for what it generates, before another one may start. */
const GROWTH_TOKENS = 256;

/** Tokens that the batch in the making has already, and the slots they belong to. */
export interface Planned {
  count: number;
  readonly slots: Set<Slot>;
}

interface SlotCellsOptions {
  readonly llama: LlamaSymbols;
  /** Absent for a model that only embeds. */
  readonly context: Deno.PointerValue;
  readonly slots: readonly Slot[];
  /** Tokens of context a slot has. */
  readonly slotContextLength: number;
  /** Of all slots. */
  readonly cells: number;
  /** A request gave its slot up and is to wait again, before others. */
  readonly onPutBack: (generation: Generation) => void;
}

export class SlotCells {
  readonly slots: readonly Slot[];
  readonly #o: SlotCellsOptions;
  readonly #memory: Deno.PointerValue;
  /** Whether cells can be given other positions. */
  readonly #canShift: boolean;

  constructor(options: SlotCellsOptions) {
    const { llama, context } = this.#o = options;
    this.slots = options.slots;
    this.#memory = context === null ? null : llama.llama_get_memory(context);
    this.#canShift = this.#memory !== null && llama.llama_memory_can_shift(this.#memory);
  }

  /** Whether it would find cells beside what runs, without taking those that the others need soon. */
  hasRoomFor({ pending }: Generation): boolean {
    const running = this.slots.filter(({ generation }) =>
      generation !== undefined && !generation.congested
    );
    if (running.length === 0) return true;
    const soon = (tokens: number) => Math.min(tokens + GROWTH_TOKENS, this.#o.slotContextLength);
    const taken = running.reduce(
      (sum, { cells, generation }) =>
        sum + soon(Math.max(cells.length, generation!.pending.length)),
      0,
    );
    return taken + soon(pending.length) <= this.#o.cells;
  }

  /**
   * Finds cells for more tokens of a slot. What is kept for a later prompt goes first, the least recently used before others;
   * then requests whose readers are behind, and then younger ones, give all theirs back and wait again. So the eldest that is
   * read always gets on.
   * @param planned Tokens that the batch in the making has already, and the slots they belong to.
   * @param least Fewer than this are of no use to it.
   * @returns How many of `wanted` it may have; 0: fewer than `least`.
   */
  take(
    slot: Slot,
    wanted: number,
    planned: Planned,
    least = 1,
  ): number {
    const free = () => this.free(planned);
    while (free() < wanted) {
      const [kept] = this.slots
        .filter(({ generation, cells }) => generation === undefined && cells.length > 0)
        .sort((a, b) => a.usedAt - b.usedAt);
      if (kept === undefined) break;
      this.empty(kept);
    }
    while (free() < least) {
      const behind = ({ generation }: Slot) => generation?.congested === true;
      const [first] = this.slots
        .filter((one) =>
          one !== slot && (behind(one) || one.turn > slot.turn) && one.cells.length > 0 &&
          !planned.slots.has(one)
        )
        .sort((a, b) => Number(behind(b)) - Number(behind(a)) || b.turn - a.turn);
      if (first === undefined) break;
      this.putBack(first);
    }
    const room = Math.max(0, Math.min(wanted, free()));
    const count = room < least ? 0 : room;
    planned.count += count;
    if (count > 0) planned.slots.add(slot);
    return count;
  }

  /** Cells that nobody has, less those that the batch in the making is to fill. */
  free(planned: Pick<Planned, "count">): number {
    return this.slots.reduce((left, { cells }) => left - cells.length, this.#o.cells) -
      planned.count;
  }

  /** Lets a request wait again, as if all that it has were its prompt. */
  putBack(slot: Slot): void {
    const { generation, next, cells } = slot;
    if (generation === undefined) return;
    if (next !== undefined) generation.pending = Int32Array.from([...cells, next]);
    slot.release();
    this.empty(slot);
    this.#o.onPutBack(generation);
  }

  /** Forgets all of a slot. */
  empty(slot: Slot): void {
    this.forget(slot, 0);
    slot.client = undefined;
  }

  /** Leaves the first cells of a slot. @returns false: the memory cannot forget a part; nothing has changed. */
  forget(slot: Slot, cells: number): boolean {
    const { llama } = this.#o;
    const from = cells > 0 ? slot.position(cells) : -1;
    const done = llama.llama_memory_seq_rm(this.#memory, slot.sequence, from, -1);
    if (done || cells === 0) slot.keep(cells);
    return done;
  }

  /** Whether the slot goes on with the next token; if its context is full, the oldest cells make room where they may. */
  hasPlace(slot: Slot, next: number): boolean {
    const { llama } = this.#o;
    const { cells, sequence, generation } = slot;
    const shift = generation?.shift;
    slot.next = next;
    if (cells.length < this.window(slot)) return true;
    if (generation === undefined || shift === undefined) return false;
    const { from, to } = cellsToDrop(cells.length, shift);
    if (
      this.#canShift && llama.llama_memory_seq_rm(this.#memory, sequence, from, to)
    ) {
      // What is left keeps what it knew of the tokens that go.
      llama.llama_memory_seq_add(this.#memory, sequence, to, -1, from - to);
      slot.drop(from, to);
      return true;
    }
    // A memory that cannot move its cells reads what is left once more.
    generation.pending = Int32Array.from([...cells.slice(0, from), ...cells.slice(to), next]);
    slot.next = undefined;
    if (!this.forget(slot, from)) this.forget(slot, 0);
    return true;
  }

  /** Cells that the slot may fill before it is full. */
  window({ generation }: Slot): number {
    return Math.min(generation?.shift?.window ?? Infinity, this.#o.slotContextLength);
  }
}
