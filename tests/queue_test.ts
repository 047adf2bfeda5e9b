/** The queue that `task test` runs the test files from: scripts/test/queue.ts and lane.ts. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { FIRST_SECONDS } from "../scripts/test/first_seconds.ts";
import {
  type Group,
  makeGroups,
  readCounts,
  readFailures,
  type Row,
  rowOf,
  takeNext,
} from "../scripts/test/queue.ts";
import { until } from "./support/patience.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** A small generator of numbers below one, the same each time. */
function numbers(seed: number): () => number {
  return () => (seed = (seed * 48271) % 2147483647) / 2147483647;
}

const FOLDERS = ["tests/sandbox", "tests/cli", "src/http", "runner/engine", "tests"];
const ALONE = ["tests/sandbox/matrix", "tests/packaging/systemd", "tests/scheduling/a"];

function makeFiles(random: () => number): Record<string, number> {
  const files: Record<string, number> = {};
  for (let i = Math.floor(random() * 300); i >= 0; i--) {
    const folder = FOLDERS[Math.floor(random() * FOLDERS.length)];
    files[`${folder}/f${i}_test.ts`] = random() < 0.1 ? random() * 100 : random() * 2;
  }
  for (const name of ALONE) if (random() < 0.7) files[`${name}_test.ts`] = random() * 90;
  return files;
}

/** When the last lane would end, each group taking the time that it is said to. */
function play(groups: Group[], lanes: number): { end: number; order: Group[] } {
  const waiting = [...groups];
  const running: { group: Group; until: number }[] = [];
  const order: Group[] = [];
  let now = 0;
  while (waiting.length + running.length > 0) {
    const busy = new Set<Row>(running.flatMap(({ group }) => group.row ?? []));
    const group = running.length < lanes ? takeNext(waiting, busy, lanes) : undefined;
    if (group) {
      assert.ok(!(group.row && busy.has(group.row)), "two of a row at once");
      order.push(group);
      running.push({ group, until: now + group.seconds });
      continue;
    }
    assert.ok(running.length > 0, "nothing runs, and something waits");
    running.sort((a, b) => a.until - b.until);
    now = running.shift()!.until;
  }
  return { end: now, order };
}

Deno.test("queue: each file is run once, and no lane waits long for another", () => {
  const random = numbers(7);
  for (let round = 0; round < 300; round++) {
    const seconds = makeFiles(random);
    const files = Object.keys(seconds);
    const groups = makeGroups(files, seconds);
    const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
    for (const group of groups) {
      assert.ok(Math.abs(group.seconds - sum(group.files.map((f) => seconds[f]!))) < 1e-6);
      assert.ok(group.files.every((file) => rowOf(file) === group.row));
    }
    for (const lanes of [1, 2, 3]) {
      const { end, order } = play(groups, lanes);
      assert.deepEqual(order.flatMap((group) => group.files).toSorted(), files.toSorted());
      const all = sum(groups.map((g) => g.seconds));
      const longest = Math.max(...groups.map((g) => g.seconds));
      const row = Math.max(
        ...(["machine", "durations"] as const)
          .map((row) => sum(groups.filter((g) => g.row === row).map((g) => g.seconds))),
      );
      // No order is quicker than the largest of these; none by the longest first is later by more than one group.
      assert.ok(end <= Math.max(all / lanes, row) + longest + 1e-6, `${end} ${all} ${row}`);
    }
  }
});

Deno.test("queue: the table for a fresh clone names files that are there", async () => {
  for (const path of Object.keys(FIRST_SECONDS)) {
    assert.ok((await Deno.stat(join(ROOT, path))).isFile, path);
  }
});

