import assert from "node:assert/strict";
import { join } from "node:path";
import type { ConversationSummary } from "../../api/history.ts";
import { DatabaseSync } from "node:sqlite";
import type { Written } from "../calls.ts";
import { allOf, joined, writtenAs } from "../export.ts";
import type { History } from "../history.ts";
import { said, withPlace } from "../testing.ts";
import { readImport } from "./formats.ts";
import { SqliteReader } from "./sqlite_reader.ts";

async function exported(history: History, as: Written): Promise<string> {
  const get = (id: string) => Promise.resolve(writtenAs(as, history.get(id)));
  const parts: Uint8Array[] = [];
  for await (const part of joined(as, allOf(get, history.list().conversations))) parts.push(part);
  return new TextDecoder().decode(Buffer.concat(parts));
}

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** ChatGPT's export: a tree whose root and system nodes carry no message, an edit, and a picture that is no text. */
const CHATGPT = [{
  title: "Lease",
  create_time: 1_700_000_000.5,
  mapping: {
    root: { id: "root", message: null, parent: null, children: ["sys"] },
    sys: {
      id: "sys",
      parent: "root",
      message: { author: { role: "system" }, content: { content_type: "text", parts: [""] } },
    },
    q1: {
      id: "q1",
      parent: "sys",
      message: {
        author: { role: "user" },
        create_time: 1_700_000_001,
        content: { content_type: "text", parts: ["Which notice?"] },
      },
    },
    a1: {
      id: "a1",
      parent: "q1",
      message: {
        author: { role: "assistant" },
        content: { content_type: "text", parts: ["Three", { asset_pointer: "x" }, "months."] },
        metadata: { model_slug: "gpt-4o" },
      },
    },
    q2: {
      id: "q2",
      parent: "sys",
      message: { author: { role: "user" }, content: { parts: ["Edited"] } },
    },
  },
}];

const OPEN_WEBUI = [{
  id: "1",
  title: "Deed",
  created_at: 1_700_000_000,
  pinned: true,
  chat: {
    models: ["llama3"],
    history: {
      messages: {
        a: { id: "a", parentId: null, role: "user", content: "hi", timestamp: 1_700_000_001 },
        b: { id: "b", parentId: "a", role: "assistant", content: "yes", model: "llama3" },
        c: { id: "c", parentId: "a", role: "assistant", content: "no", model: "llama3" },
      },
      currentId: "c",
    },
  },
}, {
  title: "old",
  chat: { messages: [{ role: "user", content: "1" }, { role: "assistant", content: "2" }] },
}];

Deno.test("import: the conversations of several programs in one file are taken up, and what is none is counted", () =>
  withPlace(async (place) => {
    using history = place.open();
    const claude = { name: "Notes", chat_messages: [{ sender: "human", text: "a claim" }] };
    const ours = {
      format: "secllama-history",
      version: 1,
      conversations: [{
        title: "Ours",
        messages: [{ id: "1", parent: null, role: "user", content: "mine" }],
      }],
    };
    const all: unknown[] = [claude, ...OPEN_WEBUI, { unknown: 1 }, ours, null, ...CHATGPT, "text"];
    for (let turns = 0; turns < all.length; turns++) {
      const report = await history.importFile(json(all));
      assert.deepEqual(report.format.split(", ").toSorted(), [
        "ChatGPT",
        "Claude",
        "Open WebUI",
        "SecLlama",
      ]);
      // In any order, and the second time nothing is new.
      assert.deepEqual([report.imported, report.skipped], turns === 0 ? [5, 3] : [0, 8]);
      all.push(all.shift());
    }
    const titles = history.list().conversations.map(({ title }) => title).toSorted();
    assert.deepEqual(titles, ["Deed", "Lease", "Notes", "Ours", "old"]);
    await assert.rejects(history.importFile(json([{ unknown: 1 }, null])), { code: "bad-request" });
  }));

