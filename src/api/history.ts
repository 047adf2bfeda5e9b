/**
 * The sealed history as the proxy serves it to programs of this user: what a conversation is, and how much of it there may be.
 * Times are unix milliseconds. Ids of conversations are 32 hexadecimal digits; a message's id is its place in the conversation,
 * "1", "2", …
 */

/** The paths and the router agree on what an id looks like. */
export const CONVERSATION_ID = /^[0-9a-f]{32}$/;
/** How long `DELETE` can be undone. After that nothing can. */
export const UNDO_MS = 10_000;

/** Most characters of these. */
export const TITLE_CHARACTERS = 500;
export const FOLDER_CHARACTERS = 200;
export const QUERY_CHARACTERS = 1000;
/** Most bytes of a conversation's settings, as JSON. */
export const SETTINGS_BYTES = 64 * 1024;
/** Conversations of one answer: unless told otherwise, as the page asks first (a tall window shows as many) and then, and at most. */
export const LIST_DEFAULT = 100;
export const LIST_OF_PAGE = 60;
export const LIST_OF_MORE = 200;
export const LIST_MOST = 20_000;

/** One line of the list. */
export interface ConversationSummary {
  readonly id: string;
  readonly title: string;
  readonly model: string;
  readonly created: number;
  readonly updated: number;
  readonly pinned: boolean;
  /** "" is none. */
  readonly folder: string;
  /** Bytes of its messages, sealed. */
  readonly size: number;
  /** How many messages it has. */
  readonly messages: number;
  /** It cannot be opened: its bytes were changed or cut. Nothing else of it is known. */
  readonly damaged?: true;
}

/** What `GET /secllama/history` answers. */
export interface ConversationList {
  /** Pinned ones first, then the newest. */
  readonly conversations: readonly ConversationSummary[];
  /** How many there are that fit the query. */
  readonly total: number;
  /** All folders by name, whatever the query, and how many conversations each has. */
  readonly folders: readonly { readonly name: string; readonly conversations: number }[];
  /** False: another process of this user writes the history, and what is sent to this one is refused. */
  readonly writable: boolean;
}

export type Role = "system" | "user" | "assistant" | "tool";

/** What is said in a conversation. */
export interface NewMessage {
  /** The message that this one answers or follows; null: it is a first one. Several may have one parent: edits, branches. */
  readonly parent: string | null;
  readonly role: Role;
  readonly content: string;
  readonly thinking?: string;
  /** Base64, as the API takes them. */
  readonly images?: readonly string[];
  /** Whatever the page keeps of files and passages: objects of its own. */
  readonly attachments?: readonly unknown[];
  readonly model?: string;
  /** Whatever is to be kept of how the answer was made. */
  readonly stats?: Readonly<Record<string, unknown>>;
  readonly tool_calls?: readonly unknown[];
  readonly tool_name?: string;
}

/** A message that is kept. */
export interface StoredMessage extends NewMessage {
  readonly id: string;
  readonly created: number;
  /** It cannot be opened: role and content are empty. */
  readonly damaged?: true;
}

/** What `GET /secllama/history/ID` answers. */
export interface Conversation extends Omit<ConversationSummary, "messages"> {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly messages: readonly StoredMessage[];
  /** Messages that should be there and are not: the database was cut. */
  readonly missing?: number;
}

/** What `POST /secllama/history` takes, and `PATCH` of what is there. */
export interface ConversationFields {
  readonly title?: string;
  readonly model?: string;
  readonly folder?: string;
  readonly pinned?: boolean;
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** A conversation that a search found. */
export interface SearchHit {
  readonly id: string;
  readonly title: string;
  readonly updated: number;
  /** The message with the first of the words; null: only the title has them. */
  readonly message: string | null;
  readonly role: Role | null;
  /** The text around that place, one line. */
  readonly snippet: string;
}

/** A prompt of the user's own library. */
export interface Prompt {
  readonly title: string;
  readonly text: string;
}

/** Prompts, and characters of one. */
export const MOST_PROMPTS = 1000;
export const PROMPT_CHARACTERS = 100_000;

/** What an import came to. */
export interface ImportReport {
  /** Whose file it was. */
  readonly format: string;
  readonly imported: number;
  readonly messages: number;
  /** Conversations without a message, and those that were here already. */
  readonly skipped: number;
}