/** A folder with test files, by path in it: those of one folder are one group. */
async function withTests(
  files: Record<string, string>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-queue-" });
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(join(folder, name, ".."), { recursive: true });
      await Deno.writeTextFile(join(folder, name), text);
    }
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function start(folder: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--frozen", "scripts/test.ts", folder],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

const LONG = "x".repeat(3000);
const NAMES = `Deno.test("a <b> & 'c' > d", async (t) => {
  await t.step("one", () => new Promise((done) => setTimeout(done, 300)));
  await t.step("two", () => console.error("on standard error"));
});
Deno.test({ name: "not here", ignore: true, fn() {} });`;

Deno.test("task test: counts of all lanes are added up, lines are whole, and what failed is said at the end", async () => {
  const talk = (word: string) =>
    `for (let i = 0; i < 40; i++) Deno.test("${word} " + i, () => console.log("${word}${LONG}"));`;
  await withTests({
    "a/x_test.ts": talk("a"),
    "b/x_test.ts": talk("b"),
    "c/x_test.ts": `${NAMES}\nDeno.test("wrong", () => { throw new Error("no"); });`,
    "d/x_test.ts": "what is this(",
    "e/x_test.ts": "Deno.test('quits', () => Deno.kill(Deno.pid, 'SIGKILL'));",
  }, async (folder) => {
    const { code, stdout } = await start(folder).output();
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    assert.equal(code, 1);
    assert.equal(lines.at(-1), "81 passed, 3 failed, 1 skipped");
    const end = lines.slice(lines.indexOf("failed:") + 1, -2).join("\n");
    assert.match(end, /wrong => \S*c\/x_test\.ts:\d+/);
    assert.match(end, /deno test ended with 1: \S*d\/x_test\.ts/);
    assert.match(end, /deno test ended with 137: \S*e\/x_test\.ts/);
    const words = lines.filter((line) => line.includes("xxx"));
    assert.equal(words.length, 80);
    for (const line of words) assert.match(line, /^[ab]x{3000}$/);
    assert.equal(lines.filter((line) => line === "on standard error").length, 1);
    // One group's lines are together.
    const order = words.map((line) => line[0]).join("");
    assert.match(order, /^(a{40}b{40}|b{40}a{40})$/);
  });
});

Deno.test("queue: deno test's own counts and list of failures are read", async () => {
  await withTests({
    "a_test.ts": NAMES,
    "b_test.ts": `throw new Error("at its top");`,
    "c_test.ts": `Deno.test("c", async (t) => { await t.step("s", () => { throw 1; }); });`,
  }, async (folder) => {
    const deno = async (...files: string[]) => {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["test", "-A", "--no-check", ...files],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      return new TextDecoder().decode(stdout);
    };
    const good = await deno("a_test.ts");
    assert.deepEqual(readCounts(good), { passed: 1, failed: 0, ignored: 1 });
    assert.deepEqual(readFailures(good), []);
    const bad = await deno("a_test.ts", "b_test.ts", "c_test.ts");
    assert.deepEqual(readCounts(bad), { passed: 1, failed: 2, ignored: 1 });
    assert.equal(readFailures(bad).length, 2);
  });
});

const WAITS = `Deno.test("waits", async () => {
  const child = new Deno.Command("/bin/sh", { args: ["-c", "sleep 1000 & wait"] }).spawn();
  await Deno.writeTextFile(new URL(import.meta.url + ".pid").pathname, String(child.pid));
  await child.status;
});`;

for (
  const [signal, who] of [
    ["SIGINT", "itself"],
    ["SIGTERM", "itself"],
    ["SIGKILL", "itself"],
    ["SIGKILL", "its parent"],
  ] as const
) {
  Deno.test({
    name: `task test: ${signal} to ${who} ends all that the tests started`,
    ignore: Deno.build.os === "windows",
    async fn() {
      await withTests({ "a/x_test.ts": WAITS, "b/x_test.ts": WAITS }, async (folder) => {
        const child = who === "itself" ? start(folder) : underParent(folder);
        const output = child.output();
        const pids: number[] = [];
        for (const name of ["a", "b"]) {
          const path = join(folder, name, "x_test.ts.pid");
          await until(async () => Number(await Deno.readTextFile(path).catch(() => 0)) > 0, path);
          pids.push(Number(await Deno.readTextFile(path)));
        }
        for (const pid of pids) assert.ok(await isThere(pid), `${pid} never ran`);
        child.kill(signal);
        for (const pid of pids) await until(async () => !await isThere(pid), `${pid} has ended`);
        await output;
      });
    },
  });
}

/** A parent that passes no signal on. */
function underParent(folder: string): Deno.ChildProcess {
  return new Deno.Command("/bin/sh", {
    args: ["-c", '"$@" & wait', "sh", Deno.execPath(), "run", "-A", "scripts/test.ts", folder],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

async function isThere(pid: number): Promise<boolean> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "State:\tX");
  return !/^State:\t[ZX]/m.test(status);
}
