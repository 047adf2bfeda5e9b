/** A conversation as templates are given it, before it is put into a template's own form. */

export interface Call {
  readonly id?: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

export interface Message {
  /** "system", "developer", "user", "assistant", "tool", and a few that only some templates know. */
  readonly role: string;
  readonly content: string;
  readonly thinking?: string;
  readonly toolCalls?: readonly Call[];
  /** For role "tool": which tool, and which call, this answers. */
  readonly toolName?: string;
  readonly toolCallId?: string;
}

export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** JSON schema of the arguments. */
  readonly parameters?: unknown;
}

export interface Conversation {
  readonly messages: readonly Message[];
  readonly tools?: readonly Tool[];
}
