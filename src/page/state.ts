/** The page's state, in one place, with who is told of a change. */
import type { Progress } from "./generate.ts";
import type { Conversation, Model, Summary } from "./types.ts";

/** An answer that comes. */
export interface Running {
  readonly conversation: string;
  /** The message that it becomes. */
  readonly message: string;
  /** The proxy's name of it; undefined until it said one. */
  reply: string | undefined;
  /** Unix ms. */
  readonly started: number;
  readonly progress: Progress;
}

export type Panel = "none" | "settings" | "proof" | "help" | "models" | "prompts";

export interface State {
  readonly models: readonly Model[];
  readonly model: string;
  /** Of the chosen model. */
  readonly capabilities: readonly string[];
  readonly open: Conversation;
  readonly list: readonly Summary[];
  readonly running: readonly Running[];
  readonly panel: Panel;
  /** What went wrong last, or was done; shown until it is put away. */
  readonly notice: Notice | undefined;
  /** An address that was clicked, before it is opened. */
  readonly link: URL | undefined;
  readonly theme: "system" | "light" | "dark";
  readonly singleKeys: boolean;
  readonly sidebar: boolean;
}

export interface Notice {
  readonly text: string;
  readonly hint?: string | undefined;
  readonly kind: "error" | "done";
  readonly undo?: (() => void) | undefined;
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
