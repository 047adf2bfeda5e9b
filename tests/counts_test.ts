/** What a text counts may be one: "1 lines" is no English. The rule is held against every text of the program. */
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { plural } from "../src/plural.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** Words that end in an s behind what is no count. */
const NO_COUNT = new Set(
  ("accepts allows already class declares exists ms occurs permits ranks reaches sets waits always answers as asks at begins belongs brings carries changes comes contains costs " +
    "does ends fails follows forms gets gives goes has hears holds ignores is its keeps knows lasts leaves less lets lies lists " +
    "listens looks makes means meets misses must names needs offers opens passes points puts reads refuses repeats " +
    "resolves returns runs says sees sends serves shows speaks starts stands stays stops takes tells this thus tries " +
    "unless uses wants was works writes")
    .split(" "),
);

/** What is never one, or is a limit of ours: a constant, a limit's name, what is over one or under one. */
const LIMIT = /(?:^|\W)(?:[A-Z][A-Z0-9_]*(?:\.\w+)?|limits\.\w+)(?: \/ 1000)?$/;
const BOUND = /(?:than|over|under|above|most|least|fewer) $/;

/** Texts that say a count with the many's word, where it is never one. By path: the word, and why. */
const MANY: { readonly [path: string]: { readonly [word: string]: string } } = {
  "src/supervisor/load_size.ts": { bytes: "more than fit" },
  "src/sandbox/linux/plan_layers.ts": { calls: "of a list of ours" },
  "src/history/passage_index.ts": { vectors: "of a fault in the program" },
  "src/pull/pull.ts": { bytes: "more than are allowed" },
  "src/app/installation.ts": { libraries: "no count" },
  "src/sealed/envelope.ts": { bytes: "more than fit" },
  "src/sealed/primitives.ts": { bytes: "more than there can be" },
  "src/api/documents.ts": { pages: "one has a sentence of its own" },
  "src/api/errors.ts": { tokens: "more than fit; the words of OpenAI and Anthropic" },
  "src/linux/seccomp.ts": { instructions: "more than the kernel takes" },
  "src/linux/syscall_interpreter.ts": { bytes: "a jump's, beyond what one may have" },
  "src/linux/bpf.ts": { instructions: "more than the kernel takes, or a jump reaches" },
  "src/models/describe.ts": { parts: "two or more", numbers: "of an embedding" },
  "src/models/gguf.ts": {
    tensors: "more than are allowed",
    keys: "more than are allowed",
    bytes: "none, or more than are allowed",
    dimensions: "more than there are",
  },
  "src/cli/history/access.ts": { conversations: "two or more" },
  "src/cli/chat/show_answer.ts": { tokens: "a rate, with its fraction" },
  "src/cli/chat/files.ts": { bytes: "more than are allowed" },
  "src/cli/chat/converse.ts": { questions: "one has a sentence of its own" },
  "src/cli/status.ts": { times: "two or more" },
  "src/cli/docs/commands.ts": { documents: "none, or two and more" },
  "src/keys/stores/windows.ts": { bytes: "more than fit" },
  "src/keys/stores/linux.ts": { bytes: "more than fit" },
  "src/keys/keyset/rebuild.ts": { keys: "two or more" },
  "src/keys/keyset/wrap.ts": { bytes: "more than fit" },
  "src/tls/der.ts": { bytes: "more than fit" },
  "runner/engine/batch.ts": { tokens: "of a batch of ours" },
  "runner/engine/embedder.ts": { tokens: "more than fit" },
  "runner/engine/vision/check_media.ts": { pixels: "of a picture, two numbers" },
  "runner/engine/vision/vision.ts": { tokens: "more than fit" },
  "runner/engine/layout.ts": { bytes: "of a struct of llama.cpp's" },
  "runner/api/fit_chat.ts": { messages: "more than fit", characters: "more than fit" },
  "runner/api/fields.ts": { elements: "more than fit", characters: "more than fit" },
  "runner/api/pictures.ts": { pictures: "more than are allowed" },
  "runner/api/openai/call_arguments.ts": { characters: "more than fit" },
  "runner/api/prompt.ts": { characters: "more than fit" },
  "runner/lockdown.ts": { instructions: "of a filter of ours" },
};

