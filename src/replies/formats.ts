/** Which way of writing a model has, by its chat template. */
import { CALL_MARKERS } from "./call_parser.ts";
import { FunctionaryReader } from "./functionary.ts";
import { HARMONY_MARKERS, HARMONY_THOUGHT, HarmonyReader } from "./harmony.ts";
import type { ReplyReader } from "./reader.ts";
import { SYNTAXES } from "./syntaxes.ts";
import { RESPONSE_TAGS, TaggedReader } from "./tagged_reader.ts";
import { type ThoughtTags, thoughtTags, thoughtTagsOf } from "./thought.ts";
import type { Tool } from "./tools.ts";

type ReplyFormat = "harmony" | "functionary" | "tagged";

export function replyFormat(template: string | undefined): ReplyFormat {
  if (template?.includes("<|channel|>") && template.includes("<|message|>")) return "harmony";
  return template?.includes(">>>all") ? "functionary" : "tagged";
}

/** Whether a call in a way of writing that is known may begin so. */
export function opensCall(text: string): boolean {
  return SYNTAXES.some(({ open }) => text.startsWith(open));
}

/** Whether replies to this template's prompts may begin with a thought that can be told from the text. */
export function thinks(template: string): boolean {
  return replyFormat(template) === "harmony" || thoughtTagsOf(template) !== undefined;
}

/** Whether the template names a way of writing calls that is known. Calls without any tag cannot be told by it. */
export function namesCallSyntax(template: string): boolean {
  return replyFormat(template) !== "tagged" ||
    SYNTAXES.some(({ open }) => template.includes(open)) ||
    // Phi-4-mini's shows tools so, and leaves calls to the model.
    template.includes("<|/tool|>");
}

interface ReaderOptions {
  readonly template: string | undefined;
  /** The prompt's last characters. */
  readonly promptTail: string;
  /** Whether a thought is to be looked for. */
  readonly thought: boolean;
  readonly tools: readonly Tool[];
}

interface Reading {
  readonly reader: ReplyReader;
  /** Control tokens' texts that the reader must be given. */
  readonly markers: readonly string[];
  /** What a thought is between, where tags tell. */
  readonly tags: ThoughtTags | undefined;
  /** The prompt ends inside a thought. */
  readonly opensThought: boolean;
}

export function readerFor({ template, promptTail, thought, tools }: ReaderOptions): Reading {
  const format = replyFormat(template);
  if (format === "harmony") {
    const reader = new HarmonyReader(tools);
    const tags = thought ? HARMONY_THOUGHT : undefined;
    return { reader, markers: HARMONY_MARKERS, tags, opensThought: false };
  }
  if (format === "functionary" && promptTail.endsWith(">>>")) {
    const reader = new FunctionaryReader(tools);
    return { reader, markers: [], tags: undefined, opensThought: false };
  }
  const tags = thought ? thoughtTags(template) : undefined;
  const opensThought = tags !== undefined && promptTail.trimEnd().endsWith(tags.open.trimEnd());
  const responseTags = RESPONSE_TAGS.filter((tag) => template?.includes(tag));
  const reader = new TaggedReader({
    ...(tags === undefined ? {} : { tags }),
    opensThought,
    tools,
    responseTags,
  });
  const markers = [
    // Gemma's opening is a control token and a word.
    ...(tags === undefined ? [] : [tags.open, tags.close, "<|channel>"]),
    ...(tools.length === 0 ? [] : CALL_MARKERS),
  ];
  return { reader, markers, tags, opensThought };
}
