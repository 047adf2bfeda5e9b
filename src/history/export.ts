/** Conversations for other programs and for people: JSON that `history import` reads, and Markdown. */
import {
  type Conversation,
  type ConversationSummary,
  LIST_MOST,
  type StoredMessage,
} from "../api/history.ts";
import { type Bytes, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { HistoryCalls, Written } from "./calls.ts";
import { plural } from "../plural.ts";

/** All conversations that there are, however many lists these take. */
export async function listAll(
  history: Pick<HistoryCalls, "list">,
): Promise<readonly ConversationSummary[]> {
  const found = new Map<string, ConversationSummary>();
  let before: string | undefined;
  for (;;) {
    const { conversations } = await history.list({ limit: LIST_MOST, before });
    const known = found.size;
    for (const one of conversations) found.set(one.id, one);
    // One that was deleted meanwhile begins the list anew.
    if (conversations.length < LIST_MOST || found.size === known) return [...found.values()];
    before = conversations.at(-1)!.id;
  }
}

/** Those of a list, one after the other. What is damaged, or was erased meanwhile, is left out. */
export async function* allOf<T = Conversation>(
  get: (id: string) => Promise<T>,
  list: readonly ConversationSummary[],
): AsyncGenerator<T> {
  for (const { id, damaged } of list) {
    if (damaged) continue;
    try {
      yield await get(id);
    } catch (error) {
      if (!(error instanceof SecLlamaError) || error.code !== "not-found") throw error;
    }
  }
}

/** Several conversations, each written already, as one document, piece by piece: they may be more than fits in memory. */
export async function* joined(
  as: Written,
  conversations: AsyncIterable<Bytes>,
): AsyncGenerator<Bytes> {
  if (as === "json") yield utf8('{"format":"secllama-history","version":1,"conversations":[\n');
  let first = true;
  for await (const one of conversations) {
    if (!first) yield utf8(as === "json" ? ",\n" : "\n---\n\n");
    yield one;
    first = false;
  }
  if (as === "json") yield utf8("\n]}\n");
}

/** A conversation's bytes. */
export function writtenAs(as: Written, value: unknown): Bytes {
  return utf8(as === "json" ? JSON.stringify(value) : toMarkdown(value as Conversation));
}

/** A conversation as Markdown. Of messages that were edited or asked again, all are there, and say what they follow. */
function toMarkdown({ title, messages, missing }: Conversation): string {
  return [
    `# ${title.replace(/\s+/g, " ").trim() || "Conversation"}`,
    ...messages.map((message) => `${headingOf(message)}\n\n${bodyOf(message)}`),
    ...(missing ? [`_Missing: ${plural(missing, "message")}._`] : []),
  ].join("\n\n") + "\n";
}

const NAMES = { user: "You", assistant: "Answer", system: "System", tool: "Tool" } as const;

function headingOf({ id, parent, role, model, created }: StoredMessage): string {
  const follows = parent === null || Number(parent) === Number(id) - 1 ? "" : `, after ${parent}`;
  const when = created > 0 ? `, ${new Date(created).toISOString().slice(0, 16)}Z` : "";
  return `## ${id}. ${NAMES[role]}${model ? ` (${model})` : ""}${when}${follows}`;
}

function bodyOf({ content, thinking, images, damaged }: StoredMessage): string {
  if (damaged) return "_This message is damaged._";
  const thought = thinking ? `> ${thinking.trim().replaceAll("\n", "\n> ")}\n\n` : "";
  const pictures = images?.length ? `\n\n_${plural(images.length, "picture")}._` : "";
  return `${thought}${content.trim()}${pictures}`;
}
