/** The page's state, in one place, with who is told of a change. */
import type { Passage } from "../api/documents.ts";
import type { ConversationList, SearchHit } from "../api/history.ts";
import type { Progress } from "../api/reply_lines.ts";
import type { Attachment, Conversation, Message, Model, Summary } from "./types.ts";

/** An answer that comes. */
export interface Running {
  readonly conversation: string;
  /** The message that it becomes, without what has come of it. */
  readonly answer: Message;
  /** The proxy's name of it; undefined until it said one. */
  reply: string | undefined;
  /** Unix ms. */
  readonly started: number;
  readonly progress: Progress;
}

export type Panel = "none" | "settings" | "proof" | "help" | "prompts" | "documents";

/** A document of the proxy's. */
export interface Source {
  readonly id: string;
  readonly name: string;
}

/** What of conversations is kept. */
type Keeping =
  | { readonly kind: "loading" }
  | { readonly kind: "kept"; readonly writable: boolean }
  /** Every conversation is a temporary one, and why. */
  | { readonly kind: "nothing"; readonly why: string };

export interface Notice {
  readonly text: string;
  readonly hint?: string | undefined;
  readonly kind: "error" | "done";
  readonly undo?: (() => void) | undefined;
  /** What the button for it says, if not "Undo". */
  readonly undoName?: string;
}

export interface State {
  readonly models: readonly Model[];
  readonly model: string;
  /** Of the chosen model. */
  readonly capabilities: readonly string[];
  readonly keeping: Keeping;
  readonly open: Conversation;
  /** Of the history, as far as it was asked for. */
  readonly list: readonly Summary[];
  readonly total: number;
  /** All there are, by name. */
  readonly folders: ConversationList["folders"];
  /** The one that is looked into; undefined: all conversations are. */
  readonly folder: string | undefined;
  /** Temporary ones of this tab, apart from the open one. */
  readonly temporaries: readonly Conversation[];
  readonly query: string;
  /** undefined: no search. */
  readonly hits: readonly SearchHit[] | undefined;
  /** Of the documents, what was found for the same words. */
  readonly passages: readonly Passage[];
  readonly running: readonly Running[];
  /** What goes with the next question. */
  readonly attachments: readonly Attachment[];
  /** Documents in which the next questions are looked up. */
  readonly sources: readonly Source[];
  /** Base64. */
  readonly images: readonly string[];
  readonly panel: Panel;
  /** What went wrong last, or was done; shown until it is put away. */
  readonly notice: Notice | undefined;
  /** An address that was clicked, before it is opened. */
  readonly link: URL | undefined;
  readonly theme: "system" | "light" | "dark";
  /** Whether single letters are shortcuts (WCAG 2.1.4). */
  readonly singleKeys: boolean;
  readonly sidebar: boolean;
}

/** A value with listeners. */
export class Store {
  #state: State;
  readonly #listeners = new Set<() => void>();

  constructor(state: State) {
    this.#state = state;
  }

  get state(): State {
    return this.#state;
  }

  set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }

  /** Calls it after every change. Returns how to end that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
