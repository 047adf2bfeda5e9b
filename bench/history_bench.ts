/**
 * A history of 10,000 conversations with 20 messages each: how long it takes to open, to list, to search, and what it keeps in memory;
 * and 100,000 passages of documents with vectors of 384 numbers: how long a question takes. Times are processor time of the process, which other programs do not lengthen.
 *
 *     deno run -A bench/history_bench.ts [CONVERSATIONS [PASSAGES]]
 */
import { cpus } from "node:os";
import { Database } from "../src/history/database.ts";
import { Documents } from "../src/history/documents.ts";
import { historyFolder } from "../src/history/folder.ts";
import { History } from "../src/history/history.ts";
import { processorMs } from "../tests/support/patience.ts";
import { vocabulary } from "./zipf.ts";

const [conversations = 10_000, passages = 100_000] = Deno.args.map(Number);
const MESSAGES = 20;
const dataDir = Deno.makeTempDirSync({ prefix: "secllama-bench-" });
const key = crypto.getRandomValues(new Uint8Array(32));
const openHistory = () =>
  new History({ dataDir, vault: [{ id: "0011223344556677", key: key.slice() }] });

const word = vocabulary(30_000);
const text = (words: number) => Array.from({ length: words }, word).join(" ");

function row(name: string, work: () => unknown): void {
  const before = processorMs();
  const note = work();
  console.log(
    `${name.padEnd(52)} ${String(Math.round(processorMs() - before)).padStart(6)} ms  ${
      note ?? ""
    }`,
  );
}

const memory = () => Math.round(Deno.memoryUsage().rss / 1e6);

console.log(`${cpus()[0]!.model}; ${conversations} conversations of ${MESSAGES} messages`);
{
  using history = openHistory();
  for (let at = 0; at < conversations; at += 1000) {
    const part = Array.from({ length: Math.min(1000, conversations - at) }, (_, i) => ({
      title: text(6),
      created: 1_700_000_000_000 + (at + i) * 60_000,
      messages: Array.from({ length: MESSAGES }, (_, m) => ({
        id: String(m + 1),
        parent: m === 0 ? null : String(m),
        role: m % 2 === 0 ? "user" : "assistant",
        content: text(60) + (at + i === 17 && m === 9 ? " kestrelweather" : ""),
        created: 1_700_000_000_000 + (at + i) * 60_000,
      })),
    }));
    const bytes = new TextEncoder().encode(
      JSON.stringify({ format: "secllama-history", version: 1, conversations: part }),
    );
    await history.importFile(bytes);
  }
}
const before = memory();
for (const when of ["the first start, which keeps the register", "a later start, which reads it"]) {
  // As the proxy's thread does by itself once it is started.
  using history = openHistory();
  let longest = 0;
  row(`${when}, in breaths`, () => {
    for (let at: number | undefined = 0; at !== undefined;) {
      const begun = processorMs();
      at = history.warm(at);
      longest = Math.max(longest, processorMs() - begun);
    }
    return `the longest ${Math.round(longest)} ms`;
  });
  row("after that: the first 50 of the list", () => history.list({ limit: 50 }).total);
  row("after that: the first search, a rare word", () => history.search("kestrelweather").length);
}
{
  using history = openHistory();
  row("open it by the list itself, its first 50", () => history.list().conversations.length);
  row("the list again", () => history.list().total);
  row(
    "search, first: a word that is in one of the oldest",
    () => history.search("kestrelweather").length,
  );
  row("search: the same again", () => history.search("kestrelweather").length);
  row("search: two words, in no order", () => history.search(`${word()} kestrel`).length);
  row("search: a word that is nowhere", () => history.search("quetzalcoatl").length);
  row("search: two letters", () => history.search("qz").length);
  row("search: frequent words", () => history.search(`${word()} ${word()} ${word()}`).length);
  console.log(`memory: ${memory() - before} MB more`);
}
async function asyncRow(name: string, work: () => Promise<unknown>): Promise<void> {
  const [before, wall] = [processorMs(), performance.now()];
  const note = await work();
  const took = [processorMs() - before, performance.now() - wall].map(Math.round);
  console.log(`${name.padEnd(52)} ${String(took[0]).padStart(6)} ms  ${note} (wall ${took[1]} ms)`);
}

/** Passages with vectors of 384 numbers, as small embedding models make them: of chance, a word's the same each time. */
const DIMENSIONS = 384;
const random = () => Math.random() + Math.random() - 1;
const vectors = Array.from({ length: 64 }, () => Float32Array.from({ length: DIMENSIONS }, random));
const openDocuments = (db: Database) =>
  new Documents(db, [{ id: "0011223344556677", key: key.slice() }]);
{
  using db = Database.open(historyFolder(dataDir), () => {});
  using documents = openDocuments(db);
  const each = 5000;
  const pieces = Array.from({ length: each }, (_, i) => ({ page: i, text: text(160) }));
  for (let at = 0; at < passages; at += each) {
    const head = { type: "text", size: 1, pages: null, added: at } as const;
    const add = async () =>
      (await documents.add({ name: `d${at}`, ...head, passages: pieces })).passages;
    if (at === 0) await asyncRow("5,000 passages taken up", add);
    else await add();
  }
  for (;;) {
    const next = await documents.unembedded("m");
    if (next === null) break;
    documents.addVectors(next, "m", vectors.slice(0, next.texts.length));
  }
}
const base = memory();
{
  using db = Database.open(historyFolder(dataDir), () => {});
  using documents = openDocuments(db);
  const question = () => `${word()} ${word()} the ${word()} ${word()}`;
  const asked = () => ({ model: "m", vector: Float32Array.from({ length: DIMENSIONS }, random) });
  const ask = async () => (await documents.search(question(), 5, undefined, asked())).length;
  await asyncRow(`${passages} passages: the first question after a start`, ask);
  for (let i = 0; i < 3; i++) await asyncRow("a question, by words and vectors", ask);
  await asyncRow(
    "a question, by words",
    async () => (await documents.search(question(), 5)).length,
  );
  console.log(`memory: ${memory() - base} MB more`);
}
Deno.removeSync(dataDir, { recursive: true });
