/**
 * What the sizes and times of sealed frames still tell an observer of the wire: guesses the topic and the length of the demo
 * model's answers from their traces, with and without the pacing that paired clients get.
 *
 *     deno run -A bench/traffic.ts [MS_PER_TOKEN]          default 25, the speed of a mid-sized model on a processor
 *
 * The model answers questions of its eval, held-out wordings of several topics, at a temperature. Each answer's pieces are
 * replayed at the given speed into every kind of sealing at once, so that all see the same answer. The observer knows the
 * traces of half of the questions, with their topics and lengths, and guesses those of the other half by their nearest
 * neighbours: a simple classifier, so a lower bound of what can be told. What it guesses without looking is the base.
 */
import { join } from "node:path";
import { loadEngine } from "../runner/engine/mod.ts";
import { makeApi } from "../runner/api/mod.ts";
import { type Pacing, REMOTE_PACING, sendReply } from "../runner/reply_stream.ts";
import { libraryFolder } from "../runner/engine/testing.ts";
import { randomBytes } from "../src/sealed/primitives.ts";
import { ReplySealer } from "../src/sealed/reply_sealer.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const MS_PER_TOKEN = Number(Deno.args[0] ?? 25);
const TOPICS = 12;
const ANSWERS_PER_QUESTION = 3;
const NEIGHBOURS = 5;
const AT_ONCE = 40;

const KINDS: readonly { name: string; pacing?: Pacing }[] = [
  { name: "as made, steps of 64 bytes (clients of this machine)" },
  { name: "ticks of 25 ms, steps of 64", pacing: { everyMs: 25, bucketBytes: 64 } },
  { name: "ticks of 25 ms, steps of 512 (paired clients)", pacing: REMOTE_PACING },
  { name: "ticks of 100 ms, steps of 2048", pacing: { everyMs: 100, bucketBytes: 2048 } },
];

interface Answer {
  readonly topic: string;
  readonly question: string;
  readonly pieces: readonly Uint8Array<ArrayBuffer>[];
}

/** What the observer sees of one reply. */
interface Trace {
  readonly answer: Answer;
  readonly frames: readonly { readonly ms: number; readonly bytes: number }[];
}

async function ask(): Promise<Answer[]> {
  const { topics } = JSON.parse(
    await Deno.readTextFile(join(ROOT, "scripts/demo_model/eval.json")),
  );
  const engine = await loadEngine({
    libDir: libraryFolder(),
    modelPath: join(ROOT, "models/demo.gguf"),
    contextLength: 512,
    slots: 1,
    threads: 1,
  });
  const api = makeApi({ engine, model: "demo:latest", onKeepAlive() {}, version: "bench" });
  const answers: Answer[] = [];
  const names = Object.keys(topics).filter((name) => topics[name].questions.length >= 4);
  for (const topic of names.slice(0, TOPICS)) {
    for (const question of topics[topic].questions) {
      for (let i = 0; i < ANSWERS_PER_QUESTION; i++) {
        const response = await api.fetch(
          new Request("http://runner/api/chat", {
            method: "POST",
            body: JSON.stringify({
              model: "demo",
              messages: [{ role: "user", content: question }],
              options: { temperature: 0.9, seed: answers.length, num_predict: 120 },
            }),
          }),
          { client: "bench" },
        );
        answers.push({ topic, question, pieces: await Array.fromAsync(response.body!) });
      }
    }
  }
  engine.close();
  return answers;
}

