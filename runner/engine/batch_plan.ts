/** What the next batch is to have: the next token of every slot that generates, or a chunk of a prompt, in turn. */
import type { Batch } from "./batch.ts";
import type { BatchPolicy } from "./batch_policy.ts";
import { type GuessCosts, MOST_GUESSES } from "./guess_costs.ts";
import { promptChunk, type PromptChunker, SHORT_PROMPT_TOKENS } from "./prompt_chunker.ts";
import type { Generation } from "./generation.ts";
import type { Slot } from "./slot.ts";
import type { Planned, SlotCells } from "./slot_cells.ts";
import type { PictureChunk } from "./vision/picture.ts";

export interface Output {
  readonly slot: Slot;
  readonly index: number;
}

export interface Plan {
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly outputs: readonly Output[];
  /** Slots in the batch, with the number of cells each will have. */
  readonly cells: readonly { slot: Slot; tokens: number[] }[];
  /** Tokens of the only slot's reply that were guessed: they are in the batch, and in no cell until they are drawn. */
  readonly guessed?: readonly number[];
  /** Whether the draft model guessed them. */
  readonly isDrafted?: boolean;
  /** In place of a batch: a piece of a picture, which is read alone. */
  readonly picture?: { readonly slot: Slot; readonly chunk: PictureChunk };
}

/** What a draft model says may follow the next token of a generation. */
export interface Drafted {
  readonly generation: Generation;
  /** Tokens that it had generated then. */
  readonly length: number;
  readonly tokens: readonly number[];
}

interface BatchPlannerOptions {
  readonly batch: Batch;
  readonly cells: SlotCells;
  readonly promptChunker: PromptChunker;
  readonly batchPolicy: BatchPolicy;
  /** Absent: nothing is guessed, as the model's memory cannot take a token back. */
  readonly guessCosts: GuessCosts | undefined;
}

export class BatchPlanner {
  readonly #o: BatchPlannerOptions;
  /** By client, the step that last read a prompt of its; kept while those of several are read. */
  readonly #clientPrompts = new Map<string, number>();
  /** Tokens to be generated before prompts have a turn again. */
  #owed = 0;
  #step = 0;

  constructor(options: BatchPlannerOptions) {
    this.#o = options;
  }

