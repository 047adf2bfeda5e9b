/** The page's parts that need no browser: the tree, passages, Markdown's parts, hidden characters, the list's groups. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { SEED, seeded } from "../support/seeds.ts";
import { readImport } from "../../src/history/import/formats.ts";
import { jsonOf } from "../../src/page/export.ts";
import { leavesPicturesOut, requestOf } from "../../src/page/generate.ts";
import { withLost } from "../../src/page/history.ts";
import { ageOf } from "../../src/page/proof.tsx";
import { groupsOf } from "../../src/page/sidebar.tsx";
import { foldedWords } from "../../src/api/folding.ts";
import { safeLink } from "../../src/page/links.ts";
import { partsOf } from "../../src/page/markdown_parts.ts";
import { chosenOf, passagesOf, rank } from "../../src/page/passages.ts";
import {
  branchOf,
  keptAbove,
  pathOf,
  titleOf,
  withBranch,
  withChange,
  withId,
  withMessage,
  without,
} from "../../src/page/tree.ts";
import type { Conversation, Message } from "../../src/page/types.ts";
import { blocksOf } from "../../src/page/text_blocks.ts";
import { piecesOf, withoutHidden } from "../../src/page/visible.ts";

type Tree = Pick<Conversation, "messages" | "shown">;

function message(id: string, parent: string | null): Message {
  return { id, parent, role: "user", content: id, created: 0 };
}

/** A tree that grew at random; each step follows any message there is, or none. */
const trees = fc.array(fc.nat(20), { maxLength: 20 }).map((parents) =>
  parents.reduce<Tree>((tree, pick, i) => {
    const parent = tree.messages[pick]?.id ?? null;
    return withMessage(tree, message(`m${i}`, parent));
  }, { messages: [], shown: {} })
);

Deno.test("tree: the newest message is on the path, which begins at a first one and follows parents", () => {
  fc.assert(
    fc.property(trees, (tree) => {
      const path = pathOf(tree);
      const last = tree.messages.at(-1);
      path.forEach((one, i) => assert.equal(one.parent, path[i - 1]?.id ?? null));
      // What was said last may be off the path that another branch shows higher up, but never lost.
      if (last) assert.ok(tree.messages.includes(last));
      for (const one of path) {
        const { at, of, ids } = branchOf(tree, one);
        assert.equal(ids[at - 1], one.id);
        for (let step = -of; step <= of; step++) {
          const moved = withBranch(tree, one, step);
          const wanted = ids[at - 1 + step] ?? one.id;
          assert.ok(pathOf(moved).some(({ id }) => id === wanted));
          assert.equal(moved.messages.length, tree.messages.length, "no branch is lost");
        }
      }
    }),
    { seed: SEED },
  );
});

Deno.test("tree: another id keeps the path, a change keeps the tree, taking away undoes adding", () => {
  fc.assert(
    fc.property(trees, fc.nat(20), (tree, pick) => {
      const one = tree.messages[pick];
      if (!one) return;
      const renamed = withId(tree, one.id, "next");
      const name = (id: string) => id === one.id ? "next" : id;
      assert.deepEqual(pathOf(renamed).map(({ id }) => id), pathOf(tree).map(({ id }) => name(id)));
      assert.equal(withId(renamed, "next", "next").messages.length, tree.messages.length - 1);
      const changed = withChange(tree, one.id, { content: "new" });
      assert.equal(changed.messages.find(({ id }) => id === one.id)!.content, "new");
      const grown = withMessage(tree, message("extra", one.id));
      assert.deepEqual(without(grown, "extra").messages, tree.messages);
    }),
    { seed: SEED },
  );
});

Deno.test("tree: what follows an answer that is in no history hangs on the nearest message that is", () => {
  const messages = [message("1", null), message("ab", "1"), message("cd", "ab"), message("e", "e")];
  assert.deepEqual(
    [null, "1", "ab", "cd", "e", "gone"].map((id) => keptAbove(messages, id)),
    [null, "1", "1", "1", null, null],
  );
});

Deno.test("tree: what was damaged or taken out hides nothing of what was said before and after it", () => {
  const length = 6;
  const all = Array.from({ length }, (_, i) => ({
    ...{ id: String(i + 1), parent: i === 0 ? null : String(i), created: 1 },
    ...{ role: "user", content: `said ${i}` } as const,
  }));
  for (let lost = 0; lost < 2 ** length; lost++) {
    const left = all.filter((_, i) => (lost >> i & 1) === 0);
    const messages = withLost(left, length - left.length);
    const path = pathOf({ messages, shown: {} });
    assert.deepEqual(path.map(({ id }) => id), all.map(({ id }) => id));
    assert.deepEqual(path.map(({ damaged }) => damaged ? 1 : 0), all.map((_, i) => lost >> i & 1));
  }
});

