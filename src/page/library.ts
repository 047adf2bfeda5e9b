/// <reference lib="dom" />
/** The list of conversations: opened, found, renamed, pinned, put away. */
import type { Answers } from "./answers.ts";
import { type ConversationList, UNDO_MS } from "../api/history.ts";
import { ApiError, heldReplies } from "./api.ts";
import { passagesWith } from "./documents.ts";
import * as history from "./history.ts";
import type { State, Store } from "./state.ts";
import { tellTabs } from "./tabs.ts";
import { newId } from "./tree.ts";
import type { Conversation, Settings, Summary } from "./types.ts";

/** Letters of a search are waited for. */
const SEARCH_MS = 120;

const UNTITLED = "New conversation";

/** As page.css has it: the list of conversations is then all that is seen. */
const NARROW = "(max-width: 50rem)";

export function isNarrow(): boolean {
  return matchMedia(NARROW).matches;
}

/** Calls `act` when the window has become so, as by zooming in. */
export function whenNarrow(act: () => void): void {
  matchMedia(NARROW).addEventListener("change", ({ matches }) => matches && act());
}

/** A conversation without a message. */
export function emptyConversation(temporary: boolean, settings: Settings = {}): Conversation {
  const now = Date.now();
  return {
    id: newId(),
    title: UNTITLED,
    created: now,
    updated: now,
    settings,
    messages: [],
    temporary,
    shown: {},
  };
}

/** Of reading the list, while somebody else has the history. */
const TRIES = 4;
const RETRY_MS = 300;

export class Library {
  readonly #store: Store;
  readonly #answers: Answers;
  readonly #fail: (error: unknown) => void;
  readonly #shown: (model: string | undefined) => void;
  readonly #listed = Promise.withResolvers<void>();
  #searching: ReturnType<typeof setTimeout> | undefined;

  /** @param o `shown`: told of the model of a conversation that is opened. */
  constructor(
    o: {
      store: Store;
      answers: Answers;
      fail: (error: unknown) => void;
      shown: (model: string | undefined) => void;
    },
  ) {
    this.#store = o.store;
    this.#answers = o.answers;
    this.#fail = o.fail;
    this.#shown = o.shown;
  }

