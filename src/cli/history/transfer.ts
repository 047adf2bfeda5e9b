/** `secllama history export` and `import`: move out, move in. */
import { ROUTES } from "../../api/routes.ts";
import { utf8Decode } from "../../bytes.ts";
import { EXIT, SecLlamaError } from "../../errors.ts";
import { allOf, joined, listAll, writtenAs } from "../../history/export.ts";
import { FileTooLong, readAtMost } from "../../read_up_to.ts";
import { type Command, flag, JSON_OPTION, stringOption } from "../command.ts";
import { plural } from "../../plural.ts";
import { findConversation, HISTORY_OPTIONS, openHistory } from "./access.ts";

export const exportCommand: Command = {
  path: ["history", "export"],
  endsWithItsReader: true,
  summary: "Write conversations, unsealed, as JSON or Markdown",
  arguments: "[ID…]",
  example: "secllama history export --format markdown > notes.md",
  maxPositionals: 1000,
  options: {
    ...HISTORY_OPTIONS,
    format: {
      type: "string",
      value: "FORMAT",
      choices: ["json", "markdown"],
      help: "json (which history import reads; default) or markdown",
    },
  },
  details:
    `Without ID, all of them. They go to standard output, for everyone to read who can read that file.`,
  async run(context) {
    const format = stringOption(context, "format") ?? "json";
    if (format !== "json" && format !== "markdown") {
      throw new SecLlamaError("usage", "--format must be json or markdown", { field: "--format" });
    }
    using open = await openHistory(context);
    const list = [];
    for (const text of context.positionals) list.push(await findConversation(open.history, text));
    const wanted = context.positionals.length > 0 ? list : await listAll(open.history);
    const damaged = wanted.filter((one) => one.damaged).length;
    const get = async (id: string) => writtenAs(format, await open.history.get(id));
    for await (const piece of joined(format, allOf(get, wanted))) {
      context.tui.write(utf8Decode(piece));
    }
    if (damaged > 0) context.tui.warn(`${damaged} of them are damaged and were left out`);
    return EXIT.ok;
  },
};

export const importCommand: Command = {
  path: ["history", "import"],
  summary: "Take up the conversations of ChatGPT, Claude, Open WebUI or Ollama's app",
  arguments: "FILE",
  example: "secllama history import conversations.json",
  minPositionals: 1,
  maxPositionals: 1,
  options: { ...HISTORY_OPTIONS, ...JSON_OPTION },
  details:
    `FILE is ChatGPT's or Claude's conversations.json, Open WebUI's export of chats, the db.sqlite of Ollama's app (end the app first), or what
secllama history export wrote. Conversations that are here already are left out. The file stays as it is.`,
  async run(context) {
    const path = context.positionals[0]!;
    const bytes = await readBounded(path, ROUTES.historyImport.maxBytes);
    using open = await openHistory(context);
    const { tui } = context;
    const log = await Deno.stat(`${path}-wal`).then(({ size }) => size, () => 0);
    if (log > 0) {
      tui.warn(`what is still in ${path}-wal is not seen: end the program that has it open`);
    }
    const report = await open.history.importFile(bytes);
    if (flag(context, "json")) tui.json(report);
    else {
      const { format, imported, messages, skipped } = report;
      tui.out(
        `imported ${plural(imported, "conversation")} with ${
          plural(messages, "message")
        } from ${format}`,
      );
      if (skipped > 0) tui.note(`${skipped} were here already, or without a message`);
    }
    return EXIT.ok;
  },
};

async function readBounded(path: string, most: number): Promise<Uint8Array> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile) throw new SecLlamaError("usage", `${path} is no file`);
    if (size > most) throw new FileTooLong(most);
    return await readAtMost(path, most);
  } catch (error) {
    if (error instanceof SecLlamaError) throw error;
    if (error instanceof FileTooLong) {
      throw new SecLlamaError("too-large", `${path} ${error.message}`, {
        hint: "export it in parts",
      });
    }
    const why = error instanceof Deno.errors.NotFound ? "is not there" : "cannot be read";
    throw new SecLlamaError("usage", `${path} ${why}`, { cause: error });
  }
}
