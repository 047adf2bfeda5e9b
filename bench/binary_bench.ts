/**
 * What the one file costs: its size, the start of a command, unpacking, and `serve` until it is ready. Compiles it first, if it is
 * older than the source.
 *
 *     deno run -A bench/binary_bench.ts
 *
 * `benchBinary` is what `deno task bench` calls.
 */
import { join } from "node:path";
import { compiledProgram } from "../tests/support/binary.ts";
import { median } from "./median.ts";

const ROUNDS = 9;

function row(name: string, value: string, goal: string): void {
  console.log(`  ${name.padEnd(50)}${value.padEnd(14)}goal ${goal}`);
}

const ms = (value: number) => `${value.toFixed(0)} ms`;

interface Run {
  readonly tookMs: number;
  readonly stderr: string;
}

async function run(argv: readonly string[], env: Record<string, string>): Promise<Run> {
  const started = performance.now();
  const { success, stderr } = await new Deno.Command(argv[0]!, {
    args: argv.slice(1),
    env,
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stderr);
  if (!success) throw new Error(text);
  return { tookMs: performance.now() - started, stderr: text };
}

/** From the start of `serve` to its ready line, and the part of it in which the runner loaded its model. */
async function serveOnce(
  program: string,
  env: Record<string, string>,
): Promise<{ readyMs: number; loadMs: number }> {
  const started = performance.now();
  const child = new Deno.Command(program, {
    args: ["serve", "--ephemeral", "--port=0", "--proxy-port=0", "--log-level=info"],
    env,
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  let out = "";
  const reader = child.stdout.getReader();
  while (!out.includes("SecLlama is ready")) {
    const { value, done } = await reader.read();
    if (done) break;
    out += decoder.decode(value, { stream: true });
  }
  const readyMs = performance.now() - started;
  reader.releaseLock();
  void child.stdout.cancel();
  child.kill("SIGTERM");
  const log = await new Response(child.stderr).text();
  await child.status;
  const loadMs = Number(/"loadMs":(\d+)/.exec(log)?.[1] ?? NaN);
  if (Number.isNaN(loadMs)) throw new Error(`serve did not start: ${log}`);
  return { readyMs, loadMs };
}

export async function benchBinary(): Promise<void> {
  console.log("the one file (medians; goals are for a quiet machine)");
  const program = compiledProgram();
  if (program === "") return console.log("  SKIP: there is no test base for this system");
  const home = await Deno.makeTempDir({ prefix: "secllama-bench-" });
  const env = { HOME: home, PATH: "/usr/bin:/bin", LANG: "C.UTF-8" };
  try {
    const mb = (await Deno.stat(program)).size / 1e6;
    row("size", `${mb.toFixed(1)} MB`, "≤ 165 MB, aim ≤ 150");
    const versions: number[] = [];
    const cleaned: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      versions.push((await run([program, "version"], env)).tookMs);
      cleaned.push((await run([program, "version"], { ...env, NODE_OPTIONS: "x" })).tookMs);
    }
    row("secllama version", ms(median(versions)), "≤ 60 ms");
    row("  the same, started again without NODE_OPTIONS", ms(median(cleaned)), "–");
    const fresh: number[] = [];
    const known: number[] = [];
    for (let i = 0; i < 5; i++) {
      await Deno.remove(join(home, ".cache"), { recursive: true }).catch(() => {});
      fresh.push((await run([program, "list"], env)).tookMs);
      known.push((await run([program, "list"], env)).tookMs);
    }
    row("unpacking, once", ms(median(fresh) - median(known)), "≤ 2000 ms");
    row("a command that checks the unpacked parts", ms(median(known)), "–");
    const served = [];
    for (let i = 0; i < ROUNDS; i++) served.push(await serveOnce(program, env));
    row("serve until it is ready", ms(median(served.map((s) => s.readyMs))), "–");
    row("  of it the runner's load", ms(median(served.map((s) => s.loadMs))), "–");
    row(
      "  beyond it",
      ms(median(served.map((s) => s.readyMs - s.loadMs))),
      "≤ 150 ms",
    );
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

if (import.meta.main) await benchBinary();
