/**
 * kill -9 at each write of the history's files. A kill leaves what the calls before it wrote: these are replayed from strace's log, so
 * that every point can be looked at, and so can power cuts, which lose of what was not synced. That the kernel does leave this is shown
 * by real kills: strace ends the process as it enters the n-th call that writes, syncs or cuts the files.
 * `SECLLAMA_FULL=1` takes every point and more real kills; else a few of each.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { killingAt, pointsIn, STRACE, watching } from "../../tests/support/kill_points.ts";
import { seeded } from "../../tests/support/seeds.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import { History } from "./history.ts";
import { bytesOf, holds, withQuickFolder } from "./testing.ts";
import { putFiles, readCalls, WRITE_LOG, WrittenFiles } from "./testing_writes.ts";

/** Real kills. */
const KILLS = Deno.env.get("SECLLAMA_FULL") === "1" ? 40 : 2;
/** Points that are replayed. */
const REPLAYED = Deno.env.get("SECLLAMA_FULL") === "1" ? Infinity : 15;
const CALLS = ["pwrite64", "fdatasync", "fsync", "ftruncate"];
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const KEY = "cd".repeat(32);
const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
/** Conversations of a run: some 100 points each. */
const ROUNDS = FULL ? "9" : "3";
const CANARY = "kestrelcanary";

/** Everything that writes: messages, settings, documents with vectors, deletions, erasing, another key for all. */
const CHILD = `
import { History } from ${JSON.stringify(new URL("./history.ts", import.meta.url).href)};
const [dataDir, key, rounds] = Deno.args;
const say = (line) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\\n"));
const id = "0011223344556677";
const history = new History({ dataDir, vault: [{ id, key: Uint8Array.fromHex(key) }] });
const word = ${JSON.stringify(CANARY)};
for (let i = 0; i < Number(rounds); i++) {
  const made = history.create({ title: word, settings: { system: word } });
  say("made " + made.id);
  for (let k = 1; k <= 3; k++) {
    const content = word + " " + "x".repeat(7000 * (i % 3 + k)) + word;
    history.append(made.id, { parent: null, role: "user", content });
    say("saved " + made.id + " " + k + " " + content.length);
  }
  history.update(made.id, { title: word + "renamed" });
  say("named " + made.id);
  if (i === 1) { history.erase([made.id]); say("gone " + made.id); }
}
const text = new TextEncoder().encode((word + " sleeps. ").repeat(300));
const document = await history.addDocument(word + ".txt", text);
say("document " + document.id);
for (let next; (next = await history.unembedded("m")) !== null;) {
  history.addVectors(next, "m", next.texts.map(() => new Float32Array(64).fill(1)));
  say("vectors " + next.pack);
}
history.setPrompts([{ title: word, text: word }]);
say("prompts");
history.removeDocument(document.id);
say("forgotten " + document.id);
history[Symbol.dispose]();
say("end");
`;

interface Ended {
  readonly lines: string[];
  readonly killed: boolean;
  readonly stderr: string;
}

async function run(dataDir: string, script: string, strace: readonly string[]): Promise<Ended> {
  const deno = [
    "run",
    "-A",
    "--no-check",
    "--frozen",
    "--config",
    CONFIG,
    script,
    dataDir,
    KEY,
    ROUNDS,
  ];
  const { stdout, stderr, signal, code } = await new Deno.Command(STRACE, {
    args: [...strace, Deno.execPath(), ...deno],
    stdin: "null",
  }).output();
  const lines = new TextDecoder().decode(stdout).split("\n").slice(0, -1);
  // strace ends by the signal that ended what it traces.
  const killed = signal === "SIGKILL" || code === 137;
  return { lines, killed, stderr: new TextDecoder().decode(stderr) };
}

/** What must be so in what a killed process left behind. */
async function check(
  dataDir: string,
  lines: readonly string[],
  where: string,
  { powerCut = false } = {},
): Promise<void> {
  const folder = historyFolder(dataDir);
  // Another thread of the runtime may have made such a call before there was a history.
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  assert.ok(!holds(bytesOf(folder), CANARY), `${where}: a word lies unsealed`);
  const vault = () => [{ id: "0011223344556677", key: Uint8Array.fromHex(KEY) }];
  using history = new History({ dataDir, vault: vault() });
  history.sweep();
  const said = lines.map((line) => line.split(" "));
  const ids = (word: string) => said.filter(([one]) => one === word).map(([, id]) => id!);
  const gone = new Set(ids("gone"));
  const there = new Set(history.list().conversations.map(({ id }) => id));
  for (const id of ids("made")) {
    const saved = said.filter(([word, of]) => word === "saved" && of === id);
    if (gone.has(id)) {
      assert.ok(!there.has(id), `${where}: erased, and there again`);
      // The end of a log that was cut is not waited for: its bytes may be back after a power cut, sealed.
      if (!powerCut) {
        assert.ok(!holds(bytesOf(folder), Uint8Array.fromHex(id)), `${where}: not erased`);
      }
    } else if (there.has(id)) {
      const { messages, missing, title } = history.get(id);
      assert.equal(missing, undefined, where);
      for (const [, , at, length] of saved) {
        assert.equal(messages[Number(at) - 1]?.content.length, Number(length), where);
      }
      assert.ok(messages.every((one) => !one.damaged), where);
      if (ids("named").includes(id)) assert.equal(title, `${CANARY}renamed`, where);
      if (saved.length > 0) assert.ok(history.search(CANARY).some((hit) => hit.id === id), where);
    } else {
      // The second one may have been erased by a call whose end was not seen.
      assert.ok(ids("named").indexOf(id) === 1, `${where}: lost`);
    }
  }
  for (const id of ids("document")) {
    const kept = history.documents().some((one) => one.id === id);
    const found = await history.searchDocuments(CANARY, 3);
    const vector = { model: "m", vector: new Float32Array(64).fill(1) };
    const near = await history.searchDocuments("nothing", 3, undefined, vector);
    if (ids("forgotten").includes(id)) assert.ok(!kept, `${where}: a document is there again`);
    assert.equal(found.length > 0, kept, where);
    if (kept && ids("vectors").length > 0) assert.ok(near.length > 0, where);
  }
  if (said.some(([word]) => word === "prompts")) assert.equal(history.prompts().length, 1, where);
  // And it goes on from there.
  const { id } = history.create({ title: "after" });
  history.append(id, { parent: null, role: "user", content: "after" });
}