Deno.test("import: ChatGPT's and Open WebUI's trees keep their branches", () => {
  const [lease] = readImport(json(CHATGPT)).conversations;
  assert.deepEqual(
    lease!.messages.map(({ message: m }) => [m.parent, m.role, m.content, m.model]),
    [
      [null, "user", "Which notice?", undefined],
      [null, "user", "Edited", undefined],
      ["1", "assistant", "Three\nmonths.", "gpt-4o"],
    ],
  );
  assert.equal(lease!.created, 1_700_000_000_500);
  const { format, conversations: [deed, old] } = readImport(json(OPEN_WEBUI));
  assert.equal(format, "Open WebUI");
  assert.deepEqual(deed!.messages.map(({ message: m }) => [m.parent, m.content]), [
    [null, "hi"],
    ["1", "yes"],
    ["1", "no"],
  ]);
  assert.deepEqual([deed!.pinned, deed!.model], [true, "llama3"]);
  assert.deepEqual(old!.messages.map(({ message: m }) => m.parent), [null, "1"]);
});

Deno.test("import: Open WebUI's pictures and messages in parts; no address is followed", () => {
  const part = (type: string, more: object) => ({ type, ...more });
  const messages = [
    {
      id: "a",
      parentId: null,
      role: "user",
      content: "look",
      files: [
        part("image", { url: "data:image/png;base64,iVBORw0KGgo=" }),
        part("image", { url: "https://evil.example/x.png" }),
        part("file", { url: "data:image/png;base64,iVBORw0KGgo=" }),
        part("image", { url: "data:image/svg+xml;base64,PHN2Zz4=" }),
        7,
        null,
      ],
    },
    {
      id: "b",
      parentId: "a",
      role: "user",
      content: [
        part("text", { text: "and" }),
        part("image_url", { image_url: { url: "data:image/jpeg;base64,/9j/" } }),
        part("text", { text: "this" }),
      ],
    },
    { id: "c", parentId: "b", role: "function", content: "not one of ours" },
    { id: "d", parentId: "c", role: "tool", content: "42" },
  ];
  const history = { messages: Object.fromEntries(messages.map((one) => [one.id, one])) };
  const [one] = readImport(json([{ title: "t", chat: { history } }])).conversations;
  assert.deepEqual(one!.messages.map(({ message: m }) => [m.parent, m.role, m.content, m.images]), [
    [null, "user", "look", ["iVBORw0KGgo="]],
    ["1", "user", "and\nthis", ["/9j/"]],
    ["2", "tool", "42", undefined],
  ]);
});

Deno.test("import: a long conversation is found by each of its words, as one that was said message by message", () =>
  withPlace(async (place) => {
    using history = place.open();
    const contents = Array.from(
      { length: 300 },
      (_, i) => i % 7 === 3 ? "" : `word${i} ${"filler ".repeat(i % 60)}`,
    );
    const messages = contents.map((content, i) => ({
      id: `${i}`,
      parent: i === 0 ? null : `${i - 1}`,
      role: i % 2 ? "assistant" : "user",
      content,
    }));
    const file = { format: "secllama-history", conversations: [{ title: "", messages }] };
    assert.equal((await history.importFile(json(file))).messages, 300);
    const { id } = history.create({ created: 1 } as object);
    let parent: string | null = null;
    for (const content of contents) parent = history.append(id, said(content, parent)).id;
    for (const i of [0, 1, 151, 299]) {
      const hits = history.search(`word${i}`);
      assert.deepEqual(hits.map(({ message }) => message), [`${i + 1}`, `${i + 1}`], `${i}`);
    }
    assert.equal(history.search("word3").some(({ message }) => message === "4"), false);
    const [taken, typed] = history.list().conversations.map((one) => history.get(one.id));
    assert.equal(taken!.title, typed!.title);
    assert.equal(taken!.messages.length, typed!.messages.length);
  }));

