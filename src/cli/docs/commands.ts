/** `secllama docs …`: documents in which answers are looked up, sealed on this machine. */
import { basename, join } from "node:path";
import { DOCUMENT_BYTES, DOCUMENT_NAME, type DocumentSummary } from "../../api/documents.ts";
import { EXIT, SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { readUpTo } from "../../read_up_to.ts";
import { answerTo } from "../chat/converse.ts";
import { makePost } from "../chat/post.ts";
import { Session } from "../chat/session.ts";
import { type Command, flag, JSON_OPTION, stringOption } from "../command.ts";
import { plural } from "../../plural.ts";
import { fileProblem } from "./file_problem.ts";
import { HISTORY_OPTIONS, openHistory } from "../history/access.ts";
import { humanBytes, printable, printableLine, printTable } from "../models/print.ts";
import { askedProxy, readSettings } from "../settings.ts";

/** Files of one folder, so that a wrong one does not take the whole disk up. */
const MOST_FILES = 10_000;

const add: Command = {
  path: ["docs", "add"],
  summary: "Take up documents: text, Markdown, HTML, CSV, DOCX, PDF",
  arguments: "FILE|FOLDER…",
  example: "secllama docs add lease.pdf notes/",
  minPositionals: 1,
  maxPositionals: 1000,
  options: { ...HISTORY_OPTIONS, ...JSON_OPTION },
  details:
    `Each is read in a thread without any permission, cut into passages and sealed. A file of the same name takes the older one's
place. Of folders, all that can be read is taken; symbolic links are not followed.`,
  async run(context) {
    using open = await openHistory(context);
    const { tui } = context;
    const done: DocumentSummary[] = [];
    let failed = 0;
    for (const { path, name } of await filesOf(context.positionals)) {
      try {
        const bytes = await readUpTo(path, DOCUMENT_BYTES);
        if (bytes.length > DOCUMENT_BYTES) {
          throw new SecLlamaError("too-large", `it is over ${DOCUMENT_BYTES / 1024 / 1024} MiB`);
        }
        const one = await open.history.addDocument(name, bytes);
        done.push(one);
        if (!flag(context, "json")) {
          tui.out(`${printableLine(path)}: ${plural(one.passages, "passage")}`);
        }
      } catch (error) {
        failed++;
        tui.warn(`${printableLine(path)} was left out:`);
        tui.error(fileProblem(error));
      }
    }
    if (flag(context, "json")) tui.json({ documents: done, failed });
    return failed === 0 ? EXIT.ok : EXIT.internal;
  },
};

const list: Command = {
  path: ["docs", "list"],
  summary: "List the documents that were taken up",
  options: { ...HISTORY_OPTIONS, ...JSON_OPTION },
  async run(context) {
    using open = await openHistory(context);
    const documents = await open.history.documents();
    if (flag(context, "json")) {
      context.tui.json({ documents });
      return EXIT.ok;
    }
    printTable(
      context.tui,
      ["ID", "TYPE", "SIZE", "PAGES", "PASSAGES", "NAME"],
      documents.map((one) => [
        one.id.slice(0, 8),
        one.damaged ? "damaged" : one.type,
        humanBytes(one.size),
        String(one.pages ?? ""),
        String(one.passages),
        one.name,
      ]),
    );
    return EXIT.ok;
  },
};

const ask: Command = {
  path: ["docs", "ask"],
  endsWithItsReader: true,
  summary: "Ask a model, with the passages of the documents that fit",
  arguments: "MODEL QUESTION…",
  example: 'secllama docs ask demo "Which notice does the lease ask for?"',
  minPositionals: 2,
  maxPositionals: Infinity,
  options: {
    ...HISTORY_OPTIONS,
    ...JSON_OPTION,
    passages: { type: "string", value: "N", help: "how many passages go into the prompt (5)" },
    find: { type: "boolean", help: "show the passages and ask nothing" },
  },
  details:
    `The passages are found by their words (BM25), and by embeddings where a model for these was named (secllama docs embed). They are
shown after the answer, with file and page, and go to the model sealed, as every prompt does.`,
  async run(context) {
    const [model, ...words] = context.positionals;
    const question = words.join(" ");
    const limit = Number(stringOption(context, "passages") ?? 5);
    if (!(Number.isInteger(limit) && limit >= 1 && limit <= 50)) {
      throw new SecLlamaError("usage", "--passages must be a whole number from 1 to 50", {
        field: "--passages",
      });
    }
    using open = await openHistory(context);
    const { tui } = context;
    const list = await open.find(question, limit);
    if (flag(context, "json")) {
      tui.json(list);
      return EXIT.ok;
    }
    const { passages: found, note } = list;
    if (note !== undefined) tui.warn(`found by words alone, or not by all: ${printable(note)}`);
    const cite = (i: number) => {
      const { name, page, passage } = found[i]!;
      return `[${i + 1}] ${printableLine(name)}, ${
        page === null ? `passage ${passage}` : `page ${page}`
      }`;
    };
    if (found.length === 0) tui.note("no passage has any of these words");
    if (!flag(context, "find") && found.length > 0) {
      const post = await makePost(context, askedProxy(await readSettings(context), context));
      const session = new Session(model!, { options: {}, verbose: false, wordWrap: true });
      const content =
        `Answer from these passages alone, and name them as [1], [2]. If they do not say it, say so.\n\n${
          found.map(({ text }, i) => `${cite(i)}\n${text}`).join("\n\n")
        }\n\nQuestion: ${question}`;
      await answerTo({ role: "user", content }, { tui, post }, session, context.signal);
      tui.out("");
    }
    for (const i of found.keys()) {
      tui.out(cite(i));
      if (flag(context, "find")) tui.out(`    ${printable(found[i]!.text.replace(/\s+/g, " "))}`);
    }
    return EXIT.ok;
  },
};

const embed: Command = {
  path: ["docs", "embed"],
  summary: "Say which model makes embeddings of the documents, and have it make them",
  arguments: "[MODEL]",
  example: "secllama docs embed all-minilm",
  maxPositionals: 1,
  options: {
    ...HISTORY_OPTIONS,
    ...JSON_OPTION,
    off: { type: "boolean", help: "no model: passages are found by their words alone" },
  },
  details:
    `Passages go to the model sealed, as every prompt does, and what it makes of them is kept sealed beside them. The proxy goes on with
it by itself, also with documents that are added later. Without MODEL it says how far it is.`,
  async run(context) {
    const [model] = context.positionals;
    const off = flag(context, "off");
    if (off && model !== undefined) {
      throw new SecLlamaError("usage", "give a model or --off, not both", { field: "--off" });
    }
    using open = await openHistory(context);
    const { tui } = context;
    const report = await open.embedding(off ? null : model);
    if (report === undefined) {
      throw new SecLlamaError("gateway-unreachable", "no proxy runs, and the models are there", {
        hint: HINTS.serveRuns,
      });
    }
    if (flag(context, "json")) {
      tui.json(report);
      return EXIT.ok;
    }
    const { passages, embedded, running, error } = report;
    if (report.model === null) tui.out("no model: passages are found by their words alone");
    else {
      const how = running && embedded < passages ? ", the others are being made" : "";
      tui.out(
        `${report.model}: ${embedded} of ${plural(passages, "passage")} with embeddings${how}`,
      );
    }
    if (error !== undefined) tui.warn(`it stopped: ${printable(error)}`);
    return EXIT.ok;
  },
};

const remove: Command = {
  path: ["docs", "rm"],
  summary: "Erase documents, their passages too",
  arguments: "ID…",
  example: "secllama docs rm 4008a3fd",
  minPositionals: 1,
  maxPositionals: 1000,
  options: { ...HISTORY_OPTIONS, ...JSON_OPTION },
  async run(context) {
    using open = await openHistory(context);
    const documents = await open.history.documents();
    const ids = context.positionals.map((text) => idOf(documents, text));
    for (const id of new Set(ids)) await open.history.removeDocument(id);
    if (flag(context, "json")) context.tui.json({ erased: ids });
    else context.tui.out(`erased ${plural(ids.length, "document")}`);
    return EXIT.ok;
  },
};

/** The commands of `secllama docs`. */
export const docsCommands: Command[] = [add, list, ask, embed, remove];

function idOf(documents: readonly DocumentSummary[], text: string): string {
  const found = /^[0-9a-f]{2,32}$/.test(text)
    ? documents.filter(({ id }) => id.startsWith(text))
    : [];
  if (found.length === 1) return found[0]!.id;
  throw new SecLlamaError(
    found.length === 0 ? "not-found" : "usage",
    found.length === 0
      ? "there is no such document"
      : `${found.length} documents begin with ${text}`,
    { hint: "to see them: secllama docs list" },
  );
}

/**
 * Files as they are named, and of folders those that can be read, without following links; each with the name that it gets, which
 * in a folder is its path there: others may be called the same.
 */
async function filesOf(
  paths: readonly string[],
): Promise<{ readonly path: string; readonly name: string }[]> {
  const found: { path: string; name: string }[] = [];
  async function walk(folder: string, at: string): Promise<void> {
    for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
      if (found.length >= MOST_FILES) {
        throw new SecLlamaError("usage", `there are more than ${MOST_FILES} files`, {
          hint: "give parts of the folder",
        });
      }
      if (name.startsWith(".")) continue;
      const path = join(folder, name);
      if (isDirectory) await walk(path, `${at}/${name}`);
      else if (isFile && DOCUMENT_NAME.test(name)) found.push({ path, name: `${at}/${name}` });
    }
  }
  for (const path of paths) {
    const info = await Deno.stat(path).catch(() => undefined);
    if (info === undefined) throw new SecLlamaError("usage", `${path} is not there`);
    if (info.isDirectory) await walk(path, basename(await Deno.realPath(path)));
    else if (info.isFile) found.push({ path, name: basename(path) });
    else throw new SecLlamaError("usage", `${path} is neither a file nor a folder`);
  }
  return found;
}
