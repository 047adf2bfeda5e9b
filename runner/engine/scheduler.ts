/**
 * The one loop that decodes: continuous batching over slots. A step takes one token of every slot that generates, or a chunk
 * of a prompt, in turn; then each slot that has an output draws its next token.
 *
 * All native calls that touch the contexts happen here, one after another. Decoding runs in a thread of the runtime's blocking
 * pool: the hop costs some microseconds, and this thread, asleep meanwhile, hears requests and cancellations at once and
 * seals the last tokens. Decoding on this thread with a turn of the event loop (`setImmediate`) between steps was measured
 * too: 2% faster for the smallest models, but the runtime looks for input only every few dozen turns while there is always
 * another turn to take, and a request waited 60 ms, at worst 300, to be read.
 */
import { SecLlamaError, toSecLlamaError } from "../../src/errors.ts";
import type { Batch } from "./batch.ts";
import type { AdaptiveThreads } from "./adaptive_threads.ts";
import { cellsToDrop } from "./context_shift.ts";
import type { Generation } from "./generation.ts";
import type { BatchPolicy } from "./batch_policy.ts";
import { type GuessCosts, MOST_GUESSES } from "./guess_costs.ts";
import { promptChunk, type PromptChunker, SHORT_PROMPT_TOKENS } from "./prompt_chunker.ts";
import { chooseSlot, chooseWaiting, chooseYielding, Slot } from "./slot.ts";
import { type Task, TaskCircle } from "./task_circle.ts";
import { BROKEN_OFF, type StopSignal } from "./stop_signal.ts";
import type { LlamaSymbols } from "./symbols.ts";
import type { PictureChunk } from "./vision/picture.ts";
import type { Vision } from "./vision/vision.ts";

type Pointer = Deno.PointerValue;

export interface SchedulerOptions {
  readonly llama: LlamaSymbols;
  /** Absent for a model that only embeds. */
  readonly context: Pointer;
  readonly batch: Batch;
  /** Of a model that sees. */
  readonly vision: Vision | undefined;
  readonly promptChunker: PromptChunker;
  readonly adaptiveThreads: AdaptiveThreads;
  readonly batchPolicy: BatchPolicy;
  /** Absent: nothing is guessed, as the model's memory cannot take a token back. */
  readonly guessCosts: GuessCosts | undefined;
  readonly stopSignal: StopSignal | undefined;
  readonly slots: number;
  /** Tokens of context a slot has. */
  readonly slotContextLength: number;
  /** Cells of the cache, of one token each, that all slots share. */
  readonly cells: number;
  readonly vocabularySize: number;
  readonly queueLimit: number;
  /** How long a request generates before it makes way for another client's that waits. Default: {@link TURN_MS}. */
  readonly turnMs?: number;
  /** Frees the contexts and the model, when the loop has ended. */
  readonly onClosed: () => void;
}

/** Cells that are left to each request for what it generates, before another one may start. */
const GROWTH_TOKENS = 256;
/** Long beside a token, short beside what somebody waits for. */
const TURN_MS = 5_000;

interface Output {
  readonly slot: Slot;
  readonly index: number;
}

interface Plan {
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly outputs: readonly Output[];
  /** Slots in the batch, with the number of cells each will have. */
  readonly cells: readonly { slot: Slot; tokens: number[] }[];
  /** Tokens of the only slot's reply that were guessed: they are in the batch, and in no cell until they are drawn. */
  readonly guessed?: readonly number[];
  /** In place of a batch: a piece of a picture, which is read alone. */
  readonly picture?: { readonly slot: Slot; readonly chunk: PictureChunk };
}

export class Scheduler {
  readonly #o: SchedulerOptions;
  readonly #slots: Slot[];
  readonly #memory: Pointer;
  /** Whether cells can be given other positions. */
  readonly #canShift: boolean;
  #waiting: Generation[] = [];
  /** Other work for the contexts' thread of control: embeddings. */
  readonly #tasks = new TaskCircle();
  #wake: (() => void) | undefined;
  /** Whether something came since the step in progress began. */
  #stirred = false;
  #turns = 0;
  /** By client, when it last took a slot; kept while requests wait. */
  readonly #clientTurns = new Map<string, number>();
  /** By client, the step that last read a prompt of its; kept while those of several are read. */
  readonly #clientPrompts = new Map<string, number>();
  #steps = 0;
  /** Slots whose prompts the step in progress is about; it can be broken off. */
  #prompting: readonly Slot[] = [];
  /** Tokens to be generated before prompts have a turn again. */
  #owed = 0;
  /** Threads the context was last told to use. */
  #threads = 0;
  #closed = false;

