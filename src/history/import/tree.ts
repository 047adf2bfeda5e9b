/** Somebody's tree of messages, as the history has them: parents before children, each at a place. */
import {
  FOLDER_CHARACTERS,
  type NewMessage,
  SETTINGS_BYTES,
  TITLE_CHARACTERS,
} from "../../api/history.ts";
import { isTooDeep } from "../depth.ts";
import { MODEL_CHARACTERS } from "../shapes.ts";
import { type Json, object, text } from "./values.ts";

/** A conversation for the history. A message's parent is the place of an earlier one, from 1. */
export interface Imported {
  readonly title: string;
  readonly model: string;
  /** Unix milliseconds; undefined: the file does not say. */
  readonly created: number | undefined;
  readonly pinned: boolean;
  readonly folder: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** `created`: 0 where the file does not say. */
  readonly messages: readonly { readonly message: NewMessage; readonly created: number }[];
}

/** A node of somebody's tree of messages. */
export interface Node {
  readonly id: string;
  readonly parent: string | null;
  /** Undefined: it carries no message, its children follow its parent. */
  readonly message: Omit<NewMessage, "parent"> | undefined;
  readonly created: number;
}

/**
 * Parents before children, each at a place; what hangs on a node without a message hangs on its nearest one above. Each node is taken
 * once: where several have one id, what hangs on it hangs on the first, and where they go in a circle, one of them is the beginning.
 */
export function conversation(one: Json, nodes: readonly Node[], created: number): Imported {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const children = Map.groupBy(
    nodes,
    ({ parent }) => parent !== null && byId.has(parent) ? parent : null,
  );
  const places = new Map<string, string | null>();
  const messages: { message: NewMessage; created: number }[] = [];
  // It grows while it is gone through; a node may have a million children.
  const queue = new Set(children.get(null));
  let at = 0;
  const beginAnother = () => {
    while (at < nodes.length && queue.has(nodes[at]!)) at++;
    if (at < nodes.length) queue.add(nodes[at]!);
  };
  if (queue.size === 0) beginAnother();
  let taken = 0;
  for (const node of queue) {
    const parent = node.parent === null ? null : places.get(node.parent) ?? null;
    let place = parent;
    if (node.message !== undefined) {
      const message = { ...withoutDeep(node.message), parent };
      messages.push({ message, created: node.created || created });
      place = String(messages.length);
    }
    if (!places.has(node.id)) {
      places.set(node.id, place);
      for (const child of children.get(node.id) ?? []) queue.add(child);
    }
    if (++taken === queue.size) beginAnother();
  }
  const settings = object(one["settings"]);
  return {
    title: text(one["title"]).slice(0, TITLE_CHARACTERS),
    model: text(one["model"]).slice(0, MODEL_CHARACTERS),
    created: created || messages.find((one) => one.created > 0)?.created,
    pinned: one["pinned"] === true,
    folder: text(one["folder"]).slice(0, FOLDER_CHARACTERS),
    settings: isTooDeep(settings) || JSON.stringify(settings).length > SETTINGS_BYTES
      ? {}
      : settings,
    messages,
  };
}

/** Calls of tools with arguments that no model's would have are left out. */
function withoutDeep(message: Omit<NewMessage, "parent">): Omit<NewMessage, "parent"> {
  const { tool_calls } = message;
  if (!tool_calls?.some(isTooDeep)) return message;
  return { ...message, tool_calls: tool_calls.filter((call) => !isTooDeep(call)) };
}