Deno.test("import: twice is once; export and import give the same conversations", () =>
  withPlace(async (place) => {
    using history = place.open();
    assert.deepEqual(await history.importFile(json(CHATGPT)), {
      format: "ChatGPT",
      imported: 1,
      messages: 3,
      skipped: 0,
    });
    assert.equal((await history.importFile(json(CHATGPT))).skipped, 1);
    const { id } = history.create({ title: "mine", pinned: true, folder: "f", settings: { a: 1 } });
    history.append(id, { ...said("one"), images: ["aGk="], attachments: [{ name: "x" }] });
    history.append(id, {
      parent: "1",
      role: "assistant",
      content: "two",
      stats: { eval_count: 3 },
    });
    const all = (from: History) => exported(from, "json");
    const ours = await all(history);
    await withPlace(async (other) => {
      using second = other.open();
      assert.equal((await second.importFile(new TextEncoder().encode(ours))).imported, 2);
      const plain = (text: string) =>
        JSON.parse(text).conversations.map(({ id: _id, size: _size, updated: _u, ...rest }: {
          [name: string]: unknown;
        }) => rest).sort((a: { title: string }, b: { title: string }) =>
          a.title < b.title ? 1 : -1
        );
      assert.deepEqual(plain(await all(second)), plain(ours));
    });
    const markdown = await exported(history, "markdown");
    assert.match(markdown, /^# mine\n\n## 1\. You, .*Z\n\none\n\n_1 pictures\._\n\n## 2\. Answer/);
    assert.match(markdown, /\n---\n\n# Lease\n/);
  }));

Deno.test("import: the same file twice at once is once, and so is a conversation without a title", () =>
  withPlace(async (place) => {
    using history = place.open();
    const conversations = Array.from({ length: 400 }, (_, i) => ({
      ...CHATGPT[0],
      title: i % 2 ? null : "",
      create_time: 1_700_000_000 + i,
    }));
    const file = json(conversations);
    const reports = await Promise.all([history.importFile(file), history.importFile(file)]);
    assert.deepEqual(reports.map(({ imported }) => imported), [400, 0]);
    assert.equal((await history.importFile(file)).skipped, 400);
    // What fails lets the next one go on.
    const failing = history.importFile(json([]));
    const next = history.importFile(json(CHATGPT));
    await assert.rejects(failing, { code: "bad-request" });
    assert.equal((await next).imported, 1);
    assert.equal(history.list().total, 401);
  }));

Deno.test("import: what a file says no time of is once too, whatever it is called by then; of the same name, others are others", () =>
  withPlace(async (place) => {
    using history = place.open();
    const chat = (title: string, ...contents: string[]) => ({
      title,
      chat: { messages: contents.map((content) => ({ role: "user", content })) },
    });
    const file = json([
      chat("plain", "one"),
      chat("plain", "two"),
      chat("", "three"),
      OPEN_WEBUI[1],
    ]);
    assert.deepEqual(await history.importFile(file.slice()), {
      ...{ format: "Open WebUI", imported: 4, messages: 5, skipped: 0 },
    });
    const [first] = history.list({ query: "three" }).conversations;
    history.update(first!.id, { title: "renamed" });
    assert.equal((await history.importFile(file.slice())).skipped, 4);
    // One that was timed and renamed is known as well; one that was erased may come back.
    const timed = json(CHATGPT);
    await history.importFile(timed.slice());
    const [lease] = history.list({ query: "lease" }).conversations;
    history.update(lease!.id, { title: "other" });
    assert.equal((await history.importFile(timed.slice())).skipped, 1);
    history.erase([lease!.id]);
    assert.equal((await history.importFile(timed.slice())).imported, 1);
    // No message is of 1970.
    const { messages } = history.get(first!.id);
    assert.ok(messages.every(({ created }) => created > 0));
  }));

Deno.test("import: of the same title and time, others are others, and what has grown since is taken up whole", () =>
  withPlace(async (place) => {
    using history = place.open();
    const chat = (...contents: string[]) =>
      json([{
        title: "New Chat",
        created_at: 1_700_000_000, // in seconds, as Open WebUI has it: two may begin in one
        chat: { messages: contents.map((content) => ({ role: "user", content })) },
      }]);
    const imported = async (file: Uint8Array) => (await history.importFile(file)).imported;
    assert.equal(await imported(chat("one")), 1);
    assert.equal(await imported(chat("two")), 1);
    assert.equal(await imported(chat("one", "one")), 1, "it has grown");
    for (const again of [chat("one"), chat("two"), chat("one", "one")]) {
      assert.equal(await imported(again), 0);
    }
    // Continued here, or written out by us, it is the same.
    const [first] = history.search("two");
    history.append(first!.id, said("three"));
    assert.equal(await imported(chat("two")), 0);
    const ours = new TextEncoder().encode(await exported(history, "json"));
    assert.equal(await imported(ours), 0);
    // The page's file has an answer that failed, which is in no history.
    const [{ title, created }] = history.list().conversations as [ConversationSummary];
    const failed = { id: "f".repeat(32), parent: "1", role: "assistant", content: "" };
    const page = { title, created, messages: [{ id: "1", ...said("two") }, failed] };
    assert.equal(await imported(json({ format: "secllama-history", conversations: [page] })), 0);
  }));

Deno.test("import: messages of one id and messages in a circle are each taken up once, and no number of them stops it", () => {
  const message = (id: unknown, parent: unknown, content: string) => (
    { id, parent, role: "user", content }
  );
  const taken = (...messages: object[]) => {
    const [one] = readImport(json({ format: "secllama-history", conversations: [{ messages }] }))
      .conversations;
    return one!.messages.map(({ message: { parent, content } }) => `${parent} ${content}`);
  };
  assert.deepEqual(taken(message("a", null, "q"), message("a", "a", "r")), ["null q", "1 r"]);
  const twice = Array.from({ length: 200 }, (_, i) => {
    const level = Math.floor(i / 2);
    return message(`m${level}`, level === 0 ? null : `m${level - 1}`, String(i));
  });
  assert.equal(taken(...twice).length, 200);
  assert.deepEqual(
    taken(message("a", "b", "1"), message("b", "a", "2"), message("c", "c", "3")),
    ["null 1", "1 2", "null 3"],
  );
  assert.deepEqual(taken(message(1, null, "q"), message(2, 1, "r")), ["null q", "1 r"]);
});

Deno.test("import: Ollama's database, with what was written into it later, long texts, pictures, files and calls", () =>
  withPlace(async (place) => {
    const path = join(place.dataDir, "db.sqlite");
    const db = new DatabaseSync(path);
    db.exec(`CREATE TABLE chats (
      id TEXT PRIMARY KEY, title TEXT NOT NULL DEFAULT '',
      created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE messages (
      id INTEGER PRIMARY KEY AUTOINCREMENT, chat_id TEXT NOT NULL, role TEXT NOT NULL,
      content TEXT NOT NULL DEFAULT '', thinking TEXT NOT NULL DEFAULT '', model_name TEXT,
      model_cloud BOOLEAN, -- deprecated, with a comma
      created_at TIMESTAMP, FOREIGN KEY (chat_id) REFERENCES chats(id) ON DELETE CASCADE);
    CREATE TABLE tool_calls (
      id INTEGER PRIMARY KEY, message_id INTEGER, type TEXT, function_name TEXT,
      function_arguments TEXT, function_result TEXT);
    CREATE TABLE attachments (id INTEGER PRIMARY KEY, message_id INTEGER, filename TEXT, data BLOB);
    ALTER TABLE messages ADD COLUMN tool_result TEXT;`);
    db.prepare("INSERT INTO chats VALUES (?, ?, ?)").run(
      "c1",
      "Tort",
      "2025-08-01 12:00:00.123456+02:00",
    );
    const insert = db.prepare(
      "INSERT INTO messages (chat_id, role, content, thinking, model_name) VALUES (?, ?, ?, ?, ?)",
    );
    const long = "schön ".repeat(20_000);
    insert.run("c1", "user", long, "", null);
    insert.run("c1", "assistant", "ok", "hm", "gpt-oss:20b");
    db.prepare("INSERT INTO attachments VALUES (1, 1, 'a.png', ?)")
      .run(new Uint8Array([0x89, 0x50, 0x4e, 0x47, 1]));
    const attach = db.prepare("INSERT INTO attachments VALUES (?, 1, ?, ?)");
    attach.run(2, "note.txt", json("a note"));
    const bytes = new TextEncoder();
    const bitmap = new Uint8Array(58);
    bitmap.set([0x42, 0x4d, bitmap.length]);
    for (
      const [i, [name, file]] of [
        ["b.gif", bytes.encode("GIF89a\0\0")],
        ["c.webp", bytes.encode("RIFF\x08\0\0\0WEBPVP8 ")],
        ["d.bmp", bitmap],
        // A text that begins as a picture does.
        ["cars.txt", bytes.encode("BMW, and thirty more letters of a text")],
        ["riff.txt", bytes.encode("RIFFs of a guitar")],
        ["gif.txt", bytes.encode("GIF80 is none")],
        ["song.mp3", new Uint8Array([0x49, 0x44, 0x33, 0, 0xff])],
      ].entries() as Iterable<[number, [string, Uint8Array]]>
    ) attach.run(i + 3, name, file);
    db.exec(`INSERT INTO tool_calls VALUES (1, 2, 'function', 'weather', '{"at":"Ghent"}', '')`);
    db.close();
    using history = place.open();
    const report = await history.importFile(Deno.readFileSync(path));
    assert.deepEqual([report.format, report.imported, report.messages], ["Ollama", 1, 2]);
    const { created, messages: [q, a] } = history.get(history.list().conversations[0]!.id);
    assert.equal(created, Date.parse("2025-08-01T12:00:00.123+02:00"));
    assert.equal(q!.content, long);
    assert.equal(q!.images?.length, 4);
    assert.ok(q!.images?.includes(bitmap.toBase64()));
    assert.deepEqual(q!.attachments, [
      { name: "note.txt", text: '"a note"' },
      { name: "cars.txt", text: "BMW, and thirty more letters of a text" },
      { name: "riff.txt", text: "RIFFs of a guitar" },
      { name: "gif.txt", text: "GIF80 is none" },
    ]);
    assert.deepEqual(a!.tool_calls, [{
      function: { name: "weather", arguments: { at: "Ghent" } },
    }]);
    assert.deepEqual([a!.parent, a!.thinking, a!.model], ["1", "hm", "gpt-oss:20b"]);
  }));

Deno.test("import: what is taken up can be written out again, whatever its fields were", () =>
  withPlace(async (place) => {
    using history = place.open();
    const message = { id: "1", parent: null, role: "user", content: "hi" };
    const ours = {
      format: "secllama-history",
      conversations: [{
        title: "odd",
        created: 1e300,
        settings: { a: "x".repeat(100_000) },
        messages: [
          { ...message, created: 1e300, extra: "kept?" },
          { ...message, id: "2", thinking: { trim: 1 } },
          { ...message, id: "3", images: 5 },
          { ...message, id: "4", parent: "3", role: "assistant" },
        ],
      }],
    };
    assert.equal((await history.importFile(json(ours))).messages, 2);
    await history.importFile(json([{ ...CHATGPT[0], create_time: 1e200 }]));
    const { conversations } = history.list();
    const odd = history.get(conversations.find(({ title }) => title === "odd")!.id);
    assert.deepEqual(odd.messages.map(({ parent, content }) => [parent, content]), [
      [null, "hi"],
      [null, "hi"],
    ]);
    assert.ok(!("extra" in odd.messages[0]!));
    assert.deepEqual(odd.settings, {});
    const markdown = await exported(history, "markdown");
    assert.match(markdown, /^# odd$/m);
    assert.match(markdown, /^# Lease$/m);
  }));

/** A repeatable source of numbers. */
function random(seed: number): () => number {
  return () => {
    seed = (seed * 1664525 + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

Deno.test("import: our reader of SQLite gives what SQLite gives, for tables of any shape", () => {
  const folder = Deno.makeTempDirSync();
  try {
    for (let seed = 1; seed <= 6; seed++) {
      const next = random(seed);
      const path = join(folder, `${seed}.db`);
      const db = new DatabaseSync(path);
      const size = [512, 1024, 4096, 65536][Math.floor(next() * 4)]!;
      db.exec(
        `PRAGMA synchronous = OFF; PRAGMA page_size = ${size}; PRAGMA encoding = '${
          ["UTF-8", "UTF-16le", "UTF-16be"][seed % 3]
        }'; CREATE TABLE other (x); CREATE TABLE t (a INTEGER PRIMARY KEY, b, "c d" TEXT, e BLOB)`,
      );
      const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?, ?)");
      for (let i = 0; i < 100; i++) {
        const length = Math.floor(10 ** (next() * 4.5));
        const number = Math.round((next() - 0.5) * 10 ** Math.floor(next() * 16));
        insert.run(
          i * 3,
          next() < 0.3 ? null : next() < 0.5 ? number : number / 7,
          "ü€😀".repeat(length / 12),
          new Uint8Array(Math.floor(length / 3)).fill(i),
        );
      }
      for (let i = 0; i < 50; i++) {
        db.exec(`DELETE FROM t WHERE a = ${3 * Math.floor(next() * 100)}`);
      }
      const wanted = db.prepare("SELECT * FROM t").all();
      db.close();
      const found = new SqliteReader(Deno.readFileSync(path)).table("t");
      // As texts: comparing thousands of arrays byte by byte takes minutes.
      const lines = (rows: readonly object[]) =>
        rows.map((row) =>
          Object.entries(row).map(([name, value]) =>
            `${name} ${value instanceof Uint8Array ? value.toHex() : JSON.stringify(value)}`
          ).sort().join("\n")
        );
      assert.equal(lines(found).join("\n\n") === lines(wanted).join("\n\n"), true, `seed ${seed}`);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("import: what is no export, or a broken one, is refused or read in part, and never hangs", () =>
  withPlace(async (place) => {
    using history = place.open();
    for (const bad of ["", "no json", "[]", "{}", "3", '[{"a":1}]', '{"chats":[]}']) {
      await assert.rejects(history.importFile(new TextEncoder().encode(bad)), {
        code: "bad-request",
      });
    }
    // A tree that goes in a circle, and fields of wrong types.
    const odd = [{ title: 7, mapping: { a: { parent: "b" }, b: { parent: "a" }, c: 3, d: null } }];
    assert.deepEqual((await history.importFile(json(odd))).skipped, 1);
    // A question with more answers than a call takes arguments.
    const answers = Array.from({ length: 200_000 }, (_, i) => [`a${i}`, { parent: "q" }]);
    const wide = [{ mapping: { q: { parent: null }, ...Object.fromEntries(answers) } }];
    assert.equal((await history.importFile(json(wide))).skipped, 1);
    const path = join(place.dataDir, "db.sqlite");
    const db = new DatabaseSync(path);
    db.exec("PRAGMA synchronous = OFF; PRAGMA page_size = 512");
    db.exec("CREATE TABLE chats (id TEXT, title TEXT, created_at TEXT)");
    for (let i = 0; i < 100; i++) {
      db.exec(`INSERT INTO chats VALUES ('${i}', '${"t".repeat(i * 20)}', '')`);
    }
    db.close();
    const whole = Deno.readFileSync(path);
    // A leaf page whose cells are all one row: more than the file holds.
    const shared = whole.slice();
    const view = new DataView(shared.buffer);
    for (let page = 1; page < shared.length / 512; page++) {
      const count = view.getUint16(page * 512 + 3);
      if (shared[page * 512] !== 0x0d || count < 2) continue;
      const cell = view.getUint16(page * 512 + 8);
      const room = Math.floor((cell - 8) / 2);
      view.setUint16(page * 512 + 3, room);
      for (let i = 0; i < room; i++) view.setUint16(page * 512 + 8 + 2 * i, cell);
    }
    assert.throws(() => new SqliteReader(shared).table("chats"), {
      code: "bad-request",
      message: /its rows are longer than the file/,
    });
    const next = random(9);
    let refused = 0;
    for (let i = 0; i < 500; i++) {
      const bytes = whole.slice(0, i % 2 ? Math.floor(next() * whole.length) : whole.length);
      for (let k = 0; k < 4; k++) {
        bytes[Math.floor(next() * bytes.length)]! = Math.floor(next() * 256);
      }
      try {
        new SqliteReader(bytes).table("chats");
      } catch (error) {
        assert.equal((error as { code?: string }).code, "bad-request", String(error));
        refused++;
      }
    }
    assert.ok(refused > 100, String(refused));
  }));