Deno.test("tree: a circle of parents ends", () => {
  const messages = [message("a", "b"), message("b", "a"), message("c", null), message("d", "d")];
  assert.deepEqual(pathOf({ messages, shown: { "": "c", c: "c" } }).map(({ id }) => id), ["c"]);
});

Deno.test("titles: the first line of a question, short", () => {
  assert.equal(titleOf("  \nWhere?\nmore"), "Where?");
  assert.equal(titleOf("x".repeat(100)).length, 58);
  assert.equal(titleOf(""), "New conversation");
});

Deno.test("passages: together they are the text, none is large, and lines are where they say", () => {
  const texts = fc.array(fc.string({ maxLength: 300 }), { maxLength: 60 }).map((l) => l.join("\n"));
  fc.assert(
    fc.property(texts, (text) => {
      const passages = passagesOf(text);
      const squeeze = (t: string) => t.replace(/\s+/g, "");
      assert.equal(squeeze(passages.map((p) => p.text).join("")), squeeze(text));
      const lines = text.split("\n");
      for (const { text: part, firstLine, lastLine } of passages) {
        assert.ok(part.length <= 1300);
        assert.ok(lines.slice(firstLine - 1, lastLine).join("\n").includes(part));
      }
    }),
    { seed: SEED },
  );
});

Deno.test("passages: the rank is BM25's, by the formula written out", () => {
  const texts = ["the kestrel nests high", "a cat sat", "kestrel kestrel and the cat", ""];
  const lists = texts.map(foldedWords);
  const mean = lists.reduce((n, l) => n + l.length, 0) / lists.length;
  const score = (i: number, word: string) => {
    const f = lists[i]!.filter((w) => w === word).length;
    const n = lists.filter((l) => l.includes(word)).length;
    const idf = Math.log(1 + (lists.length - n + 0.5) / (n + 0.5));
    return idf * f * 2.2 / (f + 1.2 * (1 - 0.75 + 0.75 * lists[i]!.length / mean));
  };
  for (const question of ["kestrel", "the cat", "high kestrel", "nothing", "Késtrel"]) {
    const words = [...new Set(foldedWords(question))];
    const wanted = texts.map((_, i) => [words.reduce((s, w) => s + score(i, w), 0), i] as const)
      .filter(([s]) => s > 0).toSorted(([a], [b]) => b - a).map(([, i]) => i);
    assert.deepEqual(rank(texts.map((text) => ({ text })), question), wanted, question);
  }
  const whole = { name: "a", text: "short" };
  assert.deepEqual(chosenOf(whole, "x"), [whole]);
});

Deno.test("hidden characters: what is shown and what is named is the text, and nothing hidden is shown", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      const pieces = piecesOf(text);
      const back = pieces.map((p) =>
        typeof p === "string" ? p : String.fromCodePoint(parseInt(p.code.slice(2), 16))
      ).join("");
      assert.equal(back, text.replaceAll("\r\n", "\n"));
      const shown = pieces.filter((p) => typeof p === "string").join("");
      assert.equal(withoutHidden(shown), shown);
      assert.doesNotMatch(shown, /\p{Bidi_Control}(?<![\u200e\u200f\u061c])/u);
      assert.doesNotMatch(shown, /(?![\t\n])\p{Cc}/u);
    }),
    { seed: SEED },
  );
  assert.deepEqual(piecesOf("a\u202eb"), ["a", { code: "U+202E" }, "b"]);
  // A form of a Han character is no hidden text; bytes behind a letter, one selector each, are.
  assert.deepEqual(piecesOf("\u845b\u{e0100}"), ["\u845b\u{e0100}"]);
  assert.equal(withoutHidden("\u845b\u{e0100}\u{e0101}a\u{e0148}\u3164"), "\u845b\u{e0100}a");
});

Deno.test("long texts: in blocks none of which is large, the text is whole, and no character is cut", () => {
  const random = seeded(1);
  const parts = [
    "word ",
    "\n",
    "\n\n",
    "x".repeat(9_000),
    "🦩".repeat(7_001),
    "é ",
    "y".repeat(30_000),
  ];
  for (let round = 0; round < 60; round++) {
    const text = Array.from(
      { length: Math.floor(random() * 40) },
      () => parts[Math.floor(random() * parts.length)],
    ).join("");
    const blocks = blocksOf(text);
    assert.equal(blocks.map(({ text, ended }) => ended ? `${text}\n` : text).join(""), text);
    for (const block of blocks) {
      assert.ok(block.text.length <= 20_000);
      assert.ok(block.text.isWellFormed());
    }
    assert.ok(blocks.length <= 1 + text.length / 2_000, `${blocks.length} of ${text.length}`);
  }
});