/** Letters of an expression in a text. */
const LONGEST = 300;

/** A count as it stands in a text: the expression, what is before it, and the word behind. */
interface Count {
  readonly before: string;
  readonly of: string;
  readonly word: string;
}

/** Of a source, what may be counts with the many's word. @param drawn Of a page: also what stands in its elements. */
function countsIn(text: string, drawn: boolean): Count[] {
  const found: Count[] = [];
  for (const { 1: word, index } of text.matchAll(/\}\s([a-z]+s)\b(?![(:=.])/g)) {
    let [at, depth] = [index, 0];
    for (const least = at - LONGEST; at >= Math.max(0, least); at--) {
      if (text[at] === "}") depth++;
      else if (text[at] === "{" && --depth === 0) break;
    }
    const inText = text[at - 1] === "$";
    const of = text.slice(at + 1, index).trim();
    if (inText || drawn && !of.includes(";")) {
      found.push({ before: text.slice(0, inText ? at - 1 : at).slice(-12), of, word: word! });
    }
  }
  return found;
}

function isFault({ before, of, word }: Count): boolean {
  return !NO_COUNT.has(word) && !LIMIT.test(of) && !BOUND.test(before);
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* sources(path);
    else if (/(?<!_test)\.tsx?$/.test(name) && !/^(?:testing|fake_)/.test(name)) yield path;
  }
}

Deno.test("counts: a text that may say one of a thing says it as one", async () => {
  let files = 0;
  const used = new Set<string>();
  const found: string[] = [];
  for (const folder of ["src", "runner"]) {
    for await (const path of sources(join(ROOT, folder))) {
      files++;
      const name = relative(ROOT, path);
      const text = (await Deno.readTextFile(path)).replace(/\/\*\*[^]*?\*\/|^\s*\/\/[^\n]*/gm, "");
      for (const count of countsIn(text, path.endsWith("x"))) {
        if (!isFault(count)) continue;
        if (MANY[name]?.[count.word] === undefined) {
          found.push(`${name}: ${count.of} ${count.word}`);
        } else used.add(`${name} ${count.word}`);
      }
    }
  }
  assert.ok(files > 500, `only ${files} files were seen`);
  assert.deepEqual(found, []);
  const rows = Object.entries(MANY).flatMap(([name, words]) =>
    Object.keys(words).map((word) => `${name} ${word}`)
  );
  assert.deepEqual([...used].toSorted(), rows.toSorted());
});

Deno.test("counts: what is one is written as one, and the rule notices what it must", () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => plural(count, "process", "processes")),
    ["0 processes", "1 process", "2 processes"],
  );
  assert.deepEqual([0, 1].map((count) => plural(count, "key")), ["0 keys", "1 key"]);
  const said = (text: string, drawn = false) =>
    countsIn(text, drawn).filter(isFault).map(({ of, word }) => `${of} ${word}`);
  assert.deepEqual(said("`there are ${found.length} lines`"), ["found.length lines"]);
  assert.deepEqual(said("`${rows.filter(({ n }) => n > 1).length} rows`").length, 1);
  assert.deepEqual(said("`it had ${\n  lines\n} lines`"), ["lines lines"]);
  assert.deepEqual(said("<b>{one.pages} pages</b>", true), ["one.pages pages"]);
  for (
    const fine of [
      "`${name} is`",
      "`at most ${most} lines`",
      "`over ${LIMITS.parts} parts`",
      "`within ${WAIT_MS / 1000} seconds`",
      "`${a} of ${plural(n, 'line')}`",
      "if (a) { b(); } others(c);",
    ]
  ) assert.deepEqual(said(fine), [], fine);
});
