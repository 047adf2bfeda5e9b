/** Exports whose fields are not as their programs write them: any value in the place of any other. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../errors.ts";
import { writtenAs } from "../export.ts";
import { withPlace } from "../testing.ts";
import { readImport } from "./formats.ts";

const ROUNDS = Deno.env.get("SECLLAMA_FULL") === "1" ? 2000 : 100;

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** Claude's export: blocks of text and thought, a call of a tool, a file's text, an edit, and an empty message. */
const CLAUDE = [{
  uuid: "c",
  name: "Lease",
  created_at: "2025-08-01T12:00:00.123456Z",
  updated_at: "2025-08-01T12:10:00Z",
  account: { uuid: "me" },
  chat_messages: [
    {
      uuid: "a",
      parent_message_uuid: "00000000-0000-4000-8000-000000000000",
      sender: "human",
      text: "old form",
      content: [{ type: "text", text: "Which notice?" }],
      created_at: "2025-08-01T12:00:01Z",
      attachments: [{ file_name: "lease.txt", file_size: 3, extracted_content: "Three months." }],
      files: [{ file_name: "photo.png" }],
    },
    {
      uuid: "b",
      parent_message_uuid: "a",
      sender: "assistant",
      text: "",
      content: [
        { type: "thinking", thinking: "Look it up." },
        { type: "tool_use", name: "read", input: { page: 2 } },
        { type: "tool_result", content: [{ type: "text", text: "…" }] },
        { type: "text", text: "Three" },
        { type: "text", text: "months." },
      ],
      created_at: "2025-08-01T12:00:02Z",
    },
    { uuid: "c", parent_message_uuid: "b", sender: "human", text: "", content: [] },
    {
      uuid: "d",
      parent_message_uuid: "00000000-0000-4000-8000-000000000000",
      sender: "human",
      content: [{ type: "text", text: "Edited" }],
    },
  ],
}];
/** Without parents and blocks, as it was earlier. */
const EARLIER = [{
  name: "Deed",
  created_at: "2023-08-01T12:00:00Z",
  chat_messages: [{ sender: "human", text: "one" }, { sender: "assistant", text: "two" }],
}];

const GOOD: readonly unknown[] = [
  CLAUDE,
  EARLIER,
  [{
    title: "t",
    create_time: 1_700_000_000.5,
    mapping: {
      root: { id: "root", message: null, parent: null },
      q: {
        parent: "root",
        message: {
          author: { role: "user" },
          create_time: 1_700_000_001,
          content: { content_type: "multimodal_text", parts: ["hi", { asset_pointer: "x" }] },
        },
      },
      a: {
        parent: "q",
        message: {
          author: { role: "assistant" },
          content: { parts: [{ content_type: "audio_transcription", text: "spoken" }] },
          metadata: { model_slug: "m" },
        },
      },
    },
  }],
  [{
    title: "w",
    created_at: 1_700_000_000,
    chat: {
      models: ["m"],
      history: {
        messages: {
          a: { id: "a", parentId: null, role: "user", content: "hi", files: [] },
          b: { id: "b", parentId: "a", role: "assistant", content: [{ text: "yes" }] },
        },
      },
    },
  }],
  {
    format: "secllama-history",
    conversations: [{
      title: "s",
      created: 1_700_000_000_000,
      settings: { system: "be brief" },
      messages: [
        { id: "1", parent: null, role: "user", content: "hi", images: ["aGk="], created: 5 },
        { id: "2", parent: "1", role: "assistant", content: "ho", stats: { ms: 1 } },
      ],
    }],
  },
];

const ODD: readonly unknown[] = [
  ...[null, true, 0, -1, 1e300, 1.5, "", "x", "__proto__", "constructor", "\ud800", "1970-01-01"],
  ...[[], {}, [[]], [null], { a: { b: {} } }, "user", "tool", "-271821-04-20", 8.64e15, 1e16],
];

