import assert from "node:assert/strict";
import type { ConversationSummary } from "../../api/history.ts";
import type { History } from "../history.ts";
import { said, withPlace } from "../testing.ts";
import { CHATGPT, exported, json, OPEN_WEBUI } from "./testing.ts";

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
    assert.match(markdown, /^# mine\n\n## 1\. You, .*Z\n\none\n\n_1 picture\._\n\n## 2\. Answer/);
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
