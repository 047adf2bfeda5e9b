/** The tree of a conversation: an edit or a second answer is a sibling, and one path through it is shown. */
import type { Conversation, Message } from "./types.ts";

type Tree = Pick<Conversation, "messages" | "shown">;

/** A new id, random. */
export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) =>
    byte.toString(16).padStart(2, "0")
  ).join("");
}

/** The messages that follow on one, the oldest first; null: the first ones. */
function childrenOf({ messages }: Pick<Tree, "messages">, parent: string | null): Message[] {
  return messages.filter((message) => message.parent === parent);
}

/** The path that is shown, from its first message to its last. Ends where a circle would begin. */
export function pathOf(tree: Tree): Message[] {
  const byParent = Map.groupBy(tree.messages, ({ parent }) => parent);
  const seen = new Set<string>();
  const path: Message[] = [];
  let parent: string | null = null;
  for (;;) {
    const children: readonly Message[] = byParent.get(parent) ?? [];
    const next: Message | undefined = children.find(({ id }) => id === tree.shown[parent ?? ""]) ??
      children.at(-1);
    if (!next || seen.has(next.id)) return path;
    seen.add(next.id);
    path.push(next);
    parent = next.id;
  }
}

/** With one more message, which is shown. */
export function withMessage<T extends Tree>(tree: T, message: Message): T {
  return {
    ...tree,
    messages: [...tree.messages, message],
    shown: { ...tree.shown, [message.parent ?? ""]: message.id },
  };
}

/** With a message changed; as it is if it is not there. */
export function withChange<T extends Tree>(tree: T, id: string, change: Partial<Message>): T {
  return {
    ...tree,
    messages: tree.messages.map((message) =>
      message.id === id ? { ...message, ...change } : message
    ),
  };
}

/** With a message under another id, its followers with it. */
export function withId<T extends Tree>(tree: T, id: string, next: string): T {
  if (tree.messages.some((message) => message.id === next)) return without(tree, id);
  const shown = Object.fromEntries(
    Object.entries(tree.shown).map(([parent, child]) => [
      parent === id ? next : parent,
      child === id ? next : child,
    ]),
  );
  const messages = tree.messages.map((message) =>
    message.id === id
      ? { ...message, id: next }
      : message.parent === id
      ? { ...message, parent: next }
      : message
  );
  return { ...tree, messages, shown };
}

/** Without a message that nothing follows. */
export function without<T extends Tree>(tree: T, id: string): T {
  const shown = Object.entries(tree.shown).filter(([, child]) => child !== id);
  return {
    ...tree,
    messages: tree.messages.filter((message) => message.id !== id),
    shown: Object.fromEntries(shown),
  };
}

/** Where a message stands among its siblings: from 1. */
export function branchOf(
  tree: Tree,
  { id, parent }: Message,
): { readonly at: number; readonly of: number; readonly ids: readonly string[] } {
  const ids = childrenOf(tree, parent).map((message) => message.id);
  return { at: ids.indexOf(id) + 1, of: ids.length, ids };
}

/** The sibling that is `step` further is shown instead; as it is at either end. */
export function withBranch<T extends Tree>(tree: T, message: Message, step: number): T {
  const { at, ids } = branchOf(tree, message);
  const next = ids[at - 1 + step];
  if (next === undefined) return tree;
  return { ...tree, shown: { ...tree.shown, [message.parent ?? ""]: next } };
}

/** A title of a first question. */
export function titleOf(text: string): string {
  const line = text.trim().split("\n", 1)[0]!.trim();
  return line.length <= 60 ? line || "New conversation" : line.slice(0, 57).trimEnd() + "…";
}

/** The nearest message, itself or above, that the history has: it numbers them. What could not be kept has an id of this page's. */
export function keptAbove(messages: readonly Message[], id: string | null): string | null {
  let at = id;
  // A circle of parents ends.
  for (let steps = messages.length; at !== null && !/^[1-9]\d*$/.test(at); steps--) {
    at = steps < 0 ? null : messages.find((one) => one.id === at)?.parent ?? null;
  }
  return at;
}
