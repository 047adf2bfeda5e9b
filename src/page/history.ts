/** The proxy's sealed history, as the page asks it. */
import type { ToolCall } from "../api/reply_lines.ts";
import { pathOf, ROUTES } from "../api/routes.ts";
import {
  type ConversationList,
  type ImportReport,
  LIST_OF_MORE,
  LIST_OF_PAGE,
  type SearchHit,
} from "../api/history.ts";
import { ask, refuseLarge } from "./api.ts";
import type { Conversation, Message, Settings, Summary } from "./types.ts";

/** A part of the list. @throws {ApiError} `key-refused` where nothing is kept, since the key is in memory only. */
export function list(before?: string): Promise<ConversationList> {
  const query = new URLSearchParams(
    before ? { limit: String(LIST_OF_MORE), before } : { limit: String(LIST_OF_PAGE) },
  );
  return ask(`${ROUTES.history.path}?${query}`);
}

/** Of a search, at most; of a folder. */
export function mostFound(folder: string | undefined): number {
  return folder === undefined ? 100 : 1000;
}

/** By words of titles and messages, in one folder or in all. They stand in the body, not in the address. */
export async function search(query: string, folder?: string): Promise<readonly SearchHit[]> {
  const { hits } = await ask<{ hits: SearchHit[] }>(ROUTES.historySearch.path, {
    method: "POST",
    body: { query, limit: mostFound(folder), folder },
  });
  return hits;
}

type Fields = Partial<Pick<Summary, "title" | "model" | "folder" | "pinned">> & {
  readonly settings?: Settings;
};

/** Makes one. Returns its id. */
export async function create(fields: Fields): Promise<string> {
  return (await ask<{ id: string }>(ROUTES.history.path, { method: "POST", body: fields })).id;
}

export function update(id: string, fields: Fields): Promise<void> {
  return ask(pathOf(ROUTES.conversation, id), { method: "PATCH", body: fields });
}

interface Kept extends Omit<Message, "toolCalls"> {
  readonly tool_calls?: readonly ToolCall[];
}

/** With those that were taken out of the database, each in its place: what followed on it would be shown nowhere. */
export function withLost(messages: readonly Kept[], missing = 0): Kept[] {
  const there = new Map(messages.map((message) => [message.id, message]));
  return Array.from({ length: messages.length + missing }, (_, i) =>
    there.get(String(i + 1)) ?? {
      ...{ id: String(i + 1), parent: i === 0 ? null : String(i), created: 0 },
      ...{ role: "assistant", content: "", damaged: true } as const,
    });
}

/** A whole conversation. */
export async function load(id: string): Promise<Conversation> {
  const { messages, missing, settings, ...summary } = await ask<
    Summary & { messages: Kept[]; missing?: number; settings: Settings }
  >(pathOf(ROUTES.conversation, id));
  return {
    ...summary,
    settings,
    temporary: false,
    shown: {},
    messages: withLost(messages, missing).map(({ tool_calls: toolCalls, ...message }) => ({
      ...message,
      ...(toolCalls ? { toolCalls } : {}),
    })),
  };
}

/** Keeps a message. Returns the id that it has from now on, once it is on the disk. */
export async function append(id: string, message: Message): Promise<string> {
  const { parent, role, content, images, attachments, model } = message;
  const body = { parent, role, content, images, attachments, model };
  return (await ask<{ id: string }>(pathOf(ROUTES.messages, id), { method: "POST", body })).id;
}

/** Takes up the conversations of another program's file. @throws {ApiError} */
export async function importFile(file: File): Promise<ImportReport> {
  refuseLarge(file, ROUTES.historyImport);
  return await ask(ROUTES.historyImport.path, { method: "POST", body: file });
}

/** Hides it for ten seconds; then it is gone. */
export function remove(id: string): Promise<void> {
  return ask(pathOf(ROUTES.conversation, id), { method: "DELETE" });
}

/** For good, now. */
export function erase(id: string): Promise<void> {
  return ask(pathOf(ROUTES.erase, id), { method: "POST", body: {} });
}

export function undelete(id: string): Promise<void> {
  return ask(pathOf(ROUTES.undelete, id), { method: "POST", body: {} });
}
