/**
 * What other programs export, as conversations: ChatGPT's and Claude's `conversations.json`, Open WebUI's chats, Ollama's app
 * database, and our own JSON. A file is judged by what is in it, not by its name. Fields of a wrong type are left out; a message
 * that is none is too.
 */
import { SecLlamaError } from "../../errors.ts";
import { readMessage } from "../shapes.ts";
import { fromClaude } from "./claude.ts";
import { isSqlite, SqliteReader } from "./sqlite_reader.ts";
import { conversation, type Imported, type Node } from "./tree.ts";
import {
  date,
  id,
  isImage,
  type Json,
  list,
  model,
  number,
  object,
  roleOf,
  seconds,
  text,
} from "./values.ts";

/** What a file of JSON may be made of, one by one: each by the field that no other has. */
const MADE_OF: readonly {
  readonly format: string;
  is(one: Json): boolean;
  read(one: Json): Imported[];
}[] = [
  {
    format: "SecLlama",
    is: (one) => one["format"] === "secllama-history",
    read: (one) => list(one["conversations"]).map(fromOurs),
  },
  { format: "ChatGPT", is: (one) => "mapping" in one, read: (one) => [fromChatGpt(one)] },
  { format: "Claude", is: (one) => "chat_messages" in one, read: (one) => [fromClaude(one)] },
  { format: "Open WebUI", is: (one) => "chat" in one, read: (one) => [fromOpenWebUi(one)] },
];

/** Stands for what is no conversation that is known: it is left out, and counted. */
const NONE = conversation({}, [], 0);

/**
 * The conversations of a file.
 * @throws {SecLlamaError} `bad-request` for what is none of these.
 */
export function readImport(bytes: Uint8Array): { format: string; conversations: Imported[] } {
  if (isSqlite(bytes)) {
    return { format: "Ollama", conversations: fromOllama(new SqliteReader(bytes)) };
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    const isArchive = bytes[0] === 0x50 && bytes[1] === 0x4b;
    throw unknown(
      isArchive
        ? "it is an archive: unpack it, and give the conversations.json that is in it"
        : "it is neither JSON nor a SQLite database",
    );
  }
  const formats = new Set<string>();
  // Somebody may have put the conversations of several programs into one file.
  const conversations = (Array.isArray(value) ? value : [value]).flatMap((part) => {
    const one = object(part);
    const made = MADE_OF.find(({ is }) => is(one));
    if (made === undefined) return [NONE];
    formats.add(made.format);
    return made.read(one);
  });
  if (formats.size > 0) return { format: [...formats].join(", "), conversations };
  throw unknown("it has no conversations that SecLlama knows");
}

function unknown(why: string): SecLlamaError {
  return new SecLlamaError("bad-request", `nothing can be imported from this file: ${why}`, {
    hint:
      "give ChatGPT's or Claude's conversations.json, Open WebUI's export of chats, the db.sqlite of " +
      "Ollama's app, or what secllama history export wrote",
  });
}

function fromChatGpt(one: Json): Imported {
  const nodes = Object.entries(object(one["mapping"])).map(([name, value]): Node => {
    const node = object(value);
    const message = object(node["message"]);
    const content = object(message["content"]);
    // What was spoken is in a part of its own.
    const parts = list(content["parts"])
      .map((part) => typeof part === "string" ? part : text(object(part)["text"]))
      .filter((part) => part !== "");
    const said = parts.length > 0 ? parts.join("\n") : text(content["text"]);
    const role = roleOf(object(message["author"])["role"]);
    return {
      id: name,
      parent: id(node["parent"]) ?? null,
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
    id: id(message["id"]) ?? String(i),
    parentId: id(message["parentId"]) ?? (i === 0 ? null : id(all[i - 1]!["id"]) ?? String(i - 1)),
  }));
  const nodes = (tree.length > 0 ? tree : flat as Json[]).map((message): Node => {
    const role = roleOf(message["role"]);
    const content = message["content"];
    const images = [...list(message["files"]), ...list(content)].flatMap((file) =>
      imageOf(object(file))
    );
    return {
      id: String(message["id"]),
      parent: id(message["parentId"]) ?? null,
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
      parent: id(message["parent"]) ?? null,
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
