/// <reference lib="dom" />
/** Answers as they come: begun, followed to their end whatever the connection does, put into their conversation. */
import { newProgress, takeLine } from "../api/reply_lines.ts";
import { ApiError, beginReply, endReply, followReply, heldReplies, type HeldReply } from "./api.ts";
import { answerOf, leavesPicturesOut, requestOf } from "./generate.ts";
import type { Running, Store } from "./state.ts";
import { tellTabs } from "./tabs.ts";
import { newId, pathOf, withChange, withId, withMessage } from "./tree.ts";
import type { Conversation, Message } from "./types.ts";

/** How often a coming answer is drawn, ms. */
const DRAW_MS = 50;
/** A connection that breaks off is made anew, so often. */
const TRIES = 3;

/** What the page tells itself, over a reload, of a reply. */
interface Note {
  /** Of a conversation that is not kept, all of it. */
  readonly open?: Conversation;
  readonly answer: Message;
}

function noteOf(note: unknown): Partial<Note> {
  return Object(note) as Partial<Note>;
}

/** The conversation that the proxy holds only replies of, as the last of them has it; undefined: none has. */
export function temporaryOf(held: readonly HeldReply[]): Conversation | undefined {
  return held.map(({ note }) => noteOf(note)).findLast(({ open, answer }) => open && answer)?.open;
}

export class Answers {
  readonly #store: Store;
  #drawing: ReturnType<typeof setTimeout> | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The answer that comes in a conversation. */
  in(conversation: string): Running | undefined {
    return this.#store.state.running.find((one) => one.conversation === conversation);
  }

  /** Asks for an answer to a question of the open conversation, and sees it to its end. */
  async begin(question: Message): Promise<void> {
    const { open, model, capabilities } = this.#store.state;
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
    const running = this.#start(grown.id, answer, Date.now());
    this.#store.set({ open: grown });
    if (leavesPicturesOut(asked, capabilities)) {
      const text =
        `${model} does not see the pictures of this conversation: it is told that there are some`;
      this.#store.set({ notice: { kind: "done", text } });
    }
    const note: Note = { answer, ...(grown.temporary ? { open: grown } : {}) };
    try {
      const reply = await beginReply(grown.id, {
        request: requestOf(grown, asked, model, capabilities),
        note,
        ...(grown.temporary ? {} : { save: { parent: question.id, model } }),
      });
      running.reply = reply.id;
      if (!grown.temporary) tellTabs(grown.id);
      await this.#follow(running);
    } catch (error) {
      this.#fail(running, error);
    }
  }

  /** Stops the answer that comes in a conversation; what has come of it stays. */
  async stop(conversation: string): Promise<void> {
    const reply = this.in(conversation)?.reply;
    if (reply) await endReply(reply).catch(() => {});
  }

  /** Stops what comes in a conversation, and has the proxy forget all that it was answered. */
  async forget(conversation: string): Promise<void> {
    for (const { id, done } of await heldReplies(conversation)) {
      if (!done) {
        await endReply(id);
        // Stopped, it goes on until what came of it is kept.
        for await (const _ of await followReply(id));
      }
      await endReply(id);
    }
  }

  /**
   * Takes up what is still being made in the open conversation, or was made since the page was left.
   * @param held Asked for before the conversation was read: what is done by then is in it.
   */
  async resume(conversation: string, held: readonly HeldReply[]): Promise<void> {
    const mine = this.in(conversation);
    // Another conversation was shown meanwhile, and this one read anew.
    if (mine) this.#put(mine.answer);
    await Promise.all(held.map(async ({ id, started, done, note }) => {
      const { answer } = noteOf(note);
      const { open, running } = this.#store.state;
      if (!answer || open.id !== conversation) return;
      if (running.some((one) => one.answer.id === answer.id)) return;
      // A kept conversation has what is done already; a temporary one only what its last reply was asked with.
      const there = open.messages.some((message) => message.id === answer.id);
      if (done && !(open.temporary && there)) return;
      this.#put(answer);
      const taken = this.#start(conversation, answer, started);
      taken.reply = id;
      await this.#follow(taken).catch((error) => this.#fail(taken, error));
    }));
  }

  /** Puts the answer that comes into the open conversation, if it is not there. */
  #put(answer: Message): void {
    const { open } = this.#store.state;
    if (open.messages.some(({ id }) => id === answer.id)) return;
    this.#store.set({ open: withMessage(open, answer) });
  }

  #start(conversation: string, answer: Message, started: number): Running {
    const running: Running = {
      conversation,
      answer,
      reply: undefined,
      started,
      progress: newProgress(),
    };
    this.#store.set({ running: [...this.#store.state.running, running] });
    return running;
  }

  /** Where the connection broke off the reply is read anew from its first line. */
  async #follow(running: Running): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        Object.assign(running.progress, newProgress());
        for await (const line of await followReply(running.reply!)) {
          takeLine(running.progress, line);
          this.#drawSoon();
        }
        break;
      } catch (error) {
        if (tries === TRIES || error instanceof ApiError && error.code === "not-found") throw error;
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
    const { open, running: all, temporaries } = this.#store.state;
    const { answer: { id }, conversation, progress } = running;
    const change = answerOf(progress, Date.now() - running.started);
    const put = (one: Conversation) => {
      if (one.id !== conversation) return one;
      const changed = withChange(one, id, change);
      return progress.saved === undefined ? changed : withId(changed, id, progress.saved);
    };
    this.#store.set({
      running: all.filter((one) => one !== running),
      open: put(open),
      temporaries: temporaries.map(put),
    });
    if (progress.saved !== undefined) tellTabs(conversation);
  }

  #drawSoon(): void {
    this.#drawing ??= setTimeout(() => {
      this.#drawing = undefined;
      this.#store.set({});
    }, DRAW_MS);
  }
}
