/** `secllama history …`: this user's conversations on this machine, sealed. */
import { LIST_MOST, type StoredMessage } from "../../api/history.ts";
import { EXIT, SecLlamaError } from "../../errors.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "../command.ts";
import { humanBytes, printable, printTable } from "../models/print.ts";
import { findConversation, HISTORY_OPTIONS, openHistory } from "./access.ts";
import { eraseCommand } from "./erase.ts";
import { exportCommand, importCommand } from "./transfer.ts";
import { ID_DIGITS, oneLine } from "./texts.ts";

const list: Command = {
  path: ["history", "list"],
  summary: "List the conversations that were kept, the newest first",
  options: {
    ...HISTORY_OPTIONS,
    ...JSON_OPTION,
    limit: { type: "string", value: "N", help: "at most so many (default 50)" },
  },
  details: "Asks the proxy that runs, or opens the history itself. More: secllama help history",
  async run(context) {
    using open = await openHistory(context);
    const found = await open.history.list({ limit: countOption(context, "limit", 50) });
    const { tui } = context;
    if (flag(context, "json")) {
      tui.json(found);
      return EXIT.ok;
    }
    const rows = found.conversations.map((one) => [
      one.id.slice(0, ID_DIGITS),
      one.damaged ? "damaged" : day(one.updated),
      String(one.messages),
      humanBytes(one.size),
      one.model,
      `${one.pinned ? "* " : ""}${one.folder === "" ? "" : `${one.folder}/ `}${oneLine(one.title)}`,
    ]);
    printTable(tui, ["ID", "UPDATED", "MESSAGES", "SIZE", "MODEL", "TITLE"], rows);
    const more = found.total - found.conversations.length;
    if (more > 0) tui.note(`${more} more: --limit ${found.total}`);
    return EXIT.ok;
  },
};

const show: Command = {
  path: ["history", "show"],
  endsWithItsReader: true,
  summary: "Show a conversation",
  arguments: "ID",
  example: "secllama history show 4008a3fd",
  minPositionals: 1,
  maxPositionals: 1,
  options: { ...HISTORY_OPTIONS, ...JSON_OPTION },
  details:
    "Of messages that were edited or asked again, all versions are shown, each with what it follows.",
  async run(context) {
    using open = await openHistory(context);
    const { tui } = context;
    const { id } = await findConversation(open.history, context.positionals[0]!);
    const found = await open.history.get(id);
    if (flag(context, "json")) {
      tui.json(found);
      return EXIT.ok;
    }
    tui.out(tui.bold(printable(oneLine(found.title))));
    for (const message of found.messages) {
      tui.out("");
      tui.out(tui.dim(headOf(message)));
      for (const line of message.content.split("\n")) tui.out(printable(line));
    }
    if (found.missing) {
      tui.warn(`${found.missing} of its messages are not there: the database was cut`);
    }
    return EXIT.ok;
  },
};

const search: Command = {
  path: ["history", "search"],
  endsWithItsReader: true,
  summary: "Find conversations by words of their title and messages",
  arguments: "WORD…",
  example: 'secllama history search "land register"',
  minPositionals: 1,
  maxPositionals: 50,
  options: {
    ...HISTORY_OPTIONS,
    ...JSON_OPTION,
    limit: { type: "string", value: "N", help: "at most so many (default 20)" },
  },
  details: "All the words must be there, in any order, in capitals or not.",
  async run(context) {
    using open = await openHistory(context);
    const { tui } = context;
    const limit = countOption(context, "limit", 20);
    const hits = await open.history.search(context.positionals.join(" "), limit);
    if (flag(context, "json")) {
      tui.json({ hits });
      return EXIT.ok;
    }
    for (const { id, title, updated, snippet } of hits) {
      tui.out(`${id.slice(0, ID_DIGITS)}  ${day(updated)}  ${tui.bold(printable(oneLine(title)))}`);
      tui.out(`          ${printable(snippet)}`);
    }
    if (hits.length === 0) tui.note("nothing was found");
    return EXIT.ok;
  },
};

/** The commands of `secllama history`. */
export const historyCommands: Command[] = [
  list,
  show,
  search,
  exportCommand,
  importCommand,
  eraseCommand,
];

function countOption(context: CommandContext, name: string, otherwise: number): number {
  const text = stringOption(context, name);
  if (text === undefined) return otherwise;
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= LIST_MOST) return count;
  throw new SecLlamaError("usage", `--${name} must be a whole number from 1 to ${LIST_MOST}`, {
    field: `--${name}`,
  });
}

function headOf({ id, parent, role, model, created, damaged }: StoredMessage): string {
  if (damaged) return `${id}  damaged: its bytes were changed`;
  const follows = parent === null || Number(parent) === Number(id) - 1 ? "" : `  follows ${parent}`;
  return `${id}  ${role}${model ? ` ${printable(model)}` : ""}  ${day(created)}${follows}`;
}

/** A local date and time, as `2026-11-29 08:57`. */
function day(ms: number): string {
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${
    two(d.getMinutes())
  }`;
}
