/** What is read of files in the encodings and forms that programs write. */
import assert from "node:assert/strict";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { decodedText } from "../api/decoding.ts";
import { chunksOf } from "./chunks.ts";
import { parseDocument } from "./parse.ts";
import { makeZip } from "./testing.ts";
import { textOf, typeOf } from "./text_of.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** What chunksOf() does to white space, of a whole text at once. */
function tidied(text: string): string {
  // deno-lint-ignore no-control-regex -- they are what it is about
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, " ").replace(/[ \t]+/g, " ")
    .replace(/ ?\n ?/g, "\n").replace(/\n{3,}/g, "\n\n").trim();
}

/** As a program writes it in an encoding of one byte a letter, by what each byte means. */
function inOneByte(encoding: string, text: string): Uint8Array<ArrayBuffer> {
  const letters = new TextDecoder(encoding).decode(Uint8Array.from({ length: 256 }, (_, i) => i));
  return Uint8Array.from(text, (letter) => {
    const at = letters.indexOf(letter);
    assert.ok(at >= 0, `${letter} in ${encoding}`);
    return at;
  });
}

function wide(text: string, isBig: boolean): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
  return new Uint8Array(isBig ? bytes.swap16() : bytes);
}

async function read(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
  const type = typeOf(name, bytes);
  if (type === undefined || type === "pdf") return undefined;
  return (await textOf(type, bytes))[0]!.text;
}

const TEXTS: Readonly<Record<string, string>> = {
  "windows-1251": "Договор аренды расторгается за три месяца.",
  "koi8-r": "Срок уведомления три месяца.",
  "iso-8859-2": "Výpovědní lhůta činí tři měsíce.",
  "iso-8859-7": "Η προθεσμία είναι τρεις μήνες.",
  "windows-1252": "Die Kündigungsfrist beträgt – wie üblich – „drei“ Monate.",
};

Deno.test("documents: a text is read in whatever encoding it was written, and by chance", async () => {
  for (const text of Object.values(TEXTS)) {
    for (const name of ["a.txt", "a.md", "a.csv", "a"]) {
      assert.equal(await read(name, utf8(text)), text);
      assert.equal(await read(name, utf8(`\ufeff${text}`)), text);
      assert.equal(await read(name, wide(text, false)), text);
      assert.equal(await read(name, wide(text, true)), text);
    }
  }
  const western = TEXTS["windows-1252"]!;
  assert.equal(await read("a.txt", inOneByte("windows-1252", western)), western);
  for (const [encoding, text] of Object.entries(TEXTS)) {
    for (
      const head of [
        `<meta charset=${encoding}>`,
        `<META http-equiv="Content-Type" content="text/html; charset=${encoding}">`,
        `<!doctype html><meta name="a"><meta charset = "${encoding.toUpperCase()}">`,
      ]
    ) {
      const page = await read("a.html", inOneByte(encoding, `${head}<p>${text}</p>`));
      assert.equal(page!.trim(), text, head);
      // A page that was saved anew as UTF-8 may still say what it was.
      assert.equal((await read("a.html", utf8(`${head}<p>${text}</p>`)))!.trim(), text);
    }
  }
  // 東京 as ISO-2022-JP has it (RFC 1468).
  const tokyo = '<meta charset="iso-2022-jp"><p>\x1b$BEl5~\x1b(B</p>';
  assert.equal((await read("a.htm", utf8(tokyo)))!.trim(), "東京");
  for (const [SEED] of seeds(20).map((seed) => [seed])) {
    const random = seeded(SEED!);
    const text = Array.from(
      { length: 40 },
      () => String.fromCodePoint(32 + Math.floor(random() * 0x10ff00)),
    ).join("").toWellFormed();
    assert.equal(decodedText(wide(text, true)), text, `seed ${SEED}`);
    assert.equal(decodedText(wide(text, false)), text, `seed ${SEED}`);
    assert.equal(decodedText(utf8(`a${text}`)), `a${text}`, `seed ${SEED}`);
  }
});

Deno.test("documents: what is no text is none in any encoding", () => {
  const none = [
    Uint8Array.of(0xff, 0xfe, 0x41),
    Uint8Array.of(0xff, 0xfe, 0, 0, 0x41, 0, 0, 0),
    Uint8Array.of(0xff, 0xfe, 0, 0xd8, 0x41, 0),
    Uint8Array.of(0x1f, 0x8b, 8, 0xff, 3),
    utf8("a\0b"),
  ];
  for (const bytes of none) assert.equal(decodedText(bytes), undefined, String(bytes));
});

Deno.test("documents: what texts of Windows and DOS have beside letters makes them no programs", () => {
  // A break within a field, and the mark of the end.
  assert.equal(decodedText(Uint8Array.of(0xe4, 0x0b, 0x41, 0x1a, 0x1a)), "ä\vA\x1a\x1a");
  assert.equal(decodedText(Uint8Array.of(0xe4, 0x1a, 0x41)), undefined);
});

