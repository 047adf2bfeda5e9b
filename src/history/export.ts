/** Conversations for other programs and for people: JSON that `history import` reads, and Markdown. */
import {
  type Conversation,
  type ConversationSummary,
  LIST_MOST,
  type StoredMessage,
} from "../api/history.ts";
import { SecLlamaError } from "../errors.ts";
import type { HistoryCalls } from "./calls.ts";

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

/** The conversations of a list, one after the other. What is damaged, or was erased meanwhile, is left out. */
export async function* allOf(
  history: Pick<HistoryCalls, "get">,
  list: readonly ConversationSummary[],
): AsyncGenerator<Conversation> {
  for (const { id, damaged } of list) {
    if (damaged) continue;
    try {
      yield await history.get(id);
    } catch (error) {
      if (!(error instanceof SecLlamaError) || error.code !== "not-found") throw error;
    }
  }
}

/** One JSON document of several conversations, piece by piece: they may be more than fits in memory. */
export async function* exportJson(
  conversations: AsyncIterable<Conversation>,
): AsyncGenerator<string> {
  yield '{"format":"secllama-history","version":1,"conversations":[';
  let first = true;
  for await (const one of conversations) {
    yield `${first ? "" : ","}\n${JSON.stringify(one)}`;
    first = false;
  }
  yield "\n]}\n";
}

/** A conversation as Markdown. Of messages that were edited or asked again, all are there, and say what they follow. */
function toMarkdown({ title, messages, missing }: Conversation): string {
  return [
    `# ${title.replace(/\s+/g, " ").trim() || "Conversation"}`,
    ...messages.map((message) => `${headingOf(message)}\n\n${bodyOf(message)}`),
    ...(missing ? [`_${missing} messages are missing._`] : []),
  ].join("\n\n") + "\n";
}

/** Several, with a line between them. */
export async function* exportMarkdown(
  conversations: AsyncIterable<Conversation>,
): AsyncGenerator<string> {
  let first = true;
  for await (const one of conversations) {
    yield `${first ? "" : "\n---\n\n"}${toMarkdown(one)}`;
    first = false;
  }
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
  const pictures = images?.length ? `\n\n_${images.length} pictures._` : "";
  return `${thought}${content.trim()}${pictures}`;
}
