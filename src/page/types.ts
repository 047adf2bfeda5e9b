/** What the page knows of conversations, in the shapes of the proxy's history where there are any. */
import type { Stats, ToolCall } from "../api/reply_lines.ts";

export interface Attachment {
  readonly name: string;
  /** Its text, as it goes into the prompt. */
  readonly text: string;
  /** Where in it, of a passage that was found: "page 3". */
  readonly where?: string;
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
  /** It could not be opened. */
  readonly damaged?: true;
}

/** Of a conversation; all optional. */
export interface Settings {
  readonly system?: string;
  readonly options?: Readonly<Record<string, number>>;
  readonly think?: boolean;
}

export interface Model {
  readonly name: string;
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
  /** "" is none. */
  readonly folder?: string;
  /** It cannot be opened. */
  readonly damaged?: true;
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