Deno.test("documents: an element that ends with its tag, or has a longer name, takes nothing of what follows", async () => {
  const p = (text: string) => `<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`;
  for (
    const none of ["<mc:Fallback/>", '<mc:Fallback xmlns="" />', "<mc:Fallback></mc:Fallback>"]
  ) {
    const drawn = `<mc:AlternateContent><mc:Choice>${p("box")}</mc:Choice>${none}`;
    const xml = `${p("one")}${drawn}</mc:AlternateContent>${p("two")}`;
    const [piece] = await textOf("docx", makeZip("word/document.xml", utf8(xml)));
    assert.deepEqual(piece!.text.match(/\w+/g), ["one", "box", "two"], none);
  }
  const [word] = await textOf(
    "docx",
    makeZip("word/document.xml", utf8(`<w:t>non<w:noBreakHyphen/>stop<w:cr/>next</w:t>`)),
  );
  assert.equal(word!.text.trim(), "non\u2011stop\nnext");
  for (
    const element of [
      '<svg-icon name="a"></svg-icon>',
      "<style-guide></style-guide>",
      '<svg width="1" />',
      "<svg/>",
      "<svg><text>no</text></svg>",
      "<script>no</script>",
    ]
  ) {
    const [piece] = await textOf("html", utf8(`<p>one</p>${element}<p>two</p>`));
    assert.deepEqual(piece!.text.match(/\w+/g), ["one", "two"], element);
  }
});

Deno.test("documents: where a word may be parted is no end of it", () => {
  const [piece] = chunksOf([{ page: null, text: "Kündi\u00adgungs\u00ad\nfrist" }]);
  assert.equal(piece!.text, "Kündigungsfrist");
  // Also where a text of megabytes is cut.
  const long = "word ".repeat(13_107);
  const last = chunksOf([{ page: null, text: `${long}\u00ad\nend` }]).at(-1);
  assert.match(last!.text, /word end$/);
});

Deno.test("documents: names of characters are those characters, as a browser reads them; others stay", async () => {
  const read = (html: string) => textOf("html", utf8(html)).then(([one]) => one!.text.trim());
  assert.equal(
    await read(
      "<p>Ma&ntilde;ana &agrave; la fa&ccedil;ade, &Eacute;cole &oelig;uvre &lsquo;x&rsquo;</p>",
    ),
    "Mañana à la façade, École œuvre ‘x’",
  );
  assert.equal(
    await read("&Alpha;&Omega;&alpha;&omega;&sigmaf;&yuml;&frac12;&#8364;&#x20AC;"),
    "ΑΩαωςÿ½€€",
  );
  assert.equal(await read("a &#150; &#x93;b&#x94; &#128;"), "a – “b” €");
  assert.equal(
    await read("&nothing; &constructor; &amp;lt; R&D"),
    "&nothing; &constructor; &lt; R&D",
  );
});

Deno.test("documents: a DOCX gives its notes too, its text where it says it is, and each once", async () => {
  const p = (text: string) => `<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`;
  const rels = (target: string) =>
    utf8(
      `<Relationships><Relationship Id="1" Type="http://x/metadata/core-properties" Target="no.xml"/>
      <Relationship Type='http://x/relationships/officeDocument' Target='${target}'/></Relationships>`,
    );
  const drawn = "<mc:AlternateContent><mc:Choice>" + p("box") + "</mc:Choice><mc:Fallback>" +
    p("box") +
    "</mc:Fallback></mc:AlternateContent>";
  for (const main of ["word/document.xml", "word/document2.xml", "doc/main.xml"]) {
    const folder = main.split("/")[0]!;
    const more = {
      ...(main === "word/document.xml" ? {} : { "_rels/.rels": rels(main) }),
      [`${folder}/footnotes.xml`]: utf8(p("the footnote")),
      [`${folder}/endnotes.xml`]: utf8(p("the endnote")),
    };
    const [piece] = await textOf("docx", makeZip(main, utf8(p("the text") + drawn), more));
    assert.deepEqual(piece!.text.split("\n").filter((line) => line.trim() !== ""), [
      "the text",
      "box",
      "the footnote",
      "the endnote",
    ]);
  }
  const absolute = makeZip("word/d.xml", utf8(p("there")), { "_rels/.rels": rels("/word/d.xml") });
  assert.match((await textOf("docx", absolute))[0]!.text, /there/);
  const xml = wide(`<?xml version="1.0" encoding="UTF-16"?>${p("sixteen")}`, false);
  assert.match((await textOf("docx", makeZip("word/document.xml", xml)))[0]!.text, /sixteen/);
  // The bound is of all parts together.
  const half = new Uint8Array(40 << 20).fill(0x61);
  const both = makeZip("word/document.xml", half, { "word/footnotes.xml": half });
  await assert.rejects(textOf("docx", both), /unpacks to more than/);
  await textOf("docx", makeZip("word/document.xml", half));
});

Deno.test("documents: white space is joined as in one piece, wherever a text of megabytes is cut", () => {
  const blanks = [" ", "\t", "\n", "\r\n", "\u0001", "\u007f", " \n \n \n"];
  for (const seed of seeds(4)) {
    const random = seeded(seed);
    const pick = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)]!;
    let text = "";
    while (text.length < 200_000) {
      text += pick(["word", "x", "\u00a0", "é", ...blanks]);
      if (random() < 0.001) text += pick(blanks).repeat(Math.floor(random() * 70_000));
    }
    const pieces = chunksOf([{ page: null, text }]).map((one) => one.text);
    const whole = tidied(text);
    let at = 0;
    for (const piece of pieces) {
      const place = whole.indexOf(piece, at);
      assert.ok(place >= at, `seed ${seed}: a piece that is not in the whole text`);
      at = place;
    }
    assert.equal(whole.indexOf(pieces.at(-1)!, at) + pieces.at(-1)!.length, whole.length);
  }
});

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.error("SKIPPED sixty megabytes of text: only task test:full reads them");

Deno.test({
  name: "documents: a text of sixty megabytes is read in the memory that it may take",
  ignore: !FULL,
  async fn() {
    for (const words of ["a ", "kestrel weather lease "]) {
      const bytes = utf8(words.repeat(Math.floor(60e6 / words.length)));
      assert.ok((await parseDocument("a.txt", bytes)).passages.length > 60_000);
    }
  },
});