  constructor(options: SchedulerOptions) {
    this.#o = options;
    this.#slots = Array.from({ length: options.slots }, (_, sequence) => new Slot(sequence));
    this.#memory = options.context === null
      ? null
      : options.llama.llama_get_memory(options.context);
    this.#canShift = this.#memory !== null &&
      options.llama.llama_memory_can_shift(this.#memory);
    void this.#run();
  }

  get busy(): number {
    return this.#slots.filter(({ generation }) => generation !== undefined).length;
  }

  /** Batches decoded so far. */
  get steps(): number {
    return this.#steps;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether another request would be refused. */
  get full(): boolean {
    return this.#waiting.length >= this.#o.queueLimit;
  }

  /** Takes a request; its events tell the rest. */
  submit(generation: Generation): void {
    this.#waiting.push(generation);
    this.wake();
  }

  /** Runs work between two steps: each client's in turn. */
  task(client: string, work: Task): void {
    this.#tasks.add(client, work);
    this.wake();
  }

  cancel(generation: Generation): void {
    const at = this.#waiting.indexOf(generation);
    if (at >= 0) {
      this.#waiting.splice(at, 1);
      generation.abandon();
    } else if (
      this.#prompting.length > 0 && this.#prompting.every((slot) => slot.generation?.cancelled)
    ) this.#o.stopSignal?.raise();
    this.wake();
  }

  wake(): void {
    this.#stirred = true;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Ends all requests with `cancelled`, now or after the step in progress. */
  close(): void {
    this.#closed = true;
    for (const generation of this.#waiting.splice(0)) generation.abandon();
    this.#o.stopSignal?.raise();
    this.wake();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        this.#stirred = false;
        const more = await this.#step();
        if (!more && !this.#stirred) await new Promise<void>((resolve) => this.#wake = resolve);
      } catch (error) {
        // A bug: end what runs rather than serve it wrong tokens.
        this.#failAll(toSecLlamaError(error));
      }
    }
    for (const slot of this.#slots) this.#release(slot)?.abandon();
    for (let task = this.#tasks.next(); task; task = this.#tasks.next()) await task();
    this.#o.onClosed();
  }

  /** @returns Whether there may be more to do. */
  async #step(): Promise<boolean> {
    const task = this.#tasks.next();
    if (task) await task();
    this.#dropCancelled();
    this.#admit();
    const plan = this.#plan();
    if (plan.picture) return await this.#readPicture(plan.picture);
    if (this.#o.batch.count === 0) return this.#tasks.size > 0;
    const {
      llama,
      context,
      batch,
      promptChunker,
      adaptiveThreads,
      batchPolicy,
      guessCosts,
      stopSignal,
    } = this.#o;
    if (this.#threads !== adaptiveThreads.threads) {
      this.#threads = adaptiveThreads.threads;
      llama.llama_set_n_threads(context, this.#threads, this.#threads);
    }
    const { promptTokens, decodeTokens } = plan;
    this.#prompting = promptTokens > 0 ? plan.cells.map(({ slot }) => slot) : [];
    if (!this.#closed) stopSignal?.clear();
    const started = performance.now();
    const status = await llama.llama_decode_in_thread(context, batch.seal());
    const ms = performance.now() - started;
    this.#steps++;
    this.#prompting = [];
    if (status === BROKEN_OFF) {
      for (const { slot } of plan.cells) {
        if (!this.#forget(slot, slot.cells.length)) this.#forget(slot, 0);
      }
      return true;
    }
    promptChunker.record({ promptTokens, decodeTokens, ms });
    const { guessed = [] } = plan;
    if (promptTokens === 0 && guessed.length === 0) {
      adaptiveThreads.record({ sequences: decodeTokens, ms });
      batchPolicy.record({ sequences: decodeTokens, ms });
    }
    if (status !== 0) {
      this.#failBatch(plan, status);
      return true;
    }
    for (const { slot, tokens } of plan.cells) {
      slot.cells.push(...tokens);
      if (promptTokens > 0) slot.generation?.tellProgress(slot.cells.length);
    }
    const tokens = 1 + guessed.length;
    if (tokens > 1) {
      guessCosts?.record({ tokens, drawn: this.#drawGuessed(plan.outputs, guessed), ms });
      return true;
    }
    if (promptTokens === 0 && decodeTokens === 1) guessCosts?.record({ tokens, drawn: 1, ms });
    for (const output of plan.outputs) this.#draw(output);
    return true;
  }

  /**
   * Draws from each output as long as what was drawn before it is what was guessed: the draws, and the generator's numbers, are
   * those of tokens one by one. What was guessed wrong is forgotten.
   * @returns How many were drawn.
   */
  #drawGuessed(outputs: readonly Output[], guessed: readonly number[]): number {
    const [{ slot }] = outputs as [Output];
    const { generation } = slot;
    let right = 0;
    for (const [index, output] of outputs.entries()) {
      if (index > 0) {
        const token = guessed[index - 1]!;
        if (slot.generation !== generation || generation?.cancelled || slot.next !== token) break;
        slot.cells.push(token);
        right++;
      }
      this.#draw(output);
    }
    if (right < guessed.length && !this.#forget(slot, slot.cells.length)) {
      if (slot.generation) this.#putBack(slot);
      else this.#empty(slot);
    }
    return right + 1;
  }

  /** A picture cannot be broken off while it is encoded. */
  async #readPicture(
    { slot, chunk }: { readonly slot: Slot; readonly chunk: PictureChunk },
  ): Promise<true> {
    const { vision, context, stopSignal } = this.#o;
    const { generation } = slot;
    if (!this.#closed) stopSignal?.clear();
    this.#prompting = [slot];
    const before = slot.cells.length;
    const place = { position: slot.position(before), sequence: slot.sequence };
    const status = await vision!.decode(context, chunk, place);
    this.#steps++;
    this.#prompting = [];
    if (status === 0) slot.see(chunk);
    else if (status === BROKEN_OFF && (this.#closed || generation?.cancelled)) {
      if (!this.#forget(slot, before)) this.#forget(slot, 0);
    } else {
      this.#fail(slot, new SecLlamaError("model-failed", `the picture was refused: ${status}`));
    }
    return true;
  }

  #dropCancelled(): void {
    for (const slot of this.#slots) {
      if (slot.generation?.cancelled) this.#release(slot)?.abandon();
    }
  }

  #admit(): void {
    if (this.#waiting.length === 0) return this.#clientTurns.clear();
    for (;;) {
      // One that had to make room and whose reader is still behind waits for its reader.
      const ready = this.#waiting.filter(({ congested }) => !congested);
      const generation = ready[chooseWaiting(ready, this.#slots, this.#clientTurns)];
      if (generation === undefined) return;
      const choice = chooseSlot(this.#slots, generation.client, generation.pending);
      if (!choice || !this.#hasRoomFor(generation)) {
        if (this.#makeWay(generation.client)) continue;
        return;
      }
      this.#waiting.splice(this.#waiting.indexOf(generation), 1);
      const { slot } = choice;
      let { shared } = choice;
      // Some memories (recurrent ones) cannot forget a part: then all of it goes.
      if (!this.#forget(slot, shared)) {
        this.#forget(slot, 0);
        shared = 0;
      }
      slot.client = generation.client;
      slot.generation = generation;
      slot.next = undefined;
      slot.found = shared;
      slot.takenAt = performance.now();
      slot.generatesSince = undefined;
      this.#clientTurns.set(generation.client, this.#turns);
      if (generation.turn !== undefined) continue; // it had to wait once more
      generation.turn = this.#turns++;
      generation.cachedTokens = shared;
      generation.startedAt = performance.now();
      generation.tellProgress(shared);
    }
  }

  /** Lets one of a client's requests that has had its turn wait again, for a client who has less. */
  #makeWay(client: string): boolean {
    const { turnMs = TURN_MS } = this.#o;
    const slot = chooseYielding(this.#slots, client, { now: performance.now(), turnMs });
    if (slot?.generation === undefined) return false;
    // From here on its client is the one whose turn was last.
    this.#clientTurns.set(slot.generation.client, this.#turns++);
    this.#putBack(slot);
    return true;
  }

  /** Whether it would find cells beside what runs, without taking those that the others need soon. */
  #hasRoomFor({ pending }: Generation): boolean {
    const running = this.#slots.filter(({ generation }) =>
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
  #takeCells(
    slot: Slot,
    wanted: number,
    planned: { count: number; slots: Set<Slot> },
    least = 1,
  ): number {
    const free = () => this.#free(planned);
    while (free() < wanted) {
      const [kept] = this.#slots
        .filter(({ generation, cells }) => generation === undefined && cells.length > 0)
        .sort((a, b) => a.usedAt - b.usedAt);
      if (kept === undefined) break;
      this.#empty(kept);
    }
    while (free() < least) {
      const behind = ({ generation }: Slot) => generation?.congested === true;
      const [first] = this.#slots
        .filter((one) =>
          one !== slot && (behind(one) || one.turn > slot.turn) && one.cells.length > 0 &&
          !planned.slots.has(one)
        )
        .sort((a, b) => Number(behind(b)) - Number(behind(a)) || b.turn - a.turn);
      if (first === undefined) break;
      this.#putBack(first);
    }
    const room = Math.max(0, Math.min(wanted, free()));
    const count = room < least ? 0 : room;
    planned.count += count;
    if (count > 0) planned.slots.add(slot);
    return count;
  }

  #free(planned: { count: number }): number {
    return this.#slots.reduce((left, { cells }) => left - cells.length, this.#o.cells) -
      planned.count;
  }

  /** Lets a request wait again, as if all that it has were its prompt. */
  #putBack(slot: Slot): void {
    const { generation, next, cells } = slot;
    if (generation === undefined) return;
    if (next !== undefined) generation.pending = Int32Array.from([...cells, next]);
    this.#stirred = true; // there is room now for those that had none
    this.#release(slot);
    this.#empty(slot);
    this.#waiting.unshift(generation);
  }

  #empty(slot: Slot): void {
    this.#forget(slot, 0);
    slot.client = undefined;
  }

  /** Leaves the first cells of a slot. @returns false: the memory cannot forget a part; nothing has changed. */
  #forget(slot: Slot, cells: number): boolean {
    const { llama } = this.#o;
    const from = cells > 0 ? slot.position(cells) : -1;
    const done = llama.llama_memory_seq_rm(this.#memory, slot.sequence, from, -1);
    if (done || cells === 0) slot.keep(cells);
    return done;
  }

  /**
   * Either one token of each slot that generates, or prompt tokens. Never both: with a cache for each sequence, llama.cpp
   * splits a batch whose sequences have different numbers of tokens, and computes the parts one after another.
   */
  #plan(): Plan {
    this.#o.batch.clear();
    const active = this.#slots.filter(({ generation }) =>
      generation !== undefined && !generation.congested
    );
    const decoding = active.filter(({ next }) => next !== undefined);
    const prompts = active.filter(({ next }) => next === undefined);
    if (prompts.length === 0 || decoding.length > 0 && this.#owed > 0) {
      const plan = this.#planDecode(decoding);
      this.#owed -= plan.decodeTokens;
      return plan;
    }
    // Each slot that generates gets its next token before another prompt does.
    this.#owed = decoding.length;
    return this.#planPrompts(prompts, this.#o.promptChunker.promptLimit(decoding.length > 0));
  }

  #planDecode(decoding: readonly Slot[]): Plan {
    const { batch, batchPolicy } = this.#o;
    const planned = { count: 0, slots: new Set<Slot>() };
    const chosen = decoding.toSorted((a, b) => a.stepped - b.stepped)
      .slice(0, batchPolicy.limit(decoding.length))
      .sort((a, b) => a.turn - b.turn)
      .filter((slot) => {
        if (slot.generation === undefined) return false; // it made room for an elder
        if (this.#takeCells(slot, 1, planned) === 1) return true;
        // All is its elders': what it holds is what keeps them from going on.
        this.#putBack(slot);
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
      slot.stepped = this.#steps;
    }
    const plan = { promptTokens: 0, decodeTokens: chosen.length, outputs, cells };
    const [alone] = chosen;
    if (decoding.length > 1 || alone === undefined) return plan;
    const guessed = this.#guess(alone, planned);
    const position = alone.position(alone.cells.length) + 1;
    for (const [offset, token] of guessed.entries()) {
      const place = { position: position + offset, sequence: alone.sequence, output: true };
      outputs.push({ slot: alone, index: batch.add(token, place) });
    }
    return { ...plan, guessed };
  }

  /**
   * Tokens that may follow the next one of a slot, where it pays to decode them with it. Only of one that generates alone: with a
   * cache for each sequence, llama.cpp would compute sequences of different lengths one after another.
   */
  #guess(slot: Slot, planned: { count: number; slots: Set<Slot> }): number[] {
    const { guessCosts, batch } = this.#o;
    const generation = slot.generation!;
    if (guessCosts === undefined) return [];
    const guesser = generation.guesser();
    if (!guesser.guesses) return [];
    const most = Math.min(
      MOST_GUESSES,
      generation.tokensLeft - 1,
      // Nothing is guessed beyond a shift: it would be drawn with what is to go.
      this.#window(slot) - slot.cells.length - 1,
      batch.capacity - 1,
      this.#free(planned),
    );
    return guesser.guess(guessCosts.choose(guesser.chance, most));
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
    else this.#clientPrompts.set(eldest.client!, this.#steps);
    const planned = { count: 0, slots: new Set<Slot>() };
    const picture = eldest.nextChunk;
    if (picture) return this.#planPicture(eldest, picture);
    const chunk = promptChunk(eldest.textLeft, limit, batch.capacity);
    const share = this.#takeCells(eldest, chunk, planned);
    if (share === 0) this.#putBack(eldest); // those that generate hold all the rest
    const shares = new Map([[eldest, share]]);
    let room = limit - eldest.promptLeft;
    for (const slot of others) {
      if (eldest.promptLeft >= SHORT_PROMPT_TOKENS) break;
      if (slot.promptLeft >= SHORT_PROMPT_TOKENS || slot.promptLeft > room) continue;
      if (slot.textLeft < slot.promptLeft) continue;
      const share = this.#takeCells(slot, slot.promptLeft, planned);
      shares.set(slot, share);
      room -= share;
    }
    const outputs: Output[] = [];
    const cells: { slot: Slot; tokens: number[] }[] = [];
    for (const slot of this.#slots) {
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
    const planned = { count: 0, slots: new Set<Slot>() };
    const none = { promptTokens: 0, decodeTokens: 0, outputs: [], cells: [] };
    if (this.#takeCells(slot, chunk.cells, planned, chunk.cells) > 0) {
      return { ...none, picture: { slot, chunk } };
    }
    this.#putBack(slot);
    return none;
  }

  #draw({ slot, index }: Output): void {
    const { generation } = slot;
    if (!generation || generation.cancelled) return;
    if (generation.wantsNoTokens) {
      this.#release(slot);
      generation.finish({ reason: "length" });
      return;
    }
    const { llama, context, vocabularySize } = this.#o;
    const logits = () => {
      const pointer = llama.llama_get_logits_ith(context, index);
      if (pointer === null) throw new SecLlamaError("model-failed", "the model gave no output");
      return new Float32Array(Deno.UnsafePointerView.getArrayBuffer(pointer, 4 * vocabularySize));
    };
    const drawn = generation.draw(context, index, logits);
    if (typeof drawn === "number" && this.#hasPlace(slot, drawn)) {
      slot.generatesSince ??= performance.now();
      return;
    }
    this.#release(slot);
    generation.finish(typeof drawn === "number" ? { reason: "length" } : drawn);
  }

  /** Whether the slot goes on with the next token; if its context is full, the oldest cells make room where they may. */
  #hasPlace(slot: Slot, next: number): boolean {
    const { llama } = this.#o;
    const { cells, sequence, generation } = slot;
    const shift = generation?.shift;
    slot.next = next;
    if (cells.length < this.#window(slot)) return true;
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
    if (!this.#forget(slot, from)) this.#forget(slot, 0);
    return true;
  }

  /** Cells that the slot may fill before it is full. */
  #window({ generation }: Slot): number {
    return Math.min(generation?.shift?.window ?? Infinity, this.#o.slotContextLength);
  }

  /** Takes the generation from its slot; the tokens stay, for the same client's next prompt. */
  #release(slot: Slot): Generation | undefined {
    const { generation } = slot;
    slot.generation = undefined;
    slot.next = undefined;
    slot.usedAt = performance.now();
    return generation;
  }

  #failBatch(plan: Plan, status: number): void {
    const error = new SecLlamaError("model-failed", `the model refused a batch: status ${status}`);
    for (const { slot } of plan.cells) this.#fail(slot, error);
  }

  #failAll(error: SecLlamaError): void {
    for (const slot of this.#slots) this.#fail(slot, error);
  }

  #fail(slot: Slot, error: SecLlamaError): void {
    this.#release(slot)?.fail(error);
    if (this.#memory !== null) this.#forget(slot, 0);
    slot.client = undefined;
  }
}
