/**
 * kill -9 at each write of the audit log: strace ends the process as it enters the n-th call that writes, syncs, cuts or renames one of
 * its files. `SECLLAMA_FULL=1` takes every one, for n = 1, 2, … until a run has fewer such calls; else a few.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { killingAt, type KillPoint, pointsIn, STRACE, watching } from "../support/kill_points.ts";
import { toldIn, verdictOf, writer } from "./writer.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** That many make more than a thousand points. */
const LINES = FULL ? 400 : 20;
const LEAST_POINTS = FULL ? 1_000 : 60;
/** A file that nobody reads before it has its name: at the renaming it is whole and has none. */
const TEMPORARY = /\.[0-9a-f]{8}-[0-9a-f-]{27}$/;
const CALLS = ["pwrite64", "write", "fdatasync", "fsync", "ftruncate", "rename"];

interface Ended {
  readonly lines: string[];
  readonly killed: boolean;
  readonly stderr: string;
}

async function run(folder: string, strace: readonly string[]): Promise<Ended> {
  const { stdout, stderr, signal, code } = await writer(folder, LINES, {
    under: [STRACE, ...strace],
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

Deno.test(`audit: kill -9 at ${FULL ? "every one" : "some"} of its writes`, async () => {
  const base = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const folder = join(base, "log");
  /** Runs it in a new folder, and looks at what it left. */
  const killedAt = async (point: KillPoint): Promise<boolean> => {
    const where = `${point.call} ${point.at} ${point.path.slice(folder.length)}`;
    await Deno.mkdir(folder, { mode: 0o700 });
    const ended = await run(folder, killingAt(point));
    if (!ended.killed) assert.equal(ended.lines.at(-1), "done", `${where}: ${ended.stderr}`);
    await check(folder, ended.lines, where);
    await Deno.remove(folder, { recursive: true });
    return ended.killed;
  };
  try {
    await Deno.mkdir(folder, { mode: 0o700 });
    const log = join(base, "calls");
    const whole = await run(folder, watching(log, CALLS)).catch((error) => ({
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
    const points = pointsIn(await Deno.readTextFile(log), `${folder}/`)
      .filter(({ path }) => !TEMPORARY.test(path));
    assert.ok(points.length >= LEAST_POINTS, `${points.length} points`);
    if (!FULL) {
      // The last ones of a run may be a head's, which the clock has a say in.
      const some = [0, 1 / 3, 2 / 3].map((part) => points[Math.floor(points.length * part)]!);
      for (const point of some) assert.ok(await killedAt(point), `not killed: ${point.call}`);
      console.log(`${some.length} of ${points.length} points killed: task test:full takes all`);
      return;
    }
    const kinds = new Map(points.map((point) => [`${point.call} ${point.path}`, point]));
    let killed = 0;
    for (const kind of kinds.values()) {
      let at = 1;
      // It has one more each time; the run that is not killed had no such call, so all there are were met.
      for (; await killedAt({ ...kind, at }); at++) {
        if (++killed % 50 === 0) console.log(`${killed} killed so far`);
      }
      assert.ok(at > 1, `never killed: ${kind.call} ${kind.path}`);
    }
    console.log(`${killed} killed, every one; a run unharmed had ${points.length} points`);
    assert.ok(killed >= LEAST_POINTS, `${killed} killed`);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
});