  /**
   * Either one token of each slot that generates, or prompt tokens. Never both: with a cache for each sequence, llama.cpp
   * splits a batch whose sequences have different numbers of tokens, and computes the parts one after another.
   * @param step The number of the step that the batch is for.
   * @param drafted Taken where the text itself has no guess that pays.
   */
  plan(step: number, drafted?: Drafted): Plan {
    this.#step = step;
    this.#o.batch.clear();
    const active = this.#o.cells.slots.filter(({ generation }) =>
      generation !== undefined && !generation.congested
    );
    const decoding = active.filter(({ next }) => next !== undefined);
    const prompts = active.filter(({ next }) => next === undefined);
    if (prompts.length === 0 || decoding.length > 0 && this.#owed > 0) {
      const plan = this.#planDecode(decoding, drafted);
      this.#owed -= plan.decodeTokens;
      return plan;
    }
    // Each slot that generates gets its next token before another prompt does.
    this.#owed = decoding.length;
    return this.#planPrompts(prompts, this.#o.promptChunker.promptLimit(decoding.length > 0));
  }

  #planDecode(decoding: readonly Slot[], drafted: Drafted | undefined): Plan {
    const { batch, batchPolicy } = this.#o;
    const planned: Planned = { count: 0, slots: new Set() };
    const chosen = decoding.toSorted((a, b) => a.stepped - b.stepped)
      .slice(0, batchPolicy.limit(decoding.length))
      .sort((a, b) => a.turn - b.turn)
      .filter((slot) => {
        if (slot.generation === undefined) return false; // it made room for an elder
        if (this.#o.cells.take(slot, 1, planned) === 1) return true;
        // All is its elders': what it holds is what keeps them from going on.
        this.#o.cells.putBack(slot);
        return false;
      })
      .sort((a, b) => a.sequence - b.sequence); // as the batch must be
    const outputs: Output[] = [];
    const cells: { slot: Slot; tokens: number[] }[] = [];
    for (const slot of chosen) {
      const next = slot.next as number;
      const position = slot.position(slot.cells.length);
      const place = { position, sequence: slot.sequence, output: true };
      outputs.push({ slot, index: batch.add(next, place) });
      cells.push({ slot, tokens: [next] });
      slot.stepped = this.#step;
    }
    const plan = { promptTokens: 0, decodeTokens: chosen.length, outputs, cells };
    const [alone] = chosen;
    if (decoding.length > 1 || alone === undefined) return plan;
    const { guessed, isDrafted } = this.#guess(alone, planned, drafted);
    const position = alone.position(alone.cells.length) + 1;
    for (const [offset, token] of guessed.entries()) {
      const place = { position: position + offset, sequence: alone.sequence, output: true };
      outputs.push({ slot: alone, index: batch.add(token, place) });
    }
    return { ...plan, guessed, isDrafted };
  }

  /**
   * Tokens that may follow the next one of a slot, where it pays to decode them with it. Only of one that generates alone: with a
   * cache for each sequence, llama.cpp would compute sequences of different lengths one after another.
   */
  #guess(
    slot: Slot,
    planned: Planned,
    drafted: Drafted | undefined,
  ): { readonly guessed: readonly number[]; readonly isDrafted: boolean } {
    const { guessCosts } = this.#o;
    const generation = slot.generation!;
    if (guessCosts === undefined) return { guessed: [], isDrafted: false };
    const guesser = generation.guesser();
    const most = Math.min(this.mostGuesses(slot), this.#o.cells.free(planned));
    const count = guesser.guesses ? guessCosts.choose(guesser.chance, most) : 0;
    if (count > 0) return { guessed: guesser.guess(count), isDrafted: false };
    const isOfNow = drafted?.generation === generation &&
      drafted.length === generation.generated.length;
    return { guessed: isOfNow ? drafted.tokens.slice(0, most) : [], isDrafted: isOfNow };
  }

  /** Tokens that may be guessed of the slot's text, if there are cells for them. */
  mostGuesses(slot: Slot): number {
    return Math.min(
      MOST_GUESSES,
      slot.generation!.tokensLeft - 1,
      // Nothing is guessed beyond a shift: it would be drawn with what is to go.
      this.#o.cells.window(slot) - slot.cells.length - 1,
      this.#o.batch.capacity - 1,
    );
  }

  /** The prompt that waits longest, each client's in turn; if it is short, other short ones with it. */
  #planPrompts(prompts: readonly Slot[], limit: number): Plan {
    const { batch } = this.#o;
    const readAt = ({ client }: Slot) => this.#clientPrompts.get(client!) ?? -1;
    const [eldest, ...others] = prompts.toSorted((a, b) =>
      readAt(a) - readAt(b) || a.turn - b.turn
    ) as [
      Slot,
      ...Slot[],
    ];
    if (others.every(({ client }) => client === eldest.client)) this.#clientPrompts.clear();
    else this.#clientPrompts.set(eldest.client!, this.#step);
    const planned: Planned = { count: 0, slots: new Set() };
    const picture = eldest.nextChunk;
    if (picture) return this.#planPicture(eldest, picture);
    const chunk = promptChunk(eldest.textLeft, limit, batch.capacity);
    const share = this.#o.cells.take(eldest, chunk, planned);
    if (share === 0) this.#o.cells.putBack(eldest); // those that generate hold all the rest
    const shares = new Map([[eldest, share]]);
    let room = limit - eldest.promptLeft;
    for (const slot of others) {
      if (eldest.promptLeft >= SHORT_PROMPT_TOKENS) break;
      if (slot.promptLeft >= SHORT_PROMPT_TOKENS || slot.promptLeft > room) continue;
      if (slot.textLeft < slot.promptLeft) continue;
      const share = this.#o.cells.take(slot, slot.promptLeft, planned);
      shares.set(slot, share);
      room -= share;
    }
    const outputs: Output[] = [];
    const cells: { slot: Slot; tokens: number[] }[] = [];
    for (const slot of this.#o.cells.slots) {
      const count = shares.get(slot);
      if (count === undefined || count === 0 || !slot.generation) continue;
      const { pending } = slot.generation;
      const start = slot.cells.length;
      const tokens = [...pending.subarray(start, start + count)];
      const first = slot.position(start);
      for (const [offset, token] of tokens.entries()) {
        const position = first + offset;
        const output = start + offset === pending.length - 1;
        const index = batch.add(token, { position, sequence: slot.sequence, output });
        if (output) outputs.push({ slot, index });
      }
      cells.push({ slot, tokens });
    }
    return { promptTokens: batch.count, decodeTokens: 0, outputs, cells };
  }

  #planPicture(slot: Slot, chunk: PictureChunk): Plan {
    const planned: Planned = { count: 0, slots: new Set() };
    const none = { promptTokens: 0, decodeTokens: 0, outputs: [], cells: [] };
    if (this.#o.cells.take(slot, chunk.cells, planned, chunk.cells) > 0) {
      return { ...none, picture: { slot, chunk } };
    }
    this.#o.cells.putBack(slot);
    return none;
  }
}
