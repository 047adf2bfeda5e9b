/// <reference lib="dom" />
/** What a person can do on the page. Each method changes the state and asks the proxy. */
import { Answers, temporaryOf } from "./answers.ts";
import { ApiError, capabilities, heldReplies, models } from "./api.ts";
import { passagesFor } from "./documents.ts";
import { append } from "./history.ts";
import { emptyConversation, Library } from "./library.ts";
import type { Notice, Running, Source, State, Store } from "./state.ts";
import { hearTabs, tellTabs } from "./tabs.ts";
import { keptAbove, newId, pathOf, titleOf, withBranch, withMessage } from "./tree.ts";
import type { Attachment, Message } from "./types.ts";

/** A question that was typed. */
interface Question {
  readonly text: string;
  readonly images?: readonly string[];
  readonly attachments?: readonly Attachment[];
  /** Documents whose passages go along. */
  readonly sources?: readonly Source[];
}

/** Models that are asked what they can do, to find one to begin with. */
const LOOKED_AT = 8;
/** An address of one that is kept, or of a temporary one. */
const CONVERSATION = /^#\/[ct]\/([0-9a-f]{32})$/;

export class Actions {
  readonly store: Store;
  readonly library: Library;
  readonly #answers: Answers;
  /** Ends once it is known what the chosen model can do: what it is asked, and what goes along, depends on it. */
  capabilitiesKnown: Promise<void> = Promise.resolve();
  /** A question is on its way into its conversation. */
  #asking = false;

  constructor(store: Store) {
    this.store = store;
    this.#answers = new Answers(store);
    const fail = (error: unknown) => this.fail(error);
    const shown = (model?: string) => this.#goOnWith(model);
    this.library = new Library({ store, answers: this.#answers, fail, shown });
  }

  get state(): State {
    return this.store.state;
  }

  /** Everything that is shown first. @param hash Of the address. */
  async start(hash: string): Promise<void> {
    hearTabs((conversation) => {
      void this.library.refresh();
      if (conversation === this.state.open.id) void this.library.reopen();
    });
    await Promise.all([this.loadModels(), this.library.refresh()]);
    await this.#resume(hash);
  }

  /** What this browser was not let in to before; an empty conversation becomes one that is kept, as if the page were loaded anew. */
  async askAgain(): Promise<void> {
    await Promise.all([this.loadModels(), this.library.refresh()]);
    if (this.state.open.messages.length === 0) this.library.begin();
    this.library.noteAddress();
  }

  /** Opens the conversation of another address; if there is none, the address is again that of what is shown. */
  async follow(hash: string): Promise<void> {
    const [, id] = CONVERSATION.exec(hash) ?? [];
    if (id !== undefined && id !== this.state.open.id) await this.library.open(id);
    this.library.noteAddress();
  }

  /** Shows what went wrong. */
  fail(error: unknown): void {
    const notice: Notice = error instanceof ApiError
      ? { kind: "error", text: error.message, hint: error.hint }
      : { kind: "error", text: "something went wrong on this page" };
    this.store.set({ notice });
  }

  done(text: string): void {
    this.store.set({ notice: { kind: "done", text } });
  }

  /** Says what could not be done, and what can be instead. */
  notDone(text: string, hint: string): void {
    this.store.set({ notice: { kind: "error", text, hint } });
  }

  /** There is nobody to ask. */
  noModel(): void {
    const hint = "get one on the machine that computes: secllama pull, or secllama import";
    this.notDone("There is no model to ask", hint);
  }

  /** A conversation goes on with the model that it was held with, if that is still there. */
  #goOnWith(model: string | undefined): void {
    const { models, model: chosen } = this.state;
    if (model !== chosen && models.some(({ name }) => name === model)) {
      void this.chooseModel(model!);
    }
  }

  /**
   * The models, and the one to begin with: the first that answers, rather than one that makes embeddings alone.
   * Says whether they could be asked for.
   * @param quietly Why they could not be is said already.
   */
  async loadModels(quietly = false): Promise<boolean> {
    try {
      const found = await models();
      this.store.set({ models: found });
      if (found.some(({ name }) => name === this.state.model)) return true;
      const held = found.find(({ name }) => name === this.state.open.model);
      for (const { name } of held ? [held] : found.slice(0, LOOKED_AT)) {
        await this.chooseModel(name);
        if (this.state.model !== name) return true;
        if (held || this.state.capabilities.includes("completion")) return true;
      }
      if (found[0]) await this.chooseModel(found[0].name);
      else this.store.set({ model: "", capabilities: [] });
      return true;
    } catch (error) {
      if (!quietly) this.fail(error);
      return false;
    }
  }

  chooseModel(model: string): Promise<void> {
    return this.capabilitiesKnown = this.#choose(model);
  }

  async #choose(model: string): Promise<void> {
    this.store.set({ model, capabilities: [] });
    const found = await capabilities(model).catch(() => []);
    if (this.state.model === model) this.store.set({ capabilities: found });
  }

