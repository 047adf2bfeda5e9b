/** A history whose files are moved away, replaced and put back while it is open: what could be lost is refused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { code, managerAt, withFolder } from "../keys/testing.ts";
import { ManifestFile } from "../keys/mod.ts";
import { Database } from "./database.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import { startHistoryThread } from "./thread.ts";
import { Vault } from "./vault.ts";

const ENDS = ["", "-wal", "-shm"];

Deno.test("history: what is written while its files are away is refused; moved or copied back, it goes on", () =>
  withFolder(async (dataDir) => {
    const vault = [{ id: "0011223344556677", key: new Uint8Array(32).fill(7) }];
    const thread = startHistoryThread({
      dataDir,
      vault: () => Promise.resolve(vault.map(({ id, key }) => ({ id, key: key.slice() }))),
    });
    const { history } = thread;
    const folder = historyFolder(dataDir);
    const at = join(folder, DATABASE_NAME);
    const away = join(dataDir, "away");
    Deno.mkdirSync(away);
    const each = (act: (from: string, to: string) => void) => {
      for (const end of ENDS) act(at + end, join(away, DATABASE_NAME + end));
    };
    const clear = () => {
      for (const end of ENDS) {
        try {
          Deno.removeSync(at + end, { recursive: true });
        } catch { /* none */ }
      }
    };
    const instead: Record<string, readonly [string, () => void]> = {
      "nothing": ["history-io", () => {}],
      "a folder": ["history-io", () => Deno.mkdirSync(at)],
      "a link in a circle": ["history-io", () => Deno.symlinkSync(at, at)],
      "an empty file": ["history-corrupt", () => Deno.writeTextFileSync(at, "")],
      "no database": [
        "history-corrupt",
        () => Deno.writeTextFileSync(at, "no database ".repeat(999)),
      ],
    };
    const titles: string[] = [];
    const add = async (title: string) => {
      await history.create({ title });
      titles.push(title);
    };
    try {
      await add("first");
      for (const back of ["moved", "copied"]) {
        for (const [what, [expected, put]] of Object.entries(instead)) {
          each((from, to) => Deno.renameSync(from, to));
          put();
          for (let i = 0; i < 2; i++) {
            assert.equal(await code(history.create({ title: "lost" })), expected, what);
            assert.equal(await code(history.list()), expected, what);
            assert.equal(await code(history.prompts()), expected, what);
          }
          clear();
          each((from, to) =>
            back === "moved" ? Deno.renameSync(to, from) : Deno.copyFileSync(to, from)
          );
          await add(`${back} after ${what}`);
          const { conversations } = await history.list();
          assert.deepEqual(conversations.map(({ title }) => title).sort(), titles.toSorted());
        }
      }
      // Another process begins no other one beside what is left of it.
      Deno.renameSync(at, join(away, "alone"));
      assert.throws(() => Database.open(folder, () => {}), { code: "history-io" });
      Deno.renameSync(join(away, "alone"), at);
      // What is put beside the log of the one before is refused, and the log stays as it is.
      for (const put of ["", "no database ".repeat(999)]) {
        const log = Deno.readFileSync(`${at}-wal`);
        Deno.renameSync(at, join(away, "alone"));
        Deno.writeTextFileSync(at, put);
        for (let i = 0; i < 2; i++) assert.equal(await code(history.list()), "history-io");
        assert.deepEqual(Deno.readFileSync(`${at}-wal`), log);
        Deno.renameSync(join(away, "alone"), at);
        assert.equal((await history.list()).total, titles.length);
      }
      // They come back one by one, and somebody asks in between.
      for (const order of [["", "-wal", "-shm"], ["-shm", "-wal", ""], ["", "-wal"]]) {
        each((from, to) => Deno.renameSync(from, to));
        assert.equal(await code(history.create({ title: "lost" })), "history-io");
        for (const end of order) {
          Deno.renameSync(join(away, DATABASE_NAME + end), at + end);
          const title = `with ${end} of ${order}`;
          const answer = await code(history.create({ title }));
          if (answer === "ok") titles.push(title);
          else assert.equal(answer, "history-io", title);
        }
        await add(`after ${order}`);
        const { conversations } = await history.list();
        assert.deepEqual(conversations.map(({ title }) => title).sort(), titles.toSorted());
      }
      // The log alone: nothing of it is lost.
      Deno.renameSync(`${at}-wal`, join(away, "wal"));
      await add("after its log was away");
      assert.equal((await history.list()).total, titles.length);
    } finally {
      await thread.close();
    }
  }));

