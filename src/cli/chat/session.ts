/** What a conversation with a model is: whom it is with, what was said, and how the next answer is asked for. */
import type { ParameterValue } from "../../models/parameters.ts";
import type { Think } from "./slash.ts";

export interface Message {
  readonly role: "user" | "assistant" | "system";
  readonly content: string;
  /** Base64, as Ollama takes them. */
  readonly images?: readonly string[];
}

export interface Settings {
  readonly system?: string;
  readonly options: { readonly [name: string]: ParameterValue };
  readonly format?: "json" | object;
  readonly think?: Think;
  /** A duration, or seconds. */
  readonly keepAlive?: string | number;
  readonly verbose: boolean;
  readonly wordWrap: boolean;
}

/** The body of a request to `/api/chat`. */
export interface ChatBody {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly options: { readonly [name: string]: ParameterValue };
  readonly format?: "json" | object;
  readonly think?: Think;
  readonly keep_alive?: string | number;
  /** Never cut in silence: what does not fit is an error. */
  readonly truncate: false;
}

export class Session {
  model: string;
  settings: Settings;
  #said: Message[] = [];

  constructor(model: string, settings: Settings) {
    this.model = model;
    this.settings = settings;
  }

  /** Forgets what was said. The system message stays. */
  clear(): void {
    this.#said = [];
  }

  /** Takes up a message and the answer to it. What was shown is part of the conversation, an answer that ended early too. */
  record(message: Message, answer: string): void {
    if (answer === "") return;
    this.#said.push(message, { role: "assistant", content: answer });
  }

  /** Drops the oldest question and its answer; false: there is none. */
  forgetOldest(): boolean {
    if (this.#said.length === 0) return false;
    this.#said.splice(0, 2);
    return true;
  }

  /** What was said, for {@link restore}. */
  said(): readonly Message[] {
    return [...this.#said];
  }

  restore(said: readonly Message[]): void {
    this.#said = [...said];
  }

  bodyFor(message: Message): ChatBody {
    const { system, options, format, think, keepAlive } = this.settings;
    return {
      model: this.model,
      messages: [
        ...(system === undefined || system === ""
          ? []
          : [{ role: "system", content: system } as const]),
        ...this.#said,
        message,
      ],
      options,
      truncate: false,
      ...(format === undefined ? {} : { format }),
      ...(think === undefined ? {} : { think }),
      ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }),
    };
  }
}
