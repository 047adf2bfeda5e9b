/**
 * What a template needs of a conversation. Hugging Face's templates agree on names and differ in everything else: one wants
 * arguments as an object, another as text; one raises when two users follow each other, another drops the system message
 * without a word. What a template needs is found by trying ({@link "./probe.ts"}), never by its name.
 */
export interface Needs {
  /** A message's content: text, or a list of parts with a `type`. */
  readonly content: "text" | "parts";
  /** Where the text of a system message goes: into a message of its own, or into the next user's. */
  readonly system: "own" | "user";
  /** Where system messages may stand: anywhere; several at the beginning; one. Others go into the next user's message. */
  readonly systems: "any" | "leading" | "one";
  /** Whether there is a role "developer", or such a message is a system message. */
  readonly developer: "own" | "system";
  /** Whether messages of one role may follow each other, or are made one. */
  readonly turns: "any" | "joined";
  /** Whether a conversation may begin with the assistant, or an empty user's message is put in front. */
  readonly begins: "any" | "user";
  /** Whether a conversation may be without any user's message, or an empty one is put behind the system's. */
  readonly users: "any" | "one";
  /** What stands between a tool's result and a user's message: nothing, or an assistant's message with this text. */
  readonly behindResult: undefined | "" | "OK";
  /** How the arguments of a call are given: as an object, or as its JSON text. */
  readonly arguments: "object" | "text";
  /** Ids of calls: as they are; nine letters and digits; `functions.NAME:NUMBER`. */
  readonly ids: "own" | "nine" | "numbered";
  /** The content of a message that only calls: "", none, or left out. */
  readonly empty: "" | "null" | "absent";
  /** Whether a message may have text and calls; or they are two messages; or the text is a thought. */
  readonly mixed: "whole" | "split" | "thought";
  /** Whether a thought, a text and calls may be in one message; or thought and text are one thought; or there is no thought. */
  readonly thoughts: "apart" | "joined" | "dropped";
  /** Whether a message may have several calls, or each has its own message, with its result behind it. */
  readonly parallel: "own" | "apart";
  /** Calls in messages of their kind, or as JSON in the text: the template knows no calls. */
  readonly calls: "own" | "text";
  /** The role of a tool's result. "user": the template knows none, the result is told in a user's message. */
  readonly results: "tool" | "ipython" | "function" | "user";
  /** Whether a result may have no call in front; or is told in a user's message then. */
  readonly orphans: "own" | "user";
  /**
   * How tools are given: as OpenAI's objects; as the functions in them; as the text `functions`; as text in the system
   * message's `tools`; or written into the system message: the template knows no tools.
   */
  readonly tools: "wrapped" | "bare" | "functions" | "message" | "system";
  /** How it is said that there are no tools: none, as transformers do; or an empty list. */
  readonly noTools: "none" | "empty";
  /** Whether tools are shown with any conversation, or an empty system message is put in front where there is none. */
  readonly toolsBeside: "any" | "system";
  /** Whether a tool may leave out its description and parameters, or empty ones are filled in. */
  readonly toolParts: "any" | "filled";
  /**
   * Whether a parameter may have several types or none, or is given one: the first of its types that is not "null". "filled": and
   * what a template joins to other text, as an empty description, where it has none.
   */
  readonly toolTypes: "any" | "single" | "filled";
}

/** Of a template that takes everything. */
export const NO_NEEDS: Needs = {
  content: "text",
  system: "own",
  systems: "any",
  developer: "own",
  turns: "any",
  begins: "any",
  users: "any",
  behindResult: undefined,
  arguments: "object",
  ids: "own",
  empty: "",
  mixed: "whole",
  thoughts: "apart",
  parallel: "own",
  calls: "own",
  results: "tool",
  orphans: "own",
  tools: "wrapped",
  noTools: "none",
  toolsBeside: "any",
  toolParts: "any",
  toolTypes: "any",
};

/** For a conversation that a template refuses in spite of what it was seen to take: more and more is made plain. */
export function plainer(needs: Needs): readonly Needs[] {
  const regular: Needs = {
    ...needs,
    systems: "one",
    developer: "system",
    turns: "joined",
    begins: "user",
    users: "one",
    orphans: "user",
    toolParts: "filled",
    toolTypes: "single",
  };
  const told: Needs = { ...regular, system: "user", calls: "text", results: "user" };
  const forms: Needs[] = [
    // Ids that are too short for it, say.
    { ...needs, ids: needs.ids === "own" ? "nine" : needs.ids },
    regular,
    { ...regular, toolTypes: "filled" },
    { ...regular, system: "user" },
    { ...regular, parallel: "apart", thoughts: "dropped" },
    { ...regular, results: "user", behindResult: undefined },
    told,
  ];
  // What is equal to one before would be refused again.
  const seen = new Set([form(needs)]);
  return forms.filter((one) => !seen.has(form(one)) && seen.add(form(one)));
}

/** The same text for the same needs. */
function form(needs: Needs): string {
  return JSON.stringify(Object.entries(needs).sort(([a], [b]) => a < b ? -1 : 1));
}
