/** What a list shows of a conversation, and in which order. */
import {
  type ConversationList,
  type ConversationSummary,
  LIST_DEFAULT,
  LIST_MOST,
  type NewMessage,
  TITLE_CHARACTERS,
} from "../api/history.ts";
import type { Entry } from "./entries.ts";
import { normalised } from "./normal.ts";

/** What a list is to have. */
export interface ListOptions {
  /** Words that the title, the folder or the model has. */
  readonly query?: string | undefined;
  readonly limit?: number | undefined;
  /** The last conversation of the list before: this one goes on after it. */
  readonly before?: string | undefined;
}

/** Those that were not deleted: pinned ones first, then the newest. */
export function listOf(
  entries: Iterable<Entry>,
  o: ListOptions,
): Omit<ConversationList, "writable"> {
  const words = normalised(o.query ?? "").split(" ").filter((word) => word !== "");
  const fits = ({ title, folder, model }: ConversationSummary) => {
    const text = normalised(`${title} ${folder} ${model}`);
    return words.every((word) => text.includes(word));
  };
  const all = [...entries].filter(({ opened }) => !opened || opened.head.deleted === null);
  const there = words.length === 0 ? all : all.filter((one) => fits(summary(one)));
  const last = o.before === undefined ? undefined : there.find(({ id }) => id === o.before);
  const after = last === undefined ? there : there.filter((one) => order(last, one) < 0);
  const limit = Math.min(o.limit ?? LIST_DEFAULT, LIST_MOST);
  const conversations = firstOf(after, limit).map(summary);
  return { conversations, total: there.length, folders: foldersOf(all) };
}

/** As sorting all of them would give: of ten thousand, few are looked at twice. */
function firstOf(entries: readonly Entry[], limit: number): Entry[] {
  const first: Entry[] = [];
  const most = 2 * limit;
  let worst: Entry | undefined;
  for (const one of entries) {
    if (worst !== undefined && order(worst, one) < 0) continue;
    if (first.push(one) < most) continue;
    first.sort(order).length = limit;
    worst = first.at(-1);
  }
  return first.sort(order).slice(0, limit);
}

function foldersOf(entries: readonly Entry[]): ConversationList["folders"] {
  const counts = new Map<string, number>();
  for (const { opened } of entries) {
    const name = opened?.head.folder ?? "";
    if (name !== "") counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, conversations]) => ({ name, conversations }))
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

/** One line of the list. */
export function summary({ id, opened }: Entry): ConversationSummary {
  if (opened === undefined) {
    const none = { title: "", model: "", created: 0, updated: 0, folder: "", size: 0, messages: 0 };
    return { id, ...none, pinned: false, damaged: true };
  }
  const { title, model, created, updated, pinned, folder, size, messages } = opened.head;
  return { id, title, model, created, updated, pinned, folder, size, messages };
}

/** Pinned ones first, then the newest; those that are damaged last. */
function order(a: Entry, b: Entry): number {
  const x = a.opened?.head;
  const y = b.opened?.head;
  return Number(y?.pinned ?? false) - Number(x?.pinned ?? false) ||
    (y?.updated ?? 0) - (x?.updated ?? 0) || (a.id < b.id ? -1 : 1);
}

/** The title under which a conversation is kept: its own, else that of the user's first words. */
export function titleFor(title: string, messages: Iterable<Pick<NewMessage, "role" | "content">>) {
  if (title !== "") return title;
  for (const { role, content } of messages) {
    const first = role === "user" ? titleOf(content) : "";
    if (first !== "") return first;
  }
  return "";
}

/** The first line of a message, as a title. */
function titleOf(content: string): string {
  const line = content.trim().split("\n", 1)[0]!.trim();
  const most = Math.min(TITLE_CHARACTERS, 80);
  return line.length <= most ? line : `${line.slice(0, most - 1).trimEnd()}…`;
}
