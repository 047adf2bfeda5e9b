import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { said, withPlace } from "../testing.ts";
import { readImport } from "./formats.ts";
import { CHATGPT, exported, json, OPEN_WEBUI } from "./testing.ts";

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
  }));