  get #state(): State {
    return this.#store.state;
  }

  /** Reads the list anew, and what was searched for; or says why there is none. */
  async refresh(): Promise<void> {
    try {
      const { conversations, total, folders, writable } = await this.#list();
      this.#store.set({ list: conversations, total, folders });
      this.#keeps({ kind: "kept", writable });
      this.search(this.#state.query);
    } catch (error) {
      // What is kept goes on being kept.
      if (this.#state.keeping.kind === "kept") return this.#fail(error);
      const why = error instanceof ApiError ? error.message : "the history cannot be read";
      this.#keeps({ kind: "nothing", why });
    } finally {
      this.#listed.resolve();
    }
  }

  /** What is known of it now; nothing has been said yet in a conversation without a message, so it goes by that. */
  #keeps(keeping: State["keeping"]): void {
    const { open } = this.#state;
    this.#store.set({ keeping });
    if (open.messages.length === 0 && !this.#writes()) {
      this.#store.set({ open: { ...open, temporary: true } });
    }
  }

  /** Somebody else may have the history for a moment. */
  async #list(): Promise<ConversationList> {
    for (let tries = 1;; tries++) {
      try {
        return await history.list();
      } catch (error) {
        const passes = error instanceof ApiError && /^(?:history-)?busy$/.test(error.code);
        if (!passes || tries === TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, tries * RETRY_MS));
      }
    }
  }

  async more(): Promise<void> {
    const { list } = this.#state;
    try {
      const { conversations, total } = await history.list(list.at(-1)?.id);
      this.#store.set({ list: [...list, ...conversations], total });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Looks into a folder, and searches there; undefined: into all conversations. */
  look(folder: string | undefined): void {
    this.#store.set({ folder });
    this.search("");
  }

  search(query: string): void {
    const { folder } = this.#state;
    const isEmpty = query.trim() === "";
    this.#store.set({ query, ...(isEmpty ? { passages: [] } : {}) });
    clearTimeout(this.#searching);
    if (isEmpty && folder === undefined) return this.#store.set({ hits: undefined });
    const isAsked = () => this.#state.query === query && this.#state.folder === folder;
    const show = async (finding: Promise<Partial<State>>, none: Partial<State> = {}) => {
      try {
        const found = await finding;
        if (isAsked()) this.#store.set(found);
      } catch (error) {
        if (isAsked()) this.#store.set(none);
        this.#fail(error);
      }
    };
    // Each when it comes: documents may have to be read first.
    this.#searching = setTimeout(() => {
      void show(history.search(query, folder).then((hits) => ({ hits })));
      if (isEmpty || folder !== undefined) return;
      void show(passagesWith(query).then((passages) => ({ passages })), { passages: [] });
    }, isEmpty ? 0 : SEARCH_MS);
  }

  /** A new one; temporary where nothing is kept, or if it is asked for. */
  begin(temporary = false, settings: Settings = {}): void {
    const { keeping } = this.#state;
    const forgets = keeping.kind !== "loading" && !this.#writes();
    this.#show(emptyConversation(temporary || forgets, settings));
  }

  #writes(): boolean {
    const { keeping } = this.#state;
    return keeping.kind === "kept" && keeping.writable;
  }

  /** Of an empty conversation. */
  setTemporary(temporary: boolean): void {
    const { open } = this.#state;
    if (open.messages.length === 0) this.#store.set({ open: { ...open, temporary } });
  }

  async open(id: string): Promise<void> {
    const temporary = this.#state.temporaries.find((one) => one.id === id);
    if (temporary) return this.#show(temporary);
    try {
      const held = await heldReplies(id);
      this.#show(await history.load(id));
      this.#shown(this.#state.open.model);
      await this.#answers.resume(id, held);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Reads the open one again: another tab changed it. */
  async reopen(): Promise<void> {
    const { open } = this.#state;
    if (open.temporary || open.messages.length === 0 || this.#answers.in(open.id)) return;
    try {
      const held = await heldReplies(open.id);
      const read = await history.load(open.id);
      if (this.#state.open.id !== open.id || this.#answers.in(open.id)) return;
      this.#store.set({ open: { ...read, shown: this.#state.open.shown } });
      await this.#answers.resume(open.id, held);
    } catch (error) {
      if (error instanceof ApiError && error.code === "not-found") this.begin();
      else this.#fail(error);
    }
  }

  /** Puts it on the screen, and the one that was there aside. */
  #show(next: Conversation): void {
    const { open, temporaries } = this.#state;
    const aside = open.temporary && open.messages.length > 0 ? [open] : [];
    const others = temporaries.filter(({ id }) => id !== open.id && id !== next.id);
    this.#store.set({
      open: next,
      temporaries: [...aside.filter(({ id }) => id !== next.id), ...others],
      attachments: [],
      sources: [],
      images: [],
      ...(isNarrow() ? { sidebar: false } : {}),
    });
    setAddress(next);
  }

  /** Makes the open conversation a kept one, if it is to be, under its own title or else this one. Returns it. */
  async keep(otherwise: string): Promise<Conversation> {
    await this.#listed.promise;
    const { open, model } = this.#state;
    const title = open.title === UNTITLED ? otherwise : open.title;
    if (open.temporary) return { ...open, title };
    const id = await history.create({ title, model, settings: open.settings });
    return { ...open, id, title };
  }

  /** Takes back what {@link keep} made if nothing could be put into it: it was shown as before, and is again. */
  async unkeep(made: string, before: Conversation): Promise<void> {
    if (this.#state.open.id === made) this.#store.set({ open: before });
    // Whatever it was that failed has been said, and may be why this fails too.
    await history.erase(made).catch(() => {});
  }

  /** The address leads back here after a reload. It says a random name, and nothing of what was said. */
  noteAddress(): void {
    setAddress(this.#state.open);
  }

  async change(fields: Partial<Pick<Summary, "title" | "folder" | "pinned">>): Promise<void> {
    const { open } = this.#state;
    this.#store.set({ open: { ...open, ...fields } });
    if (open.temporary || open.messages.length === 0) return;
    await this.#doing(open.id, () => history.update(open.id, fields));
  }

  async setSettings(settings: Settings): Promise<void> {
    const { open } = this.#state;
    this.#store.set({ open: { ...open, settings } });
    if (open.temporary || open.messages.length === 0) return;
    await this.#doing(open.id, () => history.update(open.id, { settings }));
  }

  /** Hides the open one, with a way back for ten seconds. */
  async remove(): Promise<void> {
    const { open } = this.#state;
    await this.#answers.forget(open.id).catch(this.#fail);
    if (open.temporary) {
      this.begin();
      this.#store.set({
        temporaries: this.#state.temporaries.filter(({ id }) => id !== open.id),
        notice: { kind: "done", text: "Gone. It was never written down." },
      });
      return;
    }
    const gone = await this.#doing(open.id, () => history.remove(open.id));
    if (!gone) return;
    this.begin();
    const undo = async () => {
      this.#store.set({ notice: undefined });
      if (await this.#doing(open.id, () => history.undelete(open.id))) await this.open(open.id);
    };
    const notice = {
      kind: "done",
      text: `"${open.title}" is deleted.`,
      hint:
        "In ten seconds its key is overwritten: then nobody can bring it back from this disk. " +
        "A backup made before still has it, sealed.",
      undo,
    } as const;
    this.#store.set({ notice });
    setTimeout(() => {
      if (this.#state.notice === notice) this.#store.set({ notice: undefined });
    }, UNDO_MS);
  }

  async #doing(id: string, act: () => Promise<void>): Promise<boolean> {
    try {
      await act();
      await this.refresh();
      tellTabs(id);
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }
}

function setAddress({ id, temporary, messages }: Conversation): void {
  const hash = messages.length === 0 ? "" : `#/${temporary ? "t" : "c"}/${id}`;
  globalThis.history.replaceState(null, "", location.pathname + hash);
}
