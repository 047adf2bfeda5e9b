/// <reference lib="dom" />
/** What a person can do on the page. Each method changes the state and asks the proxy. */
import {
  ApiError,
  beginReply,
  capabilities,
  endReply,
  followReply,
  heldReplies,
  type HeldReply,
  models,
} from "./api.ts";
import { answerOf, newProgress, requestOf, take } from "./generate.ts";
import type { Notice, Running, State, Store } from "./state.ts";
import { newId, pathOf, titleOf, withBranch, withChange, withMessage } from "./tree.ts";
import type { Attachment, Conversation, Message, Settings } from "./types.ts";

/** How often a coming answer is drawn, ms. */
const DRAW_MS = 50;

/** A question that was typed. */
export interface Question {
  readonly text: string;
  readonly images?: readonly string[];
  readonly attachments?: readonly Attachment[];
}

/** A conversation without a message. */
export function emptyConversation(settings: Settings = {}): Conversation {
  const now = Date.now();
  return {
    id: newId(),
    title: "New conversation",
    created: now,
    updated: now,
    settings,
    messages: [],
    temporary: true,
    shown: {},
  };
}

export class Actions {
  readonly store: Store;
  #drawing: ReturnType<typeof setTimeout> | undefined;

  constructor(store: Store) {
    this.store = store;
  }

  get state(): State {
    return this.store.state;
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

  /** The models, and the one to begin with. */
  async loadModels(): Promise<void> {
    try {
      const found = await models();
      this.store.set({ models: found });
      const kept = found.some(({ name }) => name === this.state.model);
      if (!kept && found[0]) await this.chooseModel(found[0].name);
    } catch (error) {
      this.fail(error);
    }
  }

  async chooseModel(model: string): Promise<void> {
    this.store.set({ model, capabilities: [] });
    const found = await capabilities(model).catch(() => []);
    if (this.state.model === model) this.store.set({ capabilities: found });
  }

  newConversation(): void {
    this.store.set({ open: emptyConversation(), panel: "none" });
    history.replaceState(null, "", location.pathname);
  }

  setSettings(settings: Settings): void {
    this.store.set({ open: { ...this.state.open, settings } });
  }

  /** Puts a question after what is shown, and asks the model. */
  async send(question: Question): Promise<void> {
    const parent = pathOf(this.state.open).at(-1)?.id ?? null;
    await this.#ask(question, parent);
  }

  /** Another question in the place of one that was asked: a branch. */
  async edit(message: Message, question: Question): Promise<void> {
    const { images, attachments } = message;
    const kept = { ...(images ? { images } : {}), ...(attachments ? { attachments } : {}) };
    await this.#ask({ ...kept, ...question }, message.parent);
  }

  async #ask({ text, images, attachments }: Question, parent: string | null): Promise<void> {
    if (this.isBusy()) return;
    const { open } = this.state;
    const message: Message = {
      id: newId(),
      parent,
      role: "user",
      content: text,
      created: Date.now(),
      ...(images?.length ? { images } : {}),
      ...(attachments?.length ? { attachments } : {}),
    };
    const title = open.messages.length === 0 ? titleOf(text) : open.title;
    this.store.set({ open: { ...withMessage(open, message), title, updated: Date.now() } });
    await this.#answer(message);
  }

  /** Another answer to the same question: a branch. */
  async regenerate(answer: Message): Promise<void> {
    const question = this.state.open.messages.find(({ id }) => id === answer.parent);
    if (question && !this.isBusy()) await this.#answer(question);
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
    return this.state.running.find(({ conversation }) => conversation === this.state.open.id);
  }

  async stop(): Promise<void> {
    const reply = this.running()?.reply;
    if (reply) await endReply(reply).catch(() => {});
  }

  async #answer(question: Message): Promise<void> {
    const { open, model } = this.state;
    const answer: Message = {
      id: newId(),
      parent: question.id,
      role: "assistant",
      content: "",
      model,
      created: Date.now(),
    };
    const grown = withMessage(open, answer);
    const path = pathOf(grown);
    const asked = path.slice(0, path.findIndex(({ id }) => id === answer.id));
    const running = this.#start(grown.id, answer.id, Date.now());
    this.store.set({ open: grown });
    // A reload finds the way back by the address: a random name, and nothing of what was said.
    history.replaceState(null, "", `#/t/${grown.id}`);
    try {
      const reply = await beginReply(grown.id, requestOf(grown, asked, model), {
        open: grown,
        message: answer.id,
      });
      running.reply = reply.id;
      await this.#follow(running);
    } catch (error) {
      this.#fail(running, error);
    }
  }

  #start(conversation: string, message: string, started: number): Running {
    const running: Running = {
      conversation,
      message,
      reply: undefined,
      started,
      progress: newProgress(),
    };
    this.store.set({ running: [...this.state.running, running] });
    return running;
  }

  /** Reads a reply to its end. Where the connection broke off it is read anew from its first line. */
  async #follow(running: Running): Promise<void> {
    for (let tries = 0;; tries++) {
      try {
        Object.assign(running.progress, newProgress());
        for await (const line of await followReply(running.reply!)) {
          take(running.progress, line);
          this.#drawSoon();
        }
        break;
      } catch (error) {
        if (error instanceof ApiError || tries === 3) throw error;
      }
    }
    this.#end(running);
  }

  #fail(running: Running, error: unknown): void {
    running.progress.error = error instanceof ApiError
      ? { error: error.message, ...(error.hint ? { hint: error.hint } : {}) }
      : { error: "the answer broke off" };
    this.#end(running);
  }

  #end(running: Running): void {
    const change = answerOf(running.progress, Date.now() - running.started);
    const rest = this.state.running.filter((one) => one !== running);
    const { open } = this.state;
    this.store.set({
      running: rest,
      ...(open.id === running.conversation
        ? { open: withChange(open, running.message, change) }
        : {}),
    });
  }

  #drawSoon(): void {
    this.#drawing ??= setTimeout(() => {
      this.#drawing = undefined;
      this.store.set({});
    }, DRAW_MS);
  }

  /** After a reload: the conversation of the address, with the answer that came or comes meanwhile. */
  async resume(hash: string): Promise<void> {
    const id = /^#\/t\/([0-9a-f]{32})$/.exec(hash)?.[1];
    if (id === undefined) return;
    const held = await heldReplies(id).catch(() => [] as HeldReply[]);
    const last = held.at(-1);
    const note = Object(last?.note) as { open?: Conversation; message?: string };
    if (!last || !note.open || !note.message) {
      history.replaceState(null, "", location.pathname);
      this.store.set({
        notice: {
          kind: "error",
          text: "That conversation was a temporary one, and is gone",
          hint: "it was never written down",
        },
      });
      return;
    }
    const running = this.#start(id, note.message, last.started);
    running.reply = last.id;
    this.store.set({ open: note.open });
    await this.#follow(running).catch((error) => this.#fail(running, error));
  }
}