Deno.test("history: real kills at its writes lose nothing that was shown as saved, and leave no word unsealed", async () => {
  const base = await Deno.makeTempDir({ prefix: "secllama-write-" });
  try {
    const script = join(base, "child.ts");
    await Deno.writeTextFile(script, CHILD);
    const log = join(base, "calls");
    const dataDir = join(base, "data");
    const whole = await run(dataDir, script, watching(log, CALLS))
      .catch((error) => ({ lines: [], killed: false, stderr: String(error) }));
    if (/ptrace|PTRACE|NotFound|Operation not permitted/.test(whole.stderr)) {
      console.log(`skipped: strace cannot be used here: ${whole.stderr.split("\n")[0]}`);
      return;
    }
    assert.equal(whole.lines.at(-1), "end", whole.stderr);
    await Deno.remove(dataDir, { recursive: true });
    const points = pointsIn(await Deno.readTextFile(log), `${historyFolder(dataDir)}/`);
    assert.ok(points.length > 100, `${points.length} points`);
    const step = Math.max(1, points.length / KILLS);
    let killed = 0;
    for (let i = 0; i < points.length; i += step, killed++) {
      const point = points[Math.floor(i)]!;
      const where = `${point.call} ${point.at} of ${point.path}`;
      const ended = await run(dataDir, script, killingAt(point));
      assert.ok(ended.killed, `${where}, was not killed: ${ended.lines.at(-1)} ${ended.stderr}`);
      await check(dataDir, ended.lines, where);
      await Deno.remove(dataDir, { recursive: true });
    }
    console.log(`${killed} killed, of ${points.length} points`);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
});

Deno.test("history: killed before any of its writes, or without power, it has all that was shown as saved, and no word unsealed", async () => {
  await withQuickFolder(async (base) => {
    const script = join(base, "child.ts");
    await Deno.writeTextFile(script, CHILD);
    const [log, dataDir] = [join(base, "calls"), join(base, "whole")];
    const whole = await run(dataDir, script, [
      "-f",
      "--seccomp-bpf",
      "-qq",
      "-o",
      log,
      ...WRITE_LOG,
    ])
      .catch((error) => ({ lines: [], killed: false, stderr: String(error) }));
    if (/ptrace|PTRACE|NotFound|Operation not permitted/.test(whole.stderr)) {
      console.log(`skipped: strace cannot be used here: ${whole.stderr.split("\n")[0]}`);
      return;
    }
    assert.equal(whole.lines.at(-1), "end", whole.stderr);
    const folder = historyFolder(dataDir) + "/";
    const calls = readCalls(await Deno.readTextFile(log), folder);
    const points = calls.filter(({ kind }) => kind !== "said").length;
    const step = Math.max(1, points / REPLAYED);
    if (!FULL) console.error(`only ${REPLAYED} of ${points} points: task test:full takes all`);
    const random = seeded(1);
    // Were nothing synced, a power cut would lose what was shown as saved: the check sees that.
    const [files, careless] = [new WrittenFiles(), new WrittenFiles()];
    let [said, at, next, looked, lost] = ["", 0, 0, 0, 0];
    const left = join(base, "left");
    const look = async (
      kept: ReadonlyMap<string, Uint8Array>,
      where: string,
      powerCut: boolean,
    ) => {
      putFiles(kept, folder, historyFolder(left));
      try {
        await check(left, said.split("\n").slice(0, -1), where, { powerCut });
      } catch (cause) {
        throw new Error(where, { cause });
      } finally {
        await Deno.remove(left, { recursive: true });
      }
    };
    for (const call of calls) {
      if (call.kind === "said") said += call.text;
      else if (at++ >= next) {
        next += step;
        looked++;
        await look(files.killed, `killed before call ${at} of ${points}`, false);
        await look(files.cut(random), `power cut before call ${at} of ${points}`, true);
        if (lost === 0) await look(careless.cut(random), "", true).catch(() => lost++);
      }
      files.apply(call);
      if (call.kind !== "sync") careless.apply(call);
    }
    assert.ok(lost > 0, "what syncs nothing loses nothing");
    // The replay is right: it ends with the files that the process left.
    const end = bytesOf(historyFolder(dataDir));
    for (const [path, bytes] of files.killed) assert.deepEqual(end.get(path), bytes, path);
    assert.ok(files.killed.has(join(historyFolder(dataDir), DATABASE_NAME)));
    console.log(`${looked} of ${points} points, each killed and without power`);
  });
});
