import assert from "node:assert/strict";
import { chunksOf } from "../documents/chunks.ts";
import { parseDocument } from "../documents/parse.ts";
import { makePdf, makeZip } from "../documents/testing.ts";
import { textOf } from "../documents/text_of.ts";
import { holds, withPlace } from "./testing.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("documents: each kind is read, found by its words with file and page, and sealed", () =>
  withPlace(async (place) => {
    using history = place.open();
    await history.addDocument(
      "lease.pdf",
      makePdf(["The tenant pays rent.", "Notice: canary three months."]),
    );
    await history.addDocument(
      "a.docx",
      makeZip(
        "word/document.xml",
        bytes(
          "<w:p><w:r><w:t>Clause&#32;one: heron &amp; stork</w:t></w:r></w:p><w:p><w:t>x</w:t></w:p>",
        ),
      ),
    );
    await history.addDocument(
      "b.html",
      bytes("<p>The &Auml;rzte said kestrel<script>var hidden = 'osprey'</script><!-- wren -->"),
    );
    await history.addDocument("c.csv", bytes("name,bird\nAnna,falcon\n"));
    await history.addDocument("d.md", bytes("# Birds\n\nThe plover nests."));
    const found = async (question: string) =>
      (await history.searchDocuments(question, 5)).map(({ name, page }) => [name, page]);
    assert.deepEqual(await found("which notice, in months?"), [["lease.pdf", 2]]);
    assert.deepEqual(await found("HERONS"), [["a.docx", null]]);
    assert.deepEqual(await found("kestrel ärzte"), [["b.html", null]]);
    assert.deepEqual(await found("osprey wren"), []);
    assert.deepEqual(await found("falcon"), [["c.csv", null]]);
    assert.equal(
      (await history.searchDocuments("stork", 5))[0]!.text,
      "Clause one: heron & stork\nx",
    );
    assert.deepEqual(history.documents().map(({ type }) => type).sort(), [
      "csv",
      "docx",
      "html",
      "markdown",
      "pdf",
    ]);
    assert.equal(history.documents().find(({ type }) => type === "pdf")!.pages, 2);
    for (const word of ["canary", "heron", "lease", "kestrel"]) {
      assert.ok(!holds(place.bytes(), word));
    }
    // The same name again takes the older one's place.
    await history.addDocument("d.md", bytes("The dunlin nests."));
    assert.deepEqual(await found("plover"), []);
    assert.deepEqual(await found("dunlin"), [["d.md", null]]);
    const { id } = history.documents().find(({ name }) => name === "lease.pdf")!;
    history.removeDocument(id);
    assert.deepEqual(await found("notice"), []);
    assert.throws(() => history.removeDocument(id), { code: "not-found" });
  }));

Deno.test("documents: what is broken, hostile or no document is refused in words, and nothing of it is kept", () =>
  withPlace(async (place) => {
    using history = place.open();
    const zeros = new Uint8Array(200 * 1024 * 1024);
    const cases: [name: string, content: Uint8Array<ArrayBuffer>, code: string, why: RegExp][] = [
      [
        "bomb.docx",
        makeZip("word/document.xml", zeros),
        "bad-request",
        /unpacks to more than 64 MiB/,
      ],
      [
        "inner.docx",
        makeZip("word/other.xml", bytes("<w:t>x</w:t>")),
        "bad-request",
        /no text of Word/,
      ],
      [
        "cut.docx",
        makeZip("word/document.xml", bytes("x")).slice(0, 50),
        "bad-request",
        /no whole archive/,
      ],
      ["a.zip", makeZip("a", bytes("x")), "unsupported-media-type", /no kind of document/],
      [
        "a.exe",
        new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 1, 1]),
        "unsupported-media-type",
        /no kind/,
      ],
      ["cut.pdf", bytes("%PDF-1.4\n garbage"), "bad-request", /it is broken/],
      ["empty.txt", bytes("   \n"), "bad-request", /there is no text/],
      ["empty.pdf", makePdf([" "]), "bad-request", /there is no text/],
    ];
    for (const [name, content, code, message] of cases) {
      await assert.rejects(history.addDocument(name, content), { code, message }, name);
    }
    assert.deepEqual(history.documents(), []);
  }));

Deno.test("documents: passages keep every word, are bounded, and stay on their page", () => {
  const words = Array.from({ length: 3000 }, (_, i) => `w${i}${i % 17 === 0 ? "." : ""}`);
  const pages = [{ page: 1, text: words.slice(0, 1500).join(" ") }, {
    page: 2,
    text: words.slice(1500).join("\n"),
  }];
  const chunks = chunksOf(pages);
  assert.ok(chunks.length > 15);
  assert.ok(chunks.every(({ text }) => text.length <= 1000));
  for (const { page } of pages) {
    const seen = new Set(
      chunks.filter((one) => one.page === page).flatMap(({ text }) => text.split(/\s/)),
    );
    for (const word of words.slice((page - 1) * 1500, page * 1500)) assert.ok(seen.has(word), word);
  }
  // A table of sixteen megabytes has neither paragraphs nor sentences: each passage looks for them in itself alone.
  const table = chunksOf([{ page: null, text: "12,34,56,78\n".repeat(1_400_000) }]);
  assert.ok(table.length > 16_000);
  // One word of a million letters.
  assert.ok(
    chunksOf([{ page: null, text: "x".repeat(1_000_000) }]).every(({ text }) =>
      text.length <= 1000
    ),
  );
});

Deno.test("documents: what unpacks to more memory than it may is ended, and others are read after it", async () => {
  const bomb = () => makePdf([" ".repeat(150_000_000)], true);
  assert.ok(bomb().length < 1_000_000);
  await assert.rejects(parseDocument("bomb.pdf", bomb(), 60_000_000), {
    code: "bad-request",
    message: /takes too much memory/,
  });
  const { passages } = await parseDocument("lease.pdf", makePdf(["The tenant pays."], true));
  assert.match(passages[0]!.text, /The tenant pays/);
});

Deno.test("documents: tags that are never closed are read in one go, each once", async () => {
  const many = 300_000;
  for (
    const [type, text] of [
      ["html", "<".repeat(many)],
      ["html", "<p ".repeat(many)],
      ["html", "<!-".repeat(many)],
      ["html", "<script ".repeat(many)],
      ["html", "<a href='x' ".repeat(many) + "end"],
      ["html", "&#".repeat(many)],
    ] as const
  ) {
    const [page] = await textOf(type, bytes(text));
    assert.equal(typeof page!.text, "string");
  }
  for (const tag of ["<", "<w:tab ", "<w:br ", "<w:instrText ", "</w:p "]) {
    const docx = makeZip("word/document.xml", bytes(tag.repeat(many) + "<w:t>end</w:t>"));
    const [page] = await textOf("docx", docx);
    assert.match(page!.text, /end/);
  }
  const [page] = await textOf(
    "html",
    bytes('<p class="x">one<br>two</p><!-- no --><script>no</script>'),
  );
  assert.equal(page!.text.replace(/\s+/g, " ").trim(), "one two");
});
