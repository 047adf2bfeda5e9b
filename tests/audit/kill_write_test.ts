/**
 * kill -9 at each write of the audit log: strace ends the process as it enters the n-th call that writes, syncs, cuts or renames one of
 * its files. `SECLLAMA_FULL=1` takes 1,000 such points; else a few.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { toldIn, verdictOf, writer } from "./writer.ts";

const STRACE = "/usr/bin/strace";
const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const MOST = FULL ? 1_000 : 3;
const LINES = FULL ? 150 : 20;
const CALLS = ["pwrite64", "write", "fdatasync", "fsync", "ftruncate", "rename"];

interface Ended {
  readonly lines: string[];
  readonly killed: boolean;
  readonly stderr: string;
}

async function run(folder: string, strace: readonly string[]): Promise<Ended> {
  const { stdout, stderr, signal, code } = await writer(folder, LINES, {
    under: [STRACE, "-f", "--seccomp-bpf", "-qq", ...strace],
    stderr: "piped",
  }).output();
  return {
    lines: new TextDecoder().decode(stdout).split("\n").slice(0, -1),
    killed: signal === "SIGKILL" || code === 137,
    stderr: new TextDecoder().decode(stderr),
  };
}

/** What must be so in what a killed process left behind: nothing that was told of is lost, and nobody is accused. */
async function check(folder: string, said: readonly string[], where: string): Promise<void> {
  const told = toldIn(said);
  // Before the log was there, or its first line was, there is nothing to verify.
  if (told.length > 0) {
    const { problems, lines } = await verdictOf(folder);
    assert.deepEqual(problems, [], where);
    assert.ok(lines > told.at(-1)!, `${where}: ${lines} lines, ${told.at(-1)} was told of`);
  }
  // And it goes on, from the next number.
  const { stdout } = await writer(folder, 2).output();
  const after = new TextDecoder().decode(stdout).trim().split("\n");
  assert.equal(after.at(-1), "done", `${where}: ${after}`);
  assert.ok(Number(after[0]) > (told.at(-1) ?? -1), `${where}: a number was given twice`);
  assert.deepEqual((await verdictOf(folder)).problems, [], `${where}, and then`);
}

Deno.test(`audit: kill -9 at ${FULL ? "1,000" : "some"} of its writes`, async () => {
  const base = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const folder = join(base, "log");
  try {
    await Deno.mkdir(folder, { mode: 0o700 });
    // Deno's own cache is filled first: a start that fills it makes other calls, and no later one would come to the same points.
    assert.ok((await writer(folder, 2).output()).success);
    await Deno.remove(folder, { recursive: true });
    await Deno.mkdir(folder, { mode: 0o700 });
    const log = join(base, "calls");
    const trace = ["-o", log, "-y", "-e", `trace=${CALLS.join(",")}`];
    const whole = await run(folder, trace).catch((error) => ({
      lines: [],
      killed: false,
      stderr: String(error),
    }));
    if (/ptrace|PTRACE|NotFound|Operation not permitted/.test(whole.stderr)) {
      console.log(`skipped: strace cannot be used here: ${whole.stderr.split("\n")[0]}`);
      return;
    }
    assert.equal(whole.lines.at(-1), "done", whole.stderr);
    await Deno.remove(folder, { recursive: true });
    const counts = new Map<string, number>();
    const points: { call: string; at: number }[] = [];
    for (const line of (await Deno.readTextFile(log)).split("\n")) {
      const [, thread, call, rest] = /^(\d+) +(\w+)\((.*)/.exec(line) ?? [];
      if (call === undefined) continue;
      // strace counts the calls of each thread apart.
      const at = (counts.get(`${thread} ${call}`) ?? 0) + 1;
      counts.set(`${thread} ${call}`, at);
      if (rest!.includes(`${folder}/`)) points.push({ call, at });
    }
    assert.ok(points.length > 60, `${points.length} points`);
    const step = Math.max(1, points.length / MOST);
    let killed = 0;
    for (let i = 0; i < points.length; i += step) {
      const { call, at } = points[Math.floor(i)]!;
      const where = `${call} ${at}`;
      await Deno.mkdir(folder, { mode: 0o700 });
      const inject = `inject=${call}:signal=SIGKILL:when=${at}`;
      const ended = await run(folder, ["-o", "/dev/null", "-e", inject]);
      if (ended.killed) killed++;
      else assert.equal(ended.lines.at(-1), "done", `${where}: ${ended.stderr}`);
      await check(folder, ended.lines, where);
      await Deno.remove(folder, { recursive: true });
      if (ended.killed && killed % 50 === 0) console.log(`${killed} killed so far`);
    }
    assert.ok(killed > 0, "nothing was killed");
    console.log(`${killed} killed, of ${points.length} points`);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
});
