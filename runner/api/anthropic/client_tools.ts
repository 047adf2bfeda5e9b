/**
 * Tools that Anthropic defines and its clients run: a request names their type only, since its models know the arguments. Ours
 * are told. Source: Anthropic's pages on the bash, text editor and memory tool, and the types of its SDK.
 */
import type { ToolDefinition } from "../../engine/types.ts";

type Schema = Readonly<Record<string, unknown>>;

const text = (description: string): Schema => ({ type: "string", description });
const line = (description: string): Schema => ({ type: "integer", description });

const PATH = text("The file's or folder's path.");
const VIEW = {
  view_range: {
    type: "array",
    items: { type: "integer" },
    minItems: 2,
    maxItems: 2,
    description: "For view: the first and the last line, from 1; -1 for the file's end.",
  },
};
const EDIT = {
  file_text: text("For create: the whole text of the file."),
  old_str: text("For str_replace: the text to replace, which must be there once."),
  new_str: text("For str_replace: the text in its place."),
  insert_line: line("For insert: the line behind which to insert; 0 for the file's beginning."),
};
const INSERTED = { insert_text: text("For insert: the text to insert.") };
/** Before July 2025. */
const INSERTED_BEFORE = { new_str: text("For str_replace and insert: the new text.") };

function commands(names: readonly string[], properties: Schema, required = ["path"]): Schema {
  const command = { type: "string", enum: names, description: "What to do." };
  return {
    type: "object",
    properties: { command, ...properties },
    required: ["command", ...required],
  };
}

const EDITS = ["view", "create", "str_replace", "insert"];
const UNDO = [...EDITS, "undo_edit"];
const OLD_EDITOR = { path: PATH, ...VIEW, ...EDIT, ...INSERTED_BEFORE };
const EDITOR = "Shows, creates and edits files.";
const BASH = {
  description: "Runs a command in a bash shell that stays open.",
  parameters: {
    type: "object",
    properties: {
      command: text("The command to run."),
      restart: { type: "boolean", description: "Starts the shell anew, without a command." },
    },
  },
};

/** By their types in a request. */
const CLIENT_TOOLS: Readonly<Record<string, Omit<ToolDefinition, "name">>> = {
  bash_20241022: BASH,
  bash_20250124: BASH,
  text_editor_20241022: { description: EDITOR, parameters: commands(UNDO, OLD_EDITOR) },
  text_editor_20250124: { description: EDITOR, parameters: commands(UNDO, OLD_EDITOR) },
  text_editor_20250429: { description: EDITOR, parameters: commands(EDITS, OLD_EDITOR) },
  text_editor_20250728: {
    description: EDITOR,
    parameters: commands(EDITS, { path: PATH, ...VIEW, ...EDIT, ...INSERTED }),
  },
  memory_20250818: {
    description: "Keeps files in the folder /memories, for later conversations.",
    parameters: commands([...EDITS, "delete", "rename"], {
      path: PATH,
      ...VIEW,
      ...EDIT,
      ...INSERTED,
      old_path: text("For rename: the path before."),
      new_path: text("For rename: the path after."),
    }, []),
  },
};

/** What a model is told of a tool of this type; undefined: it is none that a client runs by a schema of Anthropic's. */
export function clientTool(type: string): Omit<ToolDefinition, "name"> | undefined {
  return Object.hasOwn(CLIENT_TOOLS, type) ? CLIENT_TOOLS[type] : undefined;
}