/** The answer's pieces at the speed of a model, each a little early or late. */
function replay(answer: Answer): ReadableStream<Uint8Array<ArrayBuffer>> {
  const pieces = answer.pieces[Symbol.iterator]();
  return new ReadableStream({
    async pull(controller) {
      const ms = MS_PER_TOKEN * (0.8 + 0.4 * Math.random());
      await new Promise((resolve) => setTimeout(resolve, ms));
      const { done, value } = pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  }, { highWaterMark: 0 });
}

async function observe(answer: Answer): Promise<Trace[]> {
  let body = replay(answer);
  const started = performance.now();
  return await Promise.all(KINDS.map(async ({ pacing }, i) => {
    let own = body;
    if (i < KINDS.length - 1) [own, body] = body.tee();
    const frames: { ms: number; bytes: number }[] = [];
    const sealer = new ReplySealer(randomBytes(32), randomBytes(32), {
      bucket: pacing?.bucketBytes ?? 64,
    });
    await sendReply(sealer, new Response(own), {
      pacing,
      write(bytes) {
        frames.push({ ms: performance.now() - started, bytes: bytes.length });
        return Promise.resolve();
      },
    });
    return { answer, frames };
  }));
}

/** Numbers in which traces are compared: totals, the shape in time, and the sizes one by one. */
function features({ frames }: Trace): number[] {
  const sizes = frames.map((frame) => frame.bytes);
  const gaps = frames.slice(1).map((frame, i) => frame.ms - frames[i]!.ms);
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  const spread = (values: number[]) => Math.sqrt(mean(values.map((v) => (v - mean(values)) ** 2)));
  const first = (values: number[], n: number) =>
    Array.from({ length: n }, (_, i) => values[i] ?? 0);
  return [
    // Totals count more than one size of many.
    ...[sizes.reduce((a, b) => a + b, 0), frames.length, frames.at(-1)!.ms].map((x) => [x, x, x]),
    mean(sizes),
    spread(sizes),
    mean(gaps),
    spread(gaps),
    ...first(sizes, 40),
    ...first(gaps, 10),
  ].flat();
}

/** The totals alone: how much, how many, how long. */
function totals({ frames }: Trace): number[] {
  return [frames.reduce((sum, { bytes }) => sum + bytes, 0), frames.length, frames.at(-1)!.ms];
}

/** Each column to mean 0 and spread 1, by the known traces. */
function scaler(rows: readonly number[][]): (row: number[]) => number[] {
  const columns = rows[0]!.map((_, column) => {
    const values = rows.map((row) => row[column]!);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const spread = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
    return { mean, spread: spread || 1 };
  });
  return (row) => row.map((value, i) => (value - columns[i]!.mean) / columns[i]!.spread);
}

function guess(
  features: (trace: Trace) => number[],
  known: readonly Trace[],
  unknown: readonly Trace[],
) {
  const rows = known.map(features);
  const scale = scaler(rows);
  const scaled = rows.map(scale);
  let topicsRight = 0;
  let lengthError = 0;
  let baseError = 0;
  const length = (trace: Trace) => trace.answer.pieces.length;
  const typical = known.reduce((sum, trace) => sum + length(trace), 0) / known.length;
  for (const trace of unknown) {
    const at = scale(features(trace));
    const near = scaled
      .map((row, i) => ({ trace: known[i]!, d: row.reduce((s, x, j) => s + (x - at[j]!) ** 2, 0) }))
      .sort((a, b) => a.d - b.d)
      .slice(0, NEIGHBOURS);
    const votes = new Map<string, number>();
    for (const { trace: { answer }, d } of near) {
      votes.set(answer.topic, (votes.get(answer.topic) ?? 0) + 1 / (1e-6 + d));
    }
    const [topic] = [...votes].sort((a, b) => b[1] - a[1])[0]!;
    if (topic === trace.answer.topic) topicsRight++;
    const guessed = near.reduce((sum, { trace }) => sum + length(trace), 0) / near.length;
    lengthError += Math.abs(guessed - length(trace)) / length(trace);
    baseError += Math.abs(typical - length(trace)) / length(trace);
  }
  const n = unknown.length;
  return { topics: topicsRight / n, length: lengthError / n, base: baseError / n };
}

const answers = await ask();
const traces: Trace[][] = KINDS.map(() => []);
for (let at = 0; at < answers.length; at += AT_ONCE) {
  for (const seen of await Promise.all(answers.slice(at, at + AT_ONCE).map(observe))) {
    seen.forEach((trace, kind) => traces[kind]!.push(trace));
  }
}
const topics = [...new Set(answers.map((answer) => answer.topic))];
/** Questions in turn to the known and the unknown: no wording is in both. */
const order = new Map([...new Set(answers.map((a) => a.question))].map((q, i) => [q, i % 2]));
const percent = (share: number) => `${Math.round(share * 100)}%`.padStart(5);

console.log(
  `${answers.length} answers to ${order.size} questions of ${topics.length} topics, ${MS_PER_TOKEN} ms a token; ` +
    `known half against unknown half, ${NEIGHBOURS} nearest neighbours\n`,
);
console.log(`  ${"".padEnd(56)}topic   length   bytes sent ÷ bytes of the answer`);
let [base, told] = ["", ""];
traces.forEach((kind, i) => {
  const known = kind.filter(({ answer }) => order.get(answer.question) === 0);
  const unknown = kind.filter(({ answer }) => order.get(answer.question) === 1);
  // Whichever tells more: the observer may choose.
  const guesses = [features, totals].map((view) => guess(view, known, unknown));
  const right = Math.max(...guesses.map((g) => g.topics));
  const length = Math.min(...guesses.map((g) => g.length));
  const without = guesses[0]!.base;
  if (i === 0) {
    const tokens = guess(({ answer }) => [answer.pieces.length], known, unknown);
    told = `  ${"told the exact number of tokens, and nothing else".padEnd(56)}${
      percent(tokens.topics)
    }`;
  }
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  const sent = sum(kind.flatMap(({ frames }) => frames.map((frame) => frame.bytes)));
  const meant = sum(kind.flatMap(({ answer }) => answer.pieces.map((piece) => piece.length)));
  base = `  ${"guessed without looking".padEnd(56)}${percent(1 / topics.length)}   ±${
    percent(without)
  }`;
  console.log(
    `  ${KINDS[i]!.name.padEnd(56)}${percent(right)}   ±${percent(length)}   ${
      (sent / meant).toFixed(2)
    }`,
  );
});
console.log(told);
console.log(base);
Deno.exit(0);