/** The places of a value, each as a way to put another there. */
function placesOf(value: unknown): ((next: unknown) => void)[] {
  if (typeof value !== "object" || value === null) return [];
  const inside = value as Record<string, unknown>;
  return Object.keys(inside).flatMap((key) => [
    (next: unknown) => {
      Object.defineProperty(inside, key, { value: next, enumerable: true, configurable: true });
    },
    ...placesOf(inside[key]),
  ]);
}

Deno.test("import: Claude's conversations keep their branches, thoughts, calls and the texts of files", () => {
  const { format, conversations: [lease] } = readImport(json(CLAUDE));
  assert.equal(format, "Claude");
  assert.deepEqual([lease!.title, lease!.created], ["Lease", Date.UTC(2025, 7, 1, 12, 0, 0, 123)]);
  assert.deepEqual(lease!.messages.map(({ message }) => message), [
    {
      parent: null,
      role: "user",
      content: "Which notice?",
      attachments: [{ name: "lease.txt", text: "Three months." }],
    },
    { parent: null, role: "user", content: "Edited" },
    {
      parent: "1",
      role: "assistant",
      content: "Three\n\nmonths.",
      thinking: "Look it up.",
      tool_calls: [{ function: { name: "read", arguments: { page: 2 } } }],
    },
  ]);
  const [deed] = readImport(json(EARLIER)).conversations;
  assert.deepEqual(deed!.messages.map(({ message: { parent, content } }) => [parent, content]), [
    [null, "one"],
    ["1", "two"],
  ]);
  const archive = new Uint8Array([0x50, 0x4b, 3, 4, 20, 0, 0, 0, 8, 0, 0xff]);
  assert.throws(() => readImport(archive), /an archive: unpack it/);
});

Deno.test("import: whatever stands in the place of a field, what is taken up is whole, dated, and can be written out and read back", () =>
  withPlace(async (place) => {
    using history = place.open();
    let seed = 5;
    const below = (most: number) =>
      Math.floor((seed = (seed * 1664525 + 1013904223) >>> 0) / 2 ** 32 * most);
    let taken = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const file = structuredClone(GOOD[round % GOOD.length]);
      for (let times = 1 + below(2); times > 0; times--) {
        const places = placesOf(file);
        places[below(places.length)]!(ODD[below(ODD.length)]);
      }
      const told = `round ${round}: ${JSON.stringify(file)}`;
      try {
        const { conversations } = readImport(json(file));
        for (const { created, messages } of conversations) {
          assert.ok(created === undefined || !Number.isNaN(new Date(created).getTime()), told);
          for (const [at, { message: { parent, role } }] of messages.entries()) {
            assert.ok(["system", "user", "assistant", "tool"].includes(role), told);
            assert.ok(parent === null || Number(parent) >= 1 && Number(parent) <= at, told);
          }
        }
        const report = await history.importFile(json(file));
        taken += report.imported;
        assert.equal((await history.importFile(json(file))).imported, 0, `twice: ${told}`);
        const { conversations: list } = history.list();
        for (const { id, messages } of list) {
          const one = history.get(id);
          assert.equal(one.messages.length, messages, told);
          const bytes = new TextDecoder().decode(writtenAs("json", one));
          const whole = json({ format: "secllama-history", conversations: [JSON.parse(bytes)] });
          const [back] = readImport(whole).conversations;
          const contents = (from: readonly { content: string }[]) =>
            from.map(({ content }) => content).toSorted();
          const read = back!.messages.map(({ message }) => message);
          assert.deepEqual(contents(read), contents(one.messages), told);
          assert.ok(writtenAs("markdown", one).length > 0);
        }
        history.erase(list.map(({ id }) => id));
      } catch (error) {
        assert.ok(
          error instanceof SecLlamaError && error.code === "bad-request",
          `${told} ${error}`,
        );
      }
    }
    assert.ok(taken > ROUNDS / 2, String(taken));
  }));
