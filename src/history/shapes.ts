/** What a program sends, as what is kept: every field by its type and its limit. No error quotes a value: it is content. */
import {
  type ConversationFields,
  FOLDER_CHARACTERS,
  MOST_PROMPTS,
  type NewMessage,
  type Prompt,
  PROMPT_CHARACTERS,
  type Role,
  SETTINGS_BYTES,
  TITLE_CHARACTERS,
} from "../api/history.ts";
import { SecLlamaError } from "../errors.ts";
import { isTooDeep, MOST_DEEP } from "./depth.ts";

type Fields = Readonly<Record<string, unknown>>;

const ROLES: readonly string[] = ["system", "user", "assistant", "tool"] satisfies Role[];
/** Of a model's name, and of a tool's. */
export const MODEL_CHARACTERS = 600;

function wrong(field: string, what: string): SecLlamaError {
  return new SecLlamaError("bad-request", `${field} must be ${what}`, { field });
}

function tooDeep(field: string): SecLlamaError {
  return wrong(field, `nested at most ${MOST_DEEP} levels deep`);
}

function text(body: Fields, field: string, most: number): string | undefined {
  const value = body[field];
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw wrong(field, "a string");
  if (value.length > most) throw wrong(field, `at most ${most} characters`);
  return value;
}

function object(body: Fields, field: string): Record<string, unknown> | undefined {
  const value = body[field];
  if (value === undefined) return undefined;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(field, "an object");
  }
  if (isTooDeep(value)) throw tooDeep(field);
  return value as Record<string, unknown>;
}

function list(body: Fields, field: string): unknown[] | undefined {
  const value = body[field];
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw wrong(field, "an array");
  if (isTooDeep(value)) throw tooDeep(field);
  return value;
}

/** `{field: value}`, or nothing where it is absent. */
function given<K extends string, T>(field: K, value: T | undefined): { [key in K]?: T } {
  return value === undefined ? {} : { [field]: value } as { [key in K]: T };
}

/**
 * The fields of a conversation that a body names.
 * @throws {SecLlamaError} `bad-request` with the field.
 */
export function readFields(body: Fields): ConversationFields {
  const pinned = body["pinned"];
  if (pinned !== undefined && typeof pinned !== "boolean") throw wrong("pinned", "true or false");
  const settings = object(body, "settings");
  if (settings && JSON.stringify(settings).length > SETTINGS_BYTES) {
    throw wrong("settings", `at most ${SETTINGS_BYTES / 1024} KiB of JSON`);
  }
  return {
    ...given("title", text(body, "title", TITLE_CHARACTERS)),
    ...given("model", text(body, "model", MODEL_CHARACTERS)),
    ...given("folder", text(body, "folder", FOLDER_CHARACTERS)),
    ...given("pinned", pinned),
    ...given("settings", settings),
  };
}

/**
 * A message.
 * @throws {SecLlamaError} `bad-request` with the field.
 */
export function readMessage(body: Fields): NewMessage {
  const role = body["role"];
  if (typeof role !== "string" || !ROLES.includes(role)) throw wrong("role", ROLES.join(", "));
  const parent = body["parent"] ?? null;
  if (parent !== null && (typeof parent !== "string" || !/^[1-9]\d{0,8}$/.test(parent))) {
    throw wrong("parent", "null or the id of a message");
  }
  const content = text(body, "content", Infinity);
  if (content === undefined) throw wrong("content", "a string");
  const images = list(body, "images");
  if (images?.some((image) => typeof image !== "string")) {
    throw wrong("images", "an array of base64 strings");
  }
  return {
    parent,
    role: role as Role,
    content,
    ...given("thinking", text(body, "thinking", Infinity)),
    ...given("images", images as string[] | undefined),
    ...given("attachments", list(body, "attachments")),
    ...given("model", text(body, "model", MODEL_CHARACTERS)),
    ...given("stats", object(body, "stats")),
    ...given("tool_calls", list(body, "tool_calls")),
    ...given("tool_name", text(body, "tool_name", MODEL_CHARACTERS)),
  };
}

/**
 * The prompts of a body: `{"prompts": [{"title", "text"}]}`.
 * @throws {SecLlamaError} `bad-request` with the field.
 */
export function readPrompts(body: Fields): Prompt[] {
  const prompts = list(body, "prompts");
  if (prompts === undefined) throw wrong("prompts", "an array");
  if (prompts.length > MOST_PROMPTS) throw wrong("prompts", `at most ${MOST_PROMPTS}`);
  return prompts.map((one) => {
    const prompt = Object(one) as Fields;
    const [title, words] = [text(prompt, "title", 500), text(prompt, "text", PROMPT_CHARACTERS)];
    if (title === undefined || words === undefined) {
      throw wrong("prompts", "an array of objects with title and text");
    }
    return { title, text: words };
  });
}