Deno.test("markdown: whatever is said has parts, and only http, https and mailto are links", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 500 }), (text) => {
      const parts = partsOf(text);
      assert.ok(Array.isArray(parts));
    }),
    { seed: SEED },
  );
  for (
    const bad of [
      "javascript:x",
      "data:text/html,x",
      "vbscript:x",
      "file:///x",
      "blob:x",
      "x",
      "//x",
    ]
  ) {
    assert.equal(safeLink(bad), undefined, bad);
  }
  for (const good of ["http://a.example/", "https://a.example/", "mailto:a@a.example"]) {
    assert.equal(safeLink(good)?.href, good);
  }
});

Deno.test("what is saved as JSON is read back, with each branch, thought, call and passage", () => {
  fc.assert(
    fc.property(trees, ({ messages, shown }) => {
      const conversation: Conversation = {
        id: "c",
        title: "Lease",
        created: 1_700_000_000_000,
        updated: 1,
        pinned: true,
        folder: "f",
        settings: { system: "Be brief.", options: { seed: 1 } },
        temporary: false,
        shown,
        messages: messages.map((one, i) => ({
          ...one,
          ...(i % 3 === 1
            ? { thinking: "hm", toolCalls: [{ function: { name: "f", arguments: { a: 1 } } }] }
            : {}),
          ...(i % 4 === 2
            ? { attachments: [{ name: "a.pdf", where: "page 2", text: "t" }], images: ["aGk="] }
            : {}),
        })),
      };
      const bytes = new TextEncoder().encode(jsonOf(conversation));
      const { format, conversations: [back] } = readImport(bytes);
      assert.equal(format, "SecLlama");
      const { title, created, pinned, folder, settings } = conversation;
      assert.deepEqual(
        [back!.title, back!.created, back!.pinned, back!.folder, back!.settings],
        [title, created, pinned, folder, settings],
      );
      // Ids become places; what hangs on what stays.
      const content = (place: string | null) =>
        place === null ? null : back!.messages[Number(place) - 1]!.message.content;
      const said = back!.messages.map(({ message: { parent, role: _, ...rest } }) => ({
        ...rest,
        parent: content(parent),
      }));
      const wanted = conversation.messages.map((one) => ({
        content: one.content,
        parent: one.parent,
        ...(one.thinking ? { thinking: one.thinking, tool_calls: one.toolCalls } : {}),
        ...(one.images ? { images: one.images, attachments: one.attachments } : {}),
      }));
      const sorted = (list: { content: string }[]) =>
        list.toSorted((a, b) => a.content < b.content ? -1 : 1);
      assert.deepEqual(sorted(said), sorted(wanted));
    }),
    { seed: SEED },
  );
});

Deno.test("a request has what its model takes, whoever was asked before", () => {
  const path = [
    { ...message("what colour?", null), images: ["aGk="] },
    { ...message("red", "what colour?"), role: "assistant" as const },
    message("sure?", "red"),
  ];
  const asked = (capabilities?: string[]) =>
    requestOf({ settings: { think: true } }, path, "m", capabilities) as {
      messages: { content: string; images?: string[] }[];
      think?: boolean;
    };
  for (const known of [undefined, [], ["completion", "vision", "thinking"]]) {
    const { messages, think } = asked(known);
    assert.deepEqual(messages[0], { role: "user", content: "what colour?", images: ["aGk="] });
    assert.equal(think, true);
  }
  const { messages, think } = asked(["completion"]);
  assert.ok(messages.every((one) => !("images" in one)));
  assert.match(messages[0]!.content, /^\[a picture that you cannot see\]\n\nwhat colour\?$/);
  assert.equal(think, undefined);
  assert.ok(leavesPicturesOut(path, ["completion"]));
  assert.ok(!leavesPicturesOut(path.slice(1), ["completion"]));
});

Deno.test("the list: pinned, then folders by name, then the rest; spans in words", () => {
  const one = (id: string, more: object = {}) => ({
    id,
    title: id,
    created: 0,
    updated: 0,
    ...more,
  });
  const list = [
    one("a"),
    one("b", { folder: "Z" }),
    one("c", { folder: "B" }),
    one("d", { pinned: true, folder: "B" }),
  ];
  // Of B one is pinned and one is too old for the list so far; of A all are.
  const counts = { A: 2, B: 3, Z: 1 };
  const folders = Object.entries(counts).map(([name, conversations]) => ({ name, conversations }));
  const groups = groupsOf(list, folders);
  assert.deepEqual(
    groups.map(({ title, entries, folder, more }) => [
      ...[title, entries.map(({ id }) => id), folder, more],
    ]),
    [
      ["Pinned", ["d"], undefined, 0],
      ["A", [], "A", 2],
      ["B", ["c"], "B", 2],
      ["Z", ["b"], "Z", 0],
      ["Conversations", ["a"], undefined, 0],
    ],
  );
  assert.deepEqual([0, 61_000, 7_200_000, 86_400_000].map(ageOf), [
    "less than a minute",
    "1 minute",
    "2 hours",
    "1 day",
  ]);
});
