/**
 * A labelled set of questions, made by this script of what people wrote in this repository. Passages: its documentation, cut as
 * documents are, without headings; and the answers of the demo model. Questions, each with the passages that answer it:
 * headings, titles of decisions and what stands in bold before a paragraph, which its passages do not repeat; and the questions
 * that were written by hand for the demo model (scripts/demo_model/eval.json).
 */
import { join } from "node:path";
import { chunksOf } from "../../src/documents/chunks.ts";

export interface Labelled {
  readonly passages: readonly string[];
  readonly questions: readonly Question[];
}

export interface Question {
  readonly kind: "heading" | "rewording";
  readonly text: string;
  /** Indices of passages. */
  readonly answers: readonly number[];
}

/** A heading that says less than this asks nothing. */
const LEAST_WORDS = 3;

/** @param root The repository's folder. */
export async function labelledQuestions(root: string): Promise<Labelled> {
  const passages: string[] = [];
  const questions: Question[] = [];
  const add = (text: string): number[] =>
    chunksOf([{ page: null, text }]).map((piece) => passages.push(piece.text) - 1);
  for (const page of await pagesOf(root)) {
    let heading: number[] = [];
    for (const { title, text, level } of sectionsOf(await Deno.readTextFile(page))) {
      const answers = add(text);
      // What is in bold is a part of what is under the heading.
      if (level === "heading") heading = answers;
      else heading.push(...answers);
      const asks = title.split(/\s+/).length >= LEAST_WORDS;
      if (asks) questions.push({ kind: "heading", text: title, answers });
    }
  }
  const folder = join(root, "scripts/demo_model");
  const topics = await Deno.readTextFile(join(folder, "topics.py"));
  const answers = new Map(
    [...topics.matchAll(/^ {4}"(\w+)": \(\n {8}"(.*)",$/gm)].map(([, name, text]) => [
      name!,
      add(JSON.parse(`"${text}"`)),
    ]),
  );
  const asked = JSON.parse(await Deno.readTextFile(join(folder, "eval.json"))) as {
    topics: Record<string, { questions: string[] }>;
  };
  for (const [topic, { questions: texts }] of Object.entries(asked.topics)) {
    const found = answers.get(topic);
    if (found === undefined) continue;
    for (const text of texts) questions.push({ kind: "rewording", text, answers: found });
  }
  return { passages, questions: questions.filter((one) => one.answers.length > 0) };
}

/** What else people wrote here, to train on: the comments of the programs. No question is in them. */
export async function proseOf(root: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isDirectory && name !== "node_modules") await walk(path);
      else if (/\.tsx?$/.test(name)) {
        const text = await Deno.readTextFile(path);
        for (const [, block, lines] of text.matchAll(/\/\*\*?([^]*?)\*\/|((?:^\s*\/\/.*\n)+)/gm)) {
          found.push((block ?? lines!).replace(/^\s*(?:\*|\/\/)/gm, " "));
        }
      }
    }
  };
  for (const folder of ["src", "runner", "tests", "scripts", "bench"]) {
    await walk(join(root, folder));
  }
  return found;
}

async function pagesOf(root: string): Promise<string[]> {
  const found = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
  for (const folder of ["docs", "docs/decisions"]) {
    for await (const { name } of Deno.readDir(join(root, folder))) {
      if (name.endsWith(".md")) found.push(`${folder}/${name}`);
    }
  }
  return found.sort().map((name) => join(root, name));
}

/** Parts of a page of Markdown under a heading or after bold words; neither blocks of code nor marks are in them. */
function sectionsOf(page: string) {
  const clean = page.replace(/^```[^]*?^```$/gm, "").replace(/<!--[^]*?-->/g, "")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/^\|[-| ]+\|$/gm, "").replace(/[`|_]/g, " ");
  const parts = clean.split(/^(?:#+ +(.*)|(?:- )?\*\*(.{8,}?)[.:]?\*\*)/m);
  const found: { title: string; text: string; level: "heading" | "bold" }[] = [];
  const plain = (text: string) => text.replace(/\*/g, "").replace(/ +/g, " ").trim();
  for (let i = 1; i < parts.length; i += 3) {
    const [heading, bold, text] = parts.slice(i, i + 3) as [string?, string?, string?];
    const level = heading === undefined ? "bold" : "heading";
    found.push({ title: plain(heading ?? bold!), text: plain(text ?? ""), level });
  }
  return found;
}
