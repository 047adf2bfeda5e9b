/**
 * kill -9 while messages are saved: what was shown as saved is there, whole, and the next process writes on. `SECLLAMA_FULL=1` kills
 * 1,000 times, else 4. One process saves until it is killed; each next one goes on in what it left.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { History } from "./history.ts";
import { bundled, withQuickFolder } from "./testing.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const ROUNDS = FULL ? 1000 : 4;
/** Histories that are written and killed at the same time. */
const LANES = FULL ? Math.min(navigator.hardwareConcurrency, 4) : 1;
/** Kills of one history; then comes a new one, since each check opens all heads. */
const KILLS_EACH = 100;
/** After so many kills, and after the last, all that was ever saved is looked at; after the others what the killed process saved. */
const WHOLE_EVERY = 25;
const KEY = "ab".repeat(32);

/** Says what it is about to do and what is done, a line each, so that the parent can hit within a write or between two. */
const CHILD = `
import { History } from ${JSON.stringify(new URL("./history.ts", import.meta.url).href)};
const [dataDir, key] = Deno.args;
const vault = [{ id: "0011223344556677", key: Uint8Array.fromHex(key) }];
const history = new History({ dataDir, vault });
const say = (line) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\\n"));
say("open");
for (let i = 0;; i++) {
  const { id } = history.create({ title: "t" });
  say("made " + id);
  let parent = null;
  for (let k = 0; k < 5; k++) {
    const content = "x".repeat((i * 7919 + k * 104729) % 40000) + k;
    say("begin");
    parent = history.append(id, { parent, role: "user", content }).id;
    say("saved " + id + " " + parent + " " + content.length);
  }
  if (i % 3 === 2) { say("erasing " + id); history.erase([id]); say("gone " + id); }
}
`;

/** Conversations by id: the lengths of what was shown as saved, by the message's id. */
type Saved = Map<string, Map<string, number>>;

/** Runs one process until it has said `stop` lines, and kills it. @returns What it said. */
async function killed(script: string, dataDir: string, stop: number): Promise<string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-config", "--no-lock", script, dataDir, KEY],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let [text, isKilled] = ["", false];
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (isKilled || text.split("\n").length <= stop) continue;
    isKilled = true;
    child.kill("SIGKILL");
  }
  assert.equal((await child.status).signal, "SIGKILL", `it ended by itself: ${text}`);
  return text.split("\n").slice(0, -1);
}

/** What must be so of `saved` in what was left. @param unsure One that may have been erased by a call whose end was not seen. */
function check(dataDir: string, saved: Saved, gone: readonly string[], unsure?: string): void {
  const vault = [{ id: "0011223344556677", key: Uint8Array.fromHex(KEY) }];
  using history = new History({ dataDir, vault });
  const there = new Set(history.list({ limit: 20_000 }).conversations.map(({ id }) => id));
  for (const id of gone) assert.ok(!there.has(id), `${id} was erased, and is there again`);
  for (const [id, messages] of saved) {
    if (id === unsure && !there.has(id)) continue;
    const found = history.get(id);
    assert.equal(found.missing, undefined);
    for (const [at, length] of messages) {
      assert.equal(found.messages.find((one) => one.id === at)?.content.length, length);
    }
    assert.ok(found.messages.every((one) => !one.damaged));
  }
}

/** Kills `rounds` processes over one history. @returns How many were killed within a write. */
async function killMany(script: string, dataDir: string, first: number, rounds: number) {
  const all: Saved = new Map();
  const allGone: string[] = [];
  let within = 0;
  for (let round = 0; round < rounds; round++) {
    const lines = await killed(script, dataDir, 2 + ((first + round) * 37) % 60);
    const said = lines.map((line) => line.split(" "));
    const saved: Saved = new Map();
    const gone: string[] = [];
    for (const [word, id, at, length] of said) {
      if (word === "made") saved.set(id!, new Map());
      if (word === "saved") saved.get(id!)!.set(at!, Number(length));
      if (word === "gone") {
        saved.delete(id!);
        gone.push(id!);
      }
    }
    const [last, unsure] = said.at(-1)!;
    if (last === "begin" || last === "erasing") within++;
    check(dataDir, saved, gone, last === "erasing" ? unsure : undefined);
    // Whatever became of it, a later process must find it in the same state.
    if (last === "erasing") saved.delete(unsure!);
    for (const [id, messages] of saved) all.set(id, messages);
    allGone.push(...gone);
    if (round % WHOLE_EVERY === WHOLE_EVERY - 1 || round === rounds - 1) {
      check(dataDir, all, allGone);
    }
  }
  assert.ok(all.size > 0);
  return within;
}

Deno.test("history: kill -9 at any point of saving loses nothing that was shown as saved", async () => {
  await withQuickFolder(async (base) => {
    const script = await bundled(join(base, "child"), CHILD);
    let [begun, within] = [0, 0];
    const lane = async () => {
      while (begun < ROUNDS) {
        const [first, rounds] = [begun, Math.min(KILLS_EACH, ROUNDS - begun)];
        begun += rounds;
        const dataDir = join(base, String(first));
        within += await killMany(script, dataDir, first, rounds);
        await Deno.remove(dataDir, { recursive: true });
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    assert.ok(within > 0, "none was killed within a write");
    if (FULL) console.log(`${begun} killed, ${within} of these within a write`);
  });
});
