/**
 * What other programs export, as conversations: ChatGPT's `conversations.json`, Open WebUI's chats, Ollama's app database, and our own
 * JSON. A file is judged by what is in it, not by its name. Fields of a wrong type are left out; a message that is none is too.
 */
import type { NewMessage, Role } from "../../api/history.ts";
import { FOLDER_CHARACTERS, SETTINGS_BYTES, TITLE_CHARACTERS } from "../../api/history.ts";
import { SecLlamaError } from "../../errors.ts";
import { MODEL_CHARACTERS, readMessage } from "../shapes.ts";
import { isSqlite, SqliteReader } from "./sqlite_reader.ts";

type Format = "ChatGPT" | "Open WebUI" | "Ollama" | "SecLlama";

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

type Json = Readonly<Record<string, unknown>>;

/** A node of somebody's tree of messages. */
interface Node {
  readonly id: string;
  readonly parent: string | null;
  /** Undefined: it carries no message, its children follow its parent. */
  readonly message: Omit<NewMessage, "parent"> | undefined;
  readonly created: number;
}

/**
 * The conversations of a file.
 * @throws {SecLlamaError} `bad-request` for what is none of these.
 */
export function readImport(bytes: Uint8Array): { format: Format; conversations: Imported[] } {
  if (isSqlite(bytes)) {
    return { format: "Ollama", conversations: fromOllama(new SqliteReader(bytes)) };
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw unknown("it is neither JSON nor a SQLite database");
  }
  const ours = object(value);
  if (ours["format"] === "secllama-history") {
    return { format: "SecLlama", conversations: list(ours["conversations"]).map(fromOurs) };
  }
  const all = Array.isArray(value) ? value.map(object) : [ours];
  if (all.some((one) => "mapping" in one)) {
    return { format: "ChatGPT", conversations: all.map(fromChatGpt) };
  }
  if (all.some((one) => "chat" in one)) {
    return { format: "Open WebUI", conversations: all.map(fromOpenWebUi) };
  }
  throw unknown("it has no conversations that SecLlama knows");
}

function unknown(why: string): SecLlamaError {
  return new SecLlamaError("bad-request", `nothing can be imported from this file: ${why}`, {
    hint: "give ChatGPT's conversations.json, Open WebUI's export of chats, the db.sqlite of " +
      "Ollama's app, or what secllama history export wrote",
  });
}

function fromChatGpt(one: Json): Imported {
  const nodes = Object.entries(object(one["mapping"])).map(([id, value]): Node => {
    const node = object(value);
    const message = object(node["message"]);
    const content = object(message["content"]);
    const parts = list(content["parts"]).filter((part) => typeof part === "string");
    const said = parts.length > 0 ? parts.join("\n") : text(content["text"]);
    const role = roleOf(object(message["author"])["role"]);
    return {
      id,
      parent: typeof node["parent"] === "string" ? node["parent"] : null,
      message: role === undefined || said === "" ? undefined : {
        role,
        content: said,
        ...model(object(message["metadata"])["model_slug"]),
      },
      created: seconds(message["create_time"]),
    };
  });
  return conversation(one, nodes, seconds(one["create_time"]));
}

function fromOpenWebUi(one: Json): Imported {
  const chat = object(one["chat"]);
  const tree = Object.values(object(object(chat["history"])["messages"])).map(object);
  // Older ones have a list only, each message following the one before.
  const flat = list(chat["messages"]).map(object).map((message, i, all) => ({
    ...message,
    id: message["id"] ?? String(i),
    parentId: message["parentId"] ?? (i === 0 ? null : all[i - 1]!["id"] ?? String(i - 1)),
  }));
  const nodes = (tree.length > 0 ? tree : flat as Json[]).map((message): Node => {
    const role = roleOf(message["role"]);
    const content = message["content"];
    const images = [...list(message["files"]), ...list(content)].flatMap((file) =>
      imageOf(object(file))
    );
    return {
      id: String(message["id"]),
      parent: typeof message["parentId"] === "string" ? message["parentId"] : null,
      message: role === undefined ? undefined : {
        role,
        content: Array.isArray(content)
          ? content.map((part) => text(object(part)["text"])).filter((part) => part !== "").join(
            "\n",
          )
          : text(content),
        ...(images.length === 0 ? {} : { images }),
        ...model(message["model"]),
      },
      created: seconds(message["timestamp"]),
    };
  });
  return conversation(
    { ...one, title: one["title"] ?? chat["title"], model: list(chat["models"])[0] },
    nodes,
    seconds(one["created_at"] ?? chat["timestamp"]),
  );
}

/** A picture that is in the file itself: of Open WebUI's own files it has addresses only. */
function imageOf({ type, url, image_url: part }: Json): string[] {
  const address = type === "image" ? text(url) : text(object(part)["url"]);
  const [, data] =
    /^data:image\/(?:png|jpeg|gif|bmp);base64,([A-Za-z0-9+/]+={0,2})$/.exec(address) ??
      [];
  return data === undefined ? [] : [data];
}