  /** Puts a question after what is shown, and asks the model. Returns whether it was taken. */
  async send(question: Question): Promise<boolean> {
    const parent = pathOf(this.state.open).at(-1)?.id ?? null;
    return await this.#ask(question, parent);
  }

  /** Another question in the place of one that was asked: a branch. */
  async edit(message: Message, question: Question): Promise<boolean> {
    const { images, attachments } = message;
    const kept = { ...(images ? { images } : {}), ...(attachments ? { attachments } : {}) };
    return await this.#ask({ ...kept, ...question }, message.parent);
  }

  async #ask(
    { text, images, attachments, sources }: Question,
    parent: string | null,
  ): Promise<boolean> {
    if (this.isBusy()) {
      this.notDone("An answer comes in this conversation", "stop it, or wait until it is there");
      return false;
    }
    if (this.#asking) return false;
    this.#asking = true;
    const { open: before } = this.state;
    const { id } = before;
    /** A new conversation that holds nothing yet. */
    let made: string | undefined;
    try {
      await this.capabilitiesKnown;
      const { found, note } = sources?.length
        ? await passagesFor(text, sources.map(({ id }) => id))
        : { found: [] };
      if (note) this.store.set({ notice: { kind: "done", text: `Passages: ${note}` } });
      // It was meant for the conversation that was shown, and for no other.
      if (this.state.open.id !== id) return false;
      const given = [...attachments ?? [], ...found];
      const { messages, temporary } = this.state.open;
      let message: Message = {
        id: newId(),
        // An answer that failed, or could not be kept, is in no history: what follows it hangs on its question.
        parent: temporary ? parent : keptAbove(messages, parent),
        role: "user",
        content: text,
        created: Date.now(),
        ...(images?.length ? { images } : {}),
        ...(given.length > 0 ? { attachments: given } : {}),
      };
      if (this.state.open.messages.length === 0) {
        const kept = await this.library.keep(titleOf(text));
        if (!kept.temporary) made = kept.id;
        if (this.state.open.id !== id) return false;
        this.store.set({ open: kept });
      }
      const asked = this.state.open;
      if (!asked.temporary) message = { ...message, id: await append(asked.id, message) };
      made = undefined;
      // Another conversation may be shown by now; in its own, what other tabs said meanwhile stays.
      const { open } = this.state;
      if (open.id !== asked.id) return true;
      const isThere = open.messages.some(({ id }) => id === message.id);
      const grown = isThere ? open : withMessage(open, message);
      this.store.set({ open: { ...grown, updated: Date.now() } });
      this.library.noteAddress();
      void this.#answer(message);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    } finally {
      if (made !== undefined) await this.library.unkeep(made, before);
      this.#asking = false;
    }
  }

  /** The next questions are looked up in a document too. */
  lookUpIn(source: Source): void {
    const { sources } = this.state;
    if (!sources.some(({ id }) => id === source.id)) {
      this.store.set({ sources: [...sources, source] });
    }
    document.querySelector<HTMLElement>("#question")?.focus();
  }

  /** Another answer to the same question: a branch. */
  async regenerate(answer: Message): Promise<void> {
    const question = this.state.open.messages.find(({ id }) => id === answer.parent);
    if (question) await this.answer(question);
  }

  /** An answer to a question that has none, or another one. */
  async answer(question: Message): Promise<void> {
    const { id } = this.state.open;
    await this.capabilitiesKnown;
    if (this.state.open.id === id && !this.isBusy()) await this.#answer(question);
  }

  async #answer(question: Message): Promise<void> {
    const { temporary } = this.state.open;
    await this.#answers.begin(question);
    // The model may be gone: then the list that it is chosen from is old.
    const failed = this.state.open.messages.some(({ parent, error }) =>
      parent === question.id && error
    );
    if (failed) await this.loadModels(true);
    if (!temporary) await this.library.refresh();
  }

  branch(message: Message, step: number): void {
    this.store.set({ open: withBranch(this.state.open, message, step) });
  }

  /** Whether an answer comes in the open conversation. */
  isBusy(): boolean {
    return this.running() !== undefined;
  }

  /** The answer that comes in the open conversation. */
  running(): Running | undefined {
    return this.#answers.in(this.state.open.id);
  }

  async stop(): Promise<void> {
    await this.#answers.stop(this.state.open.id);
    tellTabs(this.state.open.id);
  }

  /** After a reload: the conversation of the address, with the answer that came or comes meanwhile. */
  async #resume(hash: string): Promise<void> {
    const [, id] = CONVERSATION.exec(hash) ?? [];
    if (id === undefined) return;
    if (hash.startsWith("#/c/")) return await this.library.open(id);
    const held = await heldReplies(id).catch(() => []);
    const open = temporaryOf(held);
    if (open) {
      this.store.set({ open });
      this.library.noteAddress();
      return await this.#answers.resume(id, held);
    }
    this.store.set({
      open: emptyConversation(this.state.keeping.kind !== "kept"),
      notice: {
        kind: "error",
        text: "That conversation was a temporary one, and is gone",
        hint: "it was never written down",
      },
    });
    this.library.noteAddress();
  }
}
