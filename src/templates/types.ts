/** A conversation as templates are given it, before it is put into a template's own form. */

/** A tool call of the assistant's. */
export interface Call {
  /** What its result refers to it by. */
  readonly id?: string;
  /** The tool's. */
  readonly name: string;
  /** A JSON object. */
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** One message. */
export interface Message {
  /** "system", "developer", "user", "assistant", "tool", and a few that only some templates know. */
  readonly role: string;
  /** Its text; "" where there is none. */
  readonly content: string;
  /** What the assistant thought before. */
  readonly thinking?: string;
  /** The assistant's. */
  readonly toolCalls?: readonly Call[];
  /** For role "tool": which tool this answers. */
  readonly toolName?: string;
  /** For role "tool": which call this answers. */
  readonly toolCallId?: string;
}

/** A tool that may be called. */
export interface Tool {
  /** What calls name it by. */
  readonly name: string;
  /** For the model. */
  readonly description?: string;
  /** JSON schema of the arguments. */
  readonly parameters?: unknown;
}

/** What is made a prompt. */
export interface Conversation {
  /** In order. */
  readonly messages: readonly Message[];
  /** None, or those of the request. */
  readonly tools?: readonly Tool[];
}