function fromOllama(db: SqliteReader): Imported[] {
  const chats = db.table("chats");
  const messages = db.table("messages");
  if (chats.length === 0 && messages.length === 0) throw unknown("it has no chats");
  const attached = Map.groupBy(db.table("attachments"), (row) => row["message_id"]);
  const calls = Map.groupBy(db.table("tool_calls"), (row) => row["message_id"]);
  const byChat = Map.groupBy(messages, (row) => row["chat_id"]);
  return chats.map((chat) => {
    let last: string | null = null;
    const rows = (byChat.get(chat["id"]!) ?? []).toSorted((a, b) =>
      Number(a["id"]) - Number(b["id"])
    );
    const nodes = rows.map((row): Node => {
      const role = roleOf(row["role"]);
      const thinking = text(row["thinking"]);
      const files = attached.get(row["id"]) ?? [];
      const images = files.flatMap(({ data }) =>
        data instanceof Uint8Array && isImage(data) ? [data.toBase64()] : []
      );
      const texts = files.flatMap(({ data, filename }) => attachmentOf(text(filename), data));
      const asked = (calls.get(row["id"]) ?? []).map(callOf);
      const node = {
        id: String(row["id"]),
        parent: last,
        message: role === undefined ? undefined : {
          role,
          content: text(row["content"]),
          ...(thinking === "" ? {} : { thinking }),
          ...(images.length === 0 ? {} : { images }),
          ...(texts.length === 0 ? {} : { attachments: texts }),
          ...(asked.length === 0 ? {} : { tool_calls: asked }),
          ...model(row["model_name"]),
        },
        created: date(row["created_at"]),
      };
      last = node.id;
      return node;
    });
    return conversation(chat, nodes, date(chat["created_at"]));
  });
}

/** A text that went along with a message. */
function attachmentOf(name: string, data: unknown): { name: string; text: string }[] {
  if (!(data instanceof Uint8Array) || isImage(data) || data.includes(0)) return [];
  try {
    return [{ name, text: new TextDecoder("utf-8", { fatal: true }).decode(data) }];
  } catch {
    return [];
  }
}

/** A row of Ollama's `tool_calls`, as its API has them. */
function callOf({ function_name: name, function_arguments: said }: Json): object {
  let args: unknown = said;
  try {
    args = JSON.parse(text(said));
  } catch { /* as it is written */ }
  return { function: { name: text(name), arguments: args } };
}

function fromOurs(value: unknown): Imported {
  const one = object(value);
  const nodes = list(one["messages"]).map(object).map((message): Node => {
    return {
      id: String(message["id"]),
      parent: typeof message["parent"] === "string" ? message["parent"] : null,
      message: message["damaged"] === true ? undefined : ours(message),
      created: number(message["created"]),
    };
  });
  return conversation(one, nodes, number(one["created"]));
}

/** As a program's that saves it: the file may be anybody's. */
function ours(message: Json): Node["message"] {
  try {
    const { parent: _parent, ...rest } = readMessage({ ...message, parent: null });
    return rest;
  } catch (error) {
    if (error instanceof SecLlamaError) return undefined;
    throw error;
  }
}

/** Parents before children, each at a place; what hangs on a node without a message hangs on its nearest one above. */
function conversation(one: Json, nodes: readonly Node[], created: number): Imported {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const children = Map.groupBy(
    nodes,
    ({ parent }) => parent !== null && byId.has(parent) ? parent : null,
  );
  const places = new Map<string, string | null>();
  const messages: { message: NewMessage; created: number }[] = [];
  const queue = [...children.get(null) ?? []];
  // It grows while it is gone through; a node may have a million children.
  for (const node of queue) {
    const parent = node.parent === null ? null : places.get(node.parent) ?? null;
    let place = parent;
    if (node.message !== undefined) {
      messages.push({ message: { ...node.message, parent }, created: node.created || created });
      place = String(messages.length);
    }
    places.set(node.id, place);
    for (const child of children.get(node.id) ?? []) queue.push(child);
  }
  const settings = object(one["settings"]);
  return {
    title: text(one["title"]).slice(0, TITLE_CHARACTERS),
    model: text(one["model"]).slice(0, MODEL_CHARACTERS),
    created: created || messages.find((one) => one.created > 0)?.created,
    pinned: one["pinned"] === true,
    folder: text(one["folder"]).slice(0, FOLDER_CHARACTERS),
    settings: JSON.stringify(settings).length > SETTINGS_BYTES ? {} : settings,
    messages,
  };
}

function roleOf(value: unknown): Role | undefined {
  return value === "user" || value === "assistant" || value === "system" || value === "tool"
    ? value
    : undefined;
}

function model(value: unknown): { model?: string } {
  return typeof value === "string" && value !== ""
    ? { model: value.slice(0, MODEL_CHARACTERS) }
    : {};
}

function isImage(bytes: Uint8Array): boolean {
  const begins = (...wanted: number[]) => wanted.every((byte, i) => bytes[i] === byte);
  return begins(0x89, 0x50, 0x4e, 0x47) || begins(0xff, 0xd8, 0xff) ||
    begins(0x52, 0x49, 0x46, 0x46);
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The last millisecond that a Date can be (ECMA-262, section 21.4.1.1). */
const LAST_MS = 8.64e15;

/** A time in ms; 0: it is none. */
function number(value: unknown): number {
  return typeof value === "number" && value > 0 && value <= LAST_MS ? Math.floor(value) : 0;
}

function seconds(value: unknown): number {
  return number(Number(value) * 1000);
}

/** `2025-08-01 12:00:00.5+02:00` and the like, as Go's driver writes them. */
function date(value: unknown): number {
  const ms = Date.parse(text(value).replace(" ", "T").replace(/(\.\d{3})\d+/, "$1"));
  return Number.isNaN(ms) ? 0 : ms;
}
