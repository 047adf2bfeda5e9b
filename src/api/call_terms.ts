/** What a client's role says of a call that only its runner can see: told with each exchange. */
import { SecLlamaError } from "../errors.ts";

/**
 * What is asked of a model. `chat`: conversations, and counting their tokens; `completions`: a text goes on (Ollama's generate, too);
 * `tokens`: what a text is to the model.
 */
export type CallKind = "chat" | "completions" | "embeddings" | "rerank" | "tokens";

/** All kinds. */
export const CALL_KINDS: readonly CallKind[] = [
  "chat",
  "completions",
  "embeddings",
  "rerank",
  "tokens",
];

/** What a role lets its clients' calls be. */
export interface CallTerms {
  /** The role's name, for who is refused. */
  readonly role: string;
  /** Absent: all. */
  readonly kinds?: readonly CallKind[];
  /** Most tokens of one reply, those of its thought among them; absent: as many as there is room for. */
  readonly replyTokens?: number;
}

/** @throws {SecLlamaError} `role-refused` for a kind of call that is not among the terms'. */
export function checkCallKind(terms: CallTerms | undefined, kind: CallKind): void {
  const { kinds, role } = terms ?? {};
  if (kinds === undefined || kinds.includes(kind)) return;
  throw new SecLlamaError(
    "role-refused",
    `the role ${role} does not let its clients ask for ${kind}`,
    {
      hint: `it may ask for: ${kinds.join(", ")}`,
    },
  );
}