Deno.test("history: an earlier copy that is written or put under a newer log is refused until what was there is back", () =>
  withFolder((folder) => {
    using db = Database.open(folder, () => {});
    const at = join(folder, DATABASE_NAME);
    const fill = (position: number) =>
      db.transaction(() => {
        for (let i = 0; i < 60; i++) {
          const bytes = new Uint8Array(4_000).fill(i);
          db.run("INSERT INTO messages VALUES (?, ?, ?)", new Uint8Array([i]), position, bytes);
        }
      });
    const count = () => Number(db.row("SELECT count(*) AS n FROM messages")!["n"]);
    fill(1);
    db.forget();
    const earlier = Deno.readFileSync(at);
    fill(2);
    db.forget();
    db.run("DELETE FROM messages WHERE position = 1 AND conversation > x'20'");
    const [now, left] = [Deno.readFileSync(at), count()];
    const [log, aside] = [`${at}-wal`, join(folder, "aside")];
    const ways: Record<string, () => void> = {
      "over the file": () => Deno.writeFileSync(at, earlier),
      "both as copies": () => {
        Deno.copyFileSync(log, aside);
        for (const end of ["", "-wal", "-shm"]) Deno.removeSync(at + end);
        Deno.writeFileSync(at, earlier);
        Deno.renameSync(aside, log);
      },
    };
    db.inPlace();
    for (const [way, put] of Object.entries(ways)) {
      const newest = Deno.readFileSync(log);
      put();
      for (let i = 0; i < 2; i++) {
        assert.throws(() => db.inPlace(), { code: "history-corrupt" }, way);
        assert.throws(() => fill(3), { code: /^history-/ }, way);
      }
      Deno.writeFileSync(at, now);
      if (way !== "over the file") Deno.writeFileSync(log, newest);
      db.inPlace();
      assert.equal(count(), left, way);
    }
    fill(3);
    db.inPlace();
    assert.equal(count(), left + 60);
    return Promise.resolve();
  }));

Deno.test("history: what the system does not let be read or made is an error with a code", () =>
  withFolder(async (dataDir) => {
    const manager = managerAt(dataDir);
    await manager.init();
    const storage = manager.storage();
    const folder = historyFolder(dataDir);
    const vault = new Vault(new ManifestFile(dataDir), () => Promise.resolve(storage));
    const open = () =>
      Promise.resolve().then(() => Database.open(folder, () => {})[Symbol.dispose]());
    const reads: readonly (readonly [name: string, code: string, read: () => Promise<unknown>])[] =
      [
        ["history/key.json", "key-io", () => vault.open()],
        ["history/history.db", "history-io", open],
        ["history/history.lock", "history-io", open],
        ["history", "history-io", open],
      ];
    for (const [name, expected, read] of reads) {
      const path = join(dataDir, name);
      const puts: (() => void)[] = [() => Deno.symlinkSync(path, path)];
      puts.push(() => name === "history" ? Deno.writeTextFileSync(path, "") : Deno.mkdirSync(path));
      for (const put of puts) {
        await Deno.remove(folder, { recursive: true }).catch(() => {});
        if (name !== "history") Deno.mkdirSync(folder);
        put();
        assert.equal(await code(read()), expected, name);
      }
    }
  }));
