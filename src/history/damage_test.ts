/** A database that was cut, or of which any byte was changed: what can be read is whole, what cannot says so, and nothing is invented. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SecLlamaError } from "../errors.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import { type Place, said, withPlace } from "./testing.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const ROUNDS = FULL ? 2000 : 16;
const SAID = ["decrypt-failed", "history-corrupt", "history-io", "not-supported", "not-found"];

/** All that reads it, each refused in our words or answered. @returns How often in which. */
async function readAll(place: Place, ids: readonly string[]): Promise<Map<string, number>> {
  const refusals = new Map<string, number>();
  const tried = async (what: () => unknown) => {
    try {
      await what();
    } catch (error) {
      const ours = error instanceof SecLlamaError && SAID.includes(error.code);
      assert.ok(ours, (error as Error).stack);
      refusals.set(error.code, (refusals.get(error.code) ?? 0) + 1);
    }
  };
  await tried(async () => {
    using history = place.open();
    for (const id of ids) await tried(() => history.get(id));
    await tried(() => history.list());
    await tried(() => history.documents());
    await tried(() => history.prompts());
    await tried(() => history.search("heron"));
    await tried(() => history.searchDocuments("osprey", 3));
    await tried(() => history.append(ids[0]!, said("more")));
    await tried(() => history.sweep());
  });
  return refusals;
}

Deno.test("history: a number that JavaScript does not have, in whichever column, is damage", () =>
  withPlace(async (place) => {
    const ids: string[] = [];
    {
      using history = place.open();
      for (let i = 0; i < 2; i++) {
        const { id } = history.create({ title: `t${i}` });
        ids.push(id);
        history.append(id, said("heron"));
      }
      history.setPrompts([{ title: "p", text: "t" }]);
      await history.addDocument("osprey.txt", new TextEncoder().encode("osprey"));
    }
    const path = join(historyFolder(place.dataDir), DATABASE_NAME);
    const whole = Deno.readFileSync(path);
    const refused = new Map<string, Map<string, number>>();
    const columns = () => {
      using db = new DatabaseSync(path);
      return db.prepare(
        "SELECT t.name AS of, c.name AS name FROM sqlite_schema t, pragma_table_info(t.name) c " +
          "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.type = 'INTEGER'",
      ).all().map((row) => [String(row["of"]), String(row["name"])] as const);
    };
    for (const [table, column] of columns()) {
      {
        using db = new DatabaseSync(path);
        try {
          db.exec(`UPDATE ${table} SET ${column} = 5754482764362932809 WHERE rowid = 1`);
        } catch {
          db.exec(`UPDATE ${table} SET ${column} = 5754482764362932809`);
        }
      }
      refused.set(`${table}.${column}`, await readAll(place, ids));
      for (const name of ["-wal", "-shm"]) await Deno.remove(path + name).catch(() => {});
      Deno.writeFileSync(path, whole);
    }
    assert.ok(refused.size > 2, [...refused.keys()].join());
    const words = [...refused.values()].flatMap((one) => [...one.keys()]);
    assert.ok(words.includes("history-corrupt"), words.join());
  }));

Deno.test("history: cut anywhere, or changed anywhere, it is whole, damaged or refused, and never something else", () =>
  withPlace(async (place) => {
    const text = (i: number) => `heron ${i} ${"x".repeat(1000 * i)}`;
    const ids: string[] = [];
    {
      using history = place.open();
      for (let i = 0; i < 8; i++) {
        const { id } = history.create({ title: `t${i}` });
        ids.push(id);
        history.append(id, said(text(i)));
      }
      const words = new TextEncoder().encode("osprey sleeps. ".repeat(500));
      await history.addDocument("osprey.txt", words);
    }
    const path = join(historyFolder(place.dataDir), DATABASE_NAME);
    const whole = Deno.readFileSync(path);
    let seed = 1;
    const random = (below: number) => {
      seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + 0x6d2b79f5 | 0;
      return ((seed ^ seed >>> 14) >>> 0) % below;
    };
    const refusals = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = whole.slice(0, round % 2 === 0 ? random(whole.length) : whole.length);
      if (round % 2 === 1) {
        const at = random(bytes.length);
        const most = [1, 16, 8192][random(3)]!;
        for (let i = at; i < Math.min(bytes.length, at + most); i++) bytes[i]! ^= 1 + random(255);
      }
      for (const name of ["-wal", "-shm"]) {
        await Deno.remove(path + name).catch(() => {});
      }
      Deno.writeFileSync(path, bytes);
      const tried = async (what: () => unknown) => {
        try {
          await what();
        } catch (error) {
          const ours = error instanceof SecLlamaError && SAID.includes(error.code);
          assert.ok(ours, `round ${round}: ${(error as Error).stack}`);
          refusals.set(error.code, (refusals.get(error.code) ?? 0) + 1);
        }
      };
      await tried(async () => {
        using history = place.open();
        for (const [i, id] of ids.entries()) {
          await tried(() => {
            const { messages, missing } = history.get(id);
            const [message] = messages;
            if (message === undefined) assert.ok(missing, `round ${round}: lost in silence`);
            else if (!message.damaged) assert.equal(message.content, text(i));
          });
        }
        await tried(() => history.list());
        await tried(() => history.search("heron"));
        await tried(() => history.searchDocuments("osprey", 3));
      });
    }
    console.log(Object.fromEntries(refusals));
    assert.ok((refusals.get("history-corrupt") ?? 0) > 0);
  }));
