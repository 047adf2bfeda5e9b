/** Files of other programs, and the history written out, for the tests of this folder. */
import type { Written } from "../calls.ts";
import { allOf, joined, writtenAs } from "../export.ts";
import type { History } from "../history.ts";

/** The whole history, written out. */
export async function exported(history: History, as: Written): Promise<string> {
  const get = (id: string) => Promise.resolve(writtenAs(as, history.get(id)));
  const parts: Uint8Array[] = [];
  for await (const part of joined(as, allOf(get, history.list().conversations))) parts.push(part);
  return new TextDecoder().decode(Buffer.concat(parts));
}

/** A file of JSON. */
export const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** ChatGPT's export: a tree whose root and system nodes carry no message, an edit, and a picture that is no text. */
export const CHATGPT = [{
  title: "Lease",
  create_time: 1_700_000_000.5,
  mapping: {
    root: { id: "root", message: null, parent: null, children: ["sys"] },
    sys: {
      id: "sys",
      parent: "root",
      message: { author: { role: "system" }, content: { content_type: "text", parts: [""] } },
    },
    q1: {
      id: "q1",
      parent: "sys",
      message: {
        author: { role: "user" },
        create_time: 1_700_000_001,
        content: { content_type: "text", parts: ["Which notice?"] },
      },
    },
    a1: {
      id: "a1",
      parent: "q1",
      message: {
        author: { role: "assistant" },
        content: { content_type: "text", parts: ["Three", { asset_pointer: "x" }, "months."] },
        metadata: { model_slug: "gpt-4o" },
      },
    },
    q2: {
      id: "q2",
      parent: "sys",
      message: { author: { role: "user" }, content: { parts: ["Edited"] } },
    },
  },
}];

/** Open WebUI's: a tree with two answers to one question, and an older file's list. */
export const OPEN_WEBUI = [{
  id: "1",
  title: "Deed",
  created_at: 1_700_000_000,
  pinned: true,
  chat: {
    models: ["llama3"],
    history: {
      messages: {
        a: { id: "a", parentId: null, role: "user", content: "hi", timestamp: 1_700_000_001 },
        b: { id: "b", parentId: "a", role: "assistant", content: "yes", model: "llama3" },
        c: { id: "c", parentId: "a", role: "assistant", content: "no", model: "llama3" },
      },
      currentId: "c",
    },
  },
}, {
  title: "old",
  chat: { messages: [{ role: "user", content: "1" }, { role: "assistant", content: "2" }] },
}];
