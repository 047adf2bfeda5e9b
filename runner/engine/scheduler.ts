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
import type { AdaptiveThreads } from "./adaptive_threads.ts";
import type { Batch } from "./batch.ts";
import { BatchPlanner, type Drafted, type Output, type Plan } from "./batch_plan.ts";
import type { BatchPolicy } from "./batch_policy.ts";
import type { Drafter } from "./drafter.ts";
import type { Generation } from "./generation.ts";
import type { DraftCosts, GuessCosts } from "./guess_costs.ts";
import type { PromptChunker } from "./prompt_chunker.ts";
import { chooseSlot, chooseWaiting, chooseYielding, Slot } from "./slot.ts";
import { SlotCells } from "./slot_cells.ts";
import { BROKEN_OFF, type StopSignal } from "./stop_signal.ts";
import type { LlamaSymbols } from "./symbols.ts";
import { type Task, TaskCircle } from "./task_circle.ts";
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
  /** A second model that guesses, and what its guesses cost. */
  readonly draft: { readonly drafter: Drafter; readonly costs: DraftCosts } | undefined;
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

/** Long beside a token, short beside what somebody waits for. */
const TURN_MS = 5_000;

export class Scheduler {
  readonly #o: SchedulerOptions;
  readonly #slots: readonly Slot[];
  readonly #cells: SlotCells;
  readonly #planner: BatchPlanner;
  #waiting: Generation[] = [];
  /** Other work for the contexts' thread of control: embeddings. */
  readonly #tasks = new TaskCircle();
  #wake: (() => void) | undefined;
  /** Whether something came since the step in progress began. */
  #stirred = false;
  #turns = 0;
  /** By client, when it last took a slot; kept while requests wait. */
  readonly #clientTurns = new Map<string, number>();
  #steps = 0;
  /** Slots whose prompts the step in progress is about; it can be broken off. */
  #prompting: readonly Slot[] = [];
  /** Threads the context was last told to use. */
  #threads = 0;
  #closed = false;

  constructor(options: SchedulerOptions) {
    this.#o = options;
    this.#slots = Array.from({ length: options.slots }, (_, sequence) => new Slot(sequence));
    this.#cells = new SlotCells({
      ...options,
      slots: this.#slots,
      onPutBack: (generation) => {
        this.#stirred = true; // there is room now for those that had none
        this.#waiting.unshift(generation);
      },
    });
    this.#planner = new BatchPlanner({ ...options, cells: this.#cells });
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
    for (const slot of this.#slots) slot.release()?.abandon();
    for (let task = this.#tasks.next(); task; task = this.#tasks.next()) await task();
    this.#o.onClosed();
  }

  /** @returns Whether there may be more to do. */
  async #step(): Promise<boolean> {
    const draftStarted = performance.now();
    const drafted = await this.#draftAhead();
    const draftMs = performance.now() - draftStarted;
    const task = this.#tasks.next();
    if (task) await task();
    this.#dropCancelled();
    this.#admit();
    const plan = this.#planner.plan(this.#steps, drafted);
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
      draft,
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
        if (!this.#cells.forget(slot, slot.cells.length)) this.#cells.forget(slot, 0);
      }
      return true;
    }
    promptChunker.record({ promptTokens, decodeTokens, ms });
    const { guessed = [], isDrafted } = plan;
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
      const drawn = this.#drawGuessed(plan.outputs, guessed);
      if (isDrafted) {
        draft?.drafter.record(guessed.length, drawn - 1);
        draft?.costs.record({ tokens, drawn, ms: ms + draftMs });
      } else guessCosts?.record({ tokens, drawn, ms });
      return true;
    }
    if (promptTokens === 0 && decodeTokens === 1) {
      for (const costs of [guessCosts, draft?.costs]) costs?.record({ tokens, drawn: 1, ms });
    }
    for (const output of plan.outputs) this.#draw(output);
    return true;
  }

  /**
   * What the draft model says will follow, for the only request that there is, where that pays and the text itself has no better guess.
   * Whoever comes meanwhile waits for it: some tokens of a small model, or a part of a prompt.
   */
  async #draftAhead(): Promise<Drafted | undefined> {
    const { draft } = this.#o;
    const [slot, ...others] = this.#slots.filter(({ generation }) => generation !== undefined);
    const isAlone = others.length + this.#waiting.length + this.#tasks.size === 0;
    if (!draft || !isAlone || slot?.generation === undefined || slot.next === undefined) return;
    const { generation, generatesSince } = slot;
    if (generation.cancelled || generation.congested || generation.hasPictures) return;
    const { drafter, costs } = draft;
    const guesser = generation.guesser();
    if (guesser.guesses && guesser.chance >= drafter.chance) return;
    const text = guesser.tokens;
    const most = this.#planner.mostGuesses(slot);
    if (!drafter.canFollow(text, most)) return;
    const count = costs.choose(drafter.chance, most);
    if (count === 0) {
      drafter.refuse();
      return;
    }
    drafter.turnTo(generation.client);
    const took = performance.now() - (generatesSince ?? Infinity);
    if (!costs.mayRead(drafter.behindMs(text), took)) return;
    const tokens = await drafter.guess(text, count);
    return { generation, length: generation.generated.length, tokens };
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
    if (right < guessed.length && !this.#cells.forget(slot, slot.cells.length)) {
      if (slot.generation) this.#cells.putBack(slot);
      else this.#cells.empty(slot);
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
      if (!this.#cells.forget(slot, before)) this.#cells.forget(slot, 0);
    } else {
      this.#fail(slot, new SecLlamaError("model-failed", `the picture was refused: ${status}`));
    }
    return true;
  }

  #dropCancelled(): void {
    for (const slot of this.#slots) {
      if (slot.generation?.cancelled) slot.release()?.abandon();
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
      if (!choice || !this.#cells.hasRoomFor(generation)) {
        if (this.#makeWay(generation.client)) continue;
        return;
      }
      this.#waiting.splice(this.#waiting.indexOf(generation), 1);
      const { slot } = choice;
      let { shared } = choice;
      // Some memories (recurrent ones) cannot forget a part: then all of it goes.
      if (!this.#cells.forget(slot, shared)) {
        this.#cells.forget(slot, 0);
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
    this.#cells.putBack(slot);
    return true;
  }

  #draw({ slot, index }: Output): void {
    const { generation } = slot;
    if (!generation || generation.cancelled) return;
    if (generation.wantsNoTokens) {
      slot.release();
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
    if (typeof drawn === "number" && this.#cells.hasPlace(slot, drawn)) {
      slot.generatesSince ??= performance.now();
      return;
    }
    slot.release();
    generation.finish(typeof drawn === "number" ? { reason: "length" } : drawn);
  }

  #failBatch(plan: Plan, status: number): void {
    const error = new SecLlamaError("model-failed", `the model refused a batch: status ${status}`);
    for (const { slot } of plan.cells) this.#fail(slot, error);
  }

  #failAll(error: SecLlamaError): void {
    for (const slot of this.#slots) this.#fail(slot, error);
  }

  #fail(slot: Slot, error: SecLlamaError): void {
    slot.release()?.fail(error);
    if (this.#o.context !== null) this.#cells.forget(slot, 0);
    slot.client = undefined;
  }
}
