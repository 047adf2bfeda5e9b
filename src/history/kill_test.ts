/**
 * kill -9 while messages are saved: what was shown as saved is there, whole, and the next process writes on. `SECLLAMA_FULL=1` kills
 * 1,000 times, else 8. One process saves until it is killed; each next one goes on in what it left.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { History } from "./history.ts";

const ROUNDS = Deno.env.get("SECLLAMA_FULL") === "1" ? 1000 : 8;

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

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
  if (i % 3 === 2) { say("begin"); history.erase([id]); say("gone " + id); }
}
`;

Deno.test("history: kill -9 at any point of saving loses nothing that was shown as saved", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "secllama-kill-" });
  const key = "ab".repeat(32);
  const saved = new Map<string, Map<string, number>>();
  const gone = new Set<string>();
  let within = 0;
  try {
    const script = join(dataDir, "child.ts");
    await Deno.writeTextFile(script, CHILD);
    for (let round = 0; round < ROUNDS; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--frozen", "--config", CONFIG, script, dataDir, key],
        stdin: "null",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const stop = 2 + (round * 37) % 60;
      let [lines, rest, last] = [0, "", ""];
      const decoder = new TextDecoder();
      let killed = false;
      for await (const chunk of child.stdout) {
        rest += decoder.decode(chunk, { stream: true });
        const whole = rest.split("\n");
        rest = whole.pop()!;
        for (const line of whole) {
          last = line;
          const [word, id, at, length] = line.split(" ");
          if (word === "made") saved.set(id!, new Map());
          if (word === "saved") saved.get(id!)!.set(at!, Number(length));
          if (word === "gone") gone.add(id!);
          if (++lines >= stop && !killed) {
            killed = true;
            child.kill("SIGKILL");
          }
        }
      }
      assert.equal((await child.status).signal, "SIGKILL", `round ${round}: it ended by itself`);
      if (last === "begin") within++;
      using history = new History({
        dataDir,
        vault: [{ id: "0011223344556677", key: Uint8Array.fromHex(key) }],
      });
      const there = new Set(history.list({ limit: 20_000 }).conversations.map(({ id }) => id));
      for (const [id, messages] of saved) {
        if (gone.has(id)) {
          assert.ok(!there.has(id), `round ${round}: erased, and there again`);
          saved.delete(id);
          continue;
        }
        // It may have been erased by a call whose end was not seen.
        if (!there.has(id) && messages.size === 5) {
          saved.delete(id);
          continue;
        }
        const found = history.get(id);
        assert.equal(found.missing, undefined);
        for (const [at, length] of messages) {
          assert.equal(found.messages.find((one) => one.id === at)?.content.length, length);
        }
        assert.ok(found.messages.every((one) => !one.damaged));
      }
    }
    assert.ok(saved.size > 0 && within > 0, `${saved.size} ${within}`);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});
