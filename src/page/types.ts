/** What the page knows of conversations: the shapes of the proxy's history, and of a reply that is being made. */

export interface Stats {
  /** Tokens of the answer, and of what was asked. */
  readonly tokens?: number;
  readonly promptTokens?: number;
  /** Tokens of the answer a second. */
  readonly perSecond?: number;
  /** From the question to the end, ms. */
  readonly ms?: number;
  /** What protected it: the gateway's words. */
  readonly receipt?: Receipt;
}

export interface Receipt {
  readonly status?: number;
  readonly encryption?: string;
  readonly isolation?: string;
  readonly truncated?: { readonly prompt?: number; readonly kept: number } | null;
}

export interface ToolCall {
  readonly function: { readonly name: string; readonly arguments: unknown };
}

export interface Attachment {
  readonly name: string;
  /** Its text, as it goes into the prompt. */
  readonly text: string;
  readonly size: number;
}

export interface Message {
  readonly id: string;
  /** The message that it answers or follows; null: the first. */
  readonly parent: string | null;
  readonly role: "user" | "assistant";
  readonly content: string;
  readonly thinking?: string;
  readonly toolCalls?: readonly ToolCall[];
  /** Base64, without a media type. */
  readonly images?: readonly string[];
  readonly attachments?: readonly Attachment[];
  readonly model?: string;
  /** Unix ms. */
  readonly created: number;
  readonly stats?: Stats;
  readonly error?: { readonly error: string; readonly hint?: string };
  readonly stopped?: boolean;
}

/** Of a conversation; all optional. */
export interface Settings {
  readonly system?: string;
  readonly options?: Readonly<Record<string, number>>;
  readonly think?: boolean;
}

export interface Model {
  readonly name: string;
  readonly size?: number;
  readonly family?: string;
  readonly parameters?: string;
}

/** A conversation of the list. */
export interface Summary {
  readonly id: string;
  readonly title: string;
  readonly model?: string;
  readonly created: number;
  readonly updated: number;
  readonly pinned?: boolean;
  readonly folder?: string;
}

export interface Conversation extends Summary {
  readonly settings: Settings;
  /** A tree by `parent`. */
  readonly messages: readonly Message[];
  /** Never written down. */
  readonly temporary: boolean;
  /** Parent ("" for the first) → the child that is shown. Where none is named: the newest. */
  readonly shown: Readonly<Record<string, string>>;
}
