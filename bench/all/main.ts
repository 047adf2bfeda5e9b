/**
 * `deno task bench:all`: measures every goal of the whole path, keeps the run in bench/results, and writes docs/bench.md and its
 * plots anew. Ratios are of pairs within one run; a second run on the same machine widens the ranges.
 *
 *     deno task bench:all [--short] [--only PART]… [--dry]
 *
 *     --short   fewer rounds: about twelve minutes on two slow cores
 *     --only    tables or models whose name has this part: "door", "guess", "135M"
 *     --dry     prints the run, and keeps and writes nothing
 */
import { parseArgs } from "node:util";
import { median } from "../median.ts";
import { DEFAULT_THREADS, peerFromPackage, processor } from "../server_bench.ts";
import { measureChain, measureMessages, measureStart, measureStreams } from "./door.ts";
import { GOALS, isMet } from "./goals.ts";
import { writeReport } from "./report.ts";
import { keepRun, type Run } from "./results.ts";
import { measureServers, type Samples } from "./server.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

const { values } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    dry: { type: "boolean", default: false },
  },
});

/** The ratios that bench/guess_bench.ts prints. */
async function measureGuesses(rounds: number): Promise<Samples> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--frozen", "--no-check", `${ROOT}bench/guess_bench.ts`, "15M", "q8_0"]
      .concat(["--threads", String(DEFAULT_THREADS), "--rounds", String(rounds)]),
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(stdout);
  const samples: Samples = {};
  for (
    const [id, name] of [
      ["guess copy", "a copy"],
      ["guess edit", "an edit, each 40th word"],
      ["guess nothing", "another text"],
    ] as const
  ) {
    const [, middle, least, most] =
      new RegExp(`^${name} +([\\d.]+) \\(([\\d.]+) to ([\\d.]+)\\)`, "m").exec(text) ?? [];
    if (middle !== undefined) samples[id] = [Number(least), Number(middle), Number(most)];
  }
  return samples;
}

async function commit(): Promise<string> {
  const { stdout } = await new Deno.Command("git", {
    args: ["-C", ROOT, "rev-parse", "--short=9", "HEAD"],
    stderr: "null",
  }).output().catch(() => ({ stdout: new Uint8Array() }));
  return new TextDecoder().decode(stdout).trim() || "unknown";
}

const samples: Record<string, readonly number[]> = {};
const notMeasured: string[] = [];
const wanted = (name: string) =>
  values.only.length === 0 || values.only.some((part) => name.includes(part));

function fail(what: string, error: unknown): void {
  const [reason] = String(error instanceof Error ? error.message : error).split("\n");
  console.error(`  not measured: ${reason}`);
  notMeasured.push(`${what} (${reason})`);
}

/** One part that fails leaves the others: its reason is kept with the run. */
async function part(name: string, measure: () => Promise<Readonly<Record<string, number[]>>>) {
  const began = performance.now();
  console.log(`\n${name}`);
  try {
    for (const [id, found] of Object.entries(await measure())) {
      if (found.length > 0) samples[id] = found;
    }
  } catch (error) {
    fail(name, error);
  }
  console.log(`  ${((performance.now() - began) / 1000).toFixed(0)} s`);
}

const rounds = values.short ? 4 : 7;
const before = Deno.loadavg()[0] ?? 0;
console.log(`${await processor()}, load ${before.toFixed(1)}`);
const peer = await peerFromPackage();
const models = values.only.filter((name) => /\d/.test(name));
if (values.only.length === 0 || models.length > 0) {
  await part(
    "tokens, prompts, memory",
    () => measureServers({ peer, rounds, threads: DEFAULT_THREADS, only: models, onFailed: fail }),
  );
}
if (wanted("door")) {
  await part("start", async () => ({ start: await measureStart(peer, rounds) }));
  await part("messages", async () => ({ message: await measureMessages(rounds) }));
  await part("tokens and requests through the chain", () => measureChain(rounds));
  await part("many streams", measureStreams);
}
if (wanted("guess")) await part("guessing ahead", () => measureGuesses(rounds));

const run: Run = {
  machine: await processor(),
  day: new Date().toISOString().slice(0, 10),
  commit: await commit(),
  load: [before, Deno.loadavg()[0] ?? 0],
  threads: DEFAULT_THREADS,
  short: values.short,
  samples,
  notMeasured,
};
console.log();
for (const [id, goal] of Object.entries(GOALS)) {
  const found = samples[id];
  if (found === undefined) continue;
  const value = median(found);
  const sign = goal.sense === "at most" ? "≤" : "≥";
  console.log(
    `${isMet(goal, value) ? "met   " : "MISSED"} ${goal.name}: ${
      value.toFixed(2)
    } ${goal.unit} (${sign} ${goal.goal})`,
  );
}
if (values.dry) console.log(JSON.stringify(run));
else {
  console.log(`kept: bench/results/${await keepRun(run)}`);
  await writeReport();
  console.log("written: docs/bench.md and its plots");
}
Deno.exit(0);
