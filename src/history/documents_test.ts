import assert from "node:assert/strict";
import { deflateRawSync } from "node:zlib";
import { chunksOf } from "../documents/chunks.ts";
import { holds, withPlace } from "./testing.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A small PDF of our own making, a line of text a page. */
function pdf(pages: readonly string[]): Uint8Array<ArrayBuffer> {
  const kids = pages.map((_, i) => `${4 + 2 * i} 0 R`).join(" ");
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>",
    `<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ...pages.flatMap((text, i) => {
      const content = `BT /F1 12 Tf 72 720 Td (${text}) Tj ET`;
      return [
        `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents ${5 + 2 * i} 0 R ` +
        "/Resources << /Font << /F1 3 0 R >> >> >>",
        `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
      ];
    }),
  ];
  let text = "%PDF-1.4\n";
  const places = objects.map((object, i) => {
    const at = text.length;
    text += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return at;
  });
  const xref = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n` +
    places.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("") +
    `trailer << /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF`;
  return bytes(text);
}

/** An archive with one file, packed. */
function zip(name: string, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const packed = deflateRawSync(content);
  const head = (
    signature: number,
    size: number,
    fields: [at: number, value: number, bytes: number][],
  ) => {
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(0, signature, true);
    for (const [at, value, width] of fields) {
      if (width === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
    }
    return new Uint8Array(view.buffer);
  };
  const local = head(0x04034b50, 30, [[8, 8, 2], [18, packed.length, 4], [22, content.length, 4], [
    26,
    name.length,
    2,
  ]]);
  const entry = head(0x02014b50, 46, [[10, 8, 2], [20, packed.length, 4], [24, content.length, 4], [
    28,
    name.length,
    2,
  ]]);
  const start = local.length + name.length + packed.length;
  const end = head(0x06054b50, 22, [[8, 1, 2], [10, 1, 2], [12, entry.length + name.length, 4], [
    16,
    start,
    4,
  ]]);
  const parts = [local, bytes(name), packed, entry, bytes(name), end];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

Deno.test("documents: each kind is read, found by its words with file and page, and sealed", () =>
  withPlace(async (place) => {
    using history = place.open();
    await history.addDocument(
      "lease.pdf",
      pdf(["The tenant pays rent.", "Notice: canary three months."]),
    );
    await history.addDocument(
      "a.docx",
      zip(
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
    const found = (question: string) =>
      history.searchDocuments(question, 5).map(({ name, page }) => [name, page]);
    assert.deepEqual(found("which notice, in months?"), [["lease.pdf", 2]]);
    assert.deepEqual(found("HERONS"), [["a.docx", null]]);
    assert.deepEqual(found("kestrel ärzte"), [["b.html", null]]);
    assert.deepEqual(found("osprey wren"), []);
    assert.deepEqual(found("falcon"), [["c.csv", null]]);
    assert.equal(history.searchDocuments("stork", 5)[0]!.text, "Clause one: heron & stork\nx");
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
    assert.deepEqual(found("plover"), []);
    assert.deepEqual(found("dunlin"), [["d.md", null]]);
    const { id } = history.documents().find(({ name }) => name === "lease.pdf")!;
    history.removeDocument(id);
    assert.deepEqual(found("notice"), []);
    assert.throws(() => history.removeDocument(id), { code: "not-found" });
  }));

Deno.test("documents: what is broken, hostile or no document is refused in words, and nothing of it is kept", () =>
  withPlace(async (place) => {
    using history = place.open();
    const zeros = new Uint8Array(200 * 1024 * 1024);
    const cases: [name: string, content: Uint8Array<ArrayBuffer>, code: string, why: RegExp][] = [
      ["bomb.docx", zip("word/document.xml", zeros), "bad-request", /unpacks to more than 64 MiB/],
      [
        "inner.docx",
        zip("word/other.xml", bytes("<w:t>x</w:t>")),
        "bad-request",
        /no text of Word/,
      ],
      [
        "cut.docx",
        zip("word/document.xml", bytes("x")).slice(0, 50),
        "bad-request",
        /no whole archive/,
      ],
      ["a.zip", zip("a", bytes("x")), "unsupported-media-type", /no kind of document/],
      [
        "a.exe",
        new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 1, 1]),
        "unsupported-media-type",
        /no kind/,
      ],
      ["cut.pdf", bytes("%PDF-1.4\n garbage"), "bad-request", /it is broken/],
      ["empty.txt", bytes("   \n"), "bad-request", /there is no text/],
      ["empty.pdf", pdf([" "]), "bad-request", /there is no text/],
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
