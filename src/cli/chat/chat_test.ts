import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { inProportion } from "../../../tests/support/patience.ts";
import { makeDocx, makePdf, makeScannedPdf, rgbImage } from "../../documents/testing.ts";
import { SecLlamaError } from "../../errors.ts";
import { openKeySource } from "../../keys/mod.ts";
import { MemoryStore } from "../../keys/stores/testing_memory.ts";
import { withFolder } from "../../keys/testing.ts";
import { PASTED_LINE_END, PasteFilter, type Piece } from "./line_reader.ts";
import { SealedHistory } from "./sealed_history.ts";
import { attach, imagesOf, picturesNamedIn, takePictures, textFile, typedPath } from "./files.ts";
import { Session } from "./session.ts";
import { describeTotals } from "./show_answer.ts";
import { parseSlash } from "./slash.ts";
import { WordWrap } from "./word_wrap.ts";

Deno.test("chat: what is pasted is one text, wherever the reads cut it", () => {
  const typed = "a\x1b[200~one\r\ntwo\rthree\n\x1b[201~b\r";
  const wanted = `aone${PASTED_LINE_END}two${PASTED_LINE_END}three${PASTED_LINE_END}b\r`;
  const textOf = (pieces: Piece[]) => pieces.map(({ text }) => text).join("");
  assert.equal(textOf(new PasteFilter().push(typed)), wanted);
  for (let at = 0; at < typed.length; at++) {
    // A read that ends with a lone Escape is that key.
    if (at === typed.indexOf("\x1b") + 1) continue;
    const filter = new PasteFilter();
    assert.equal(
      textOf([...filter.push(typed.slice(0, at)), ...filter.push(typed.slice(at))]),
      wanted,
      `${at}`,
    );
  }
  const cut = new PasteFilter();
  cut.push("\x1b[200~lost\x1b");
  assert.deepEqual(cut.push("\x03"), [{ pasted: false, text: "\x03" }]);
  // Pasted, a key is none: Ctrl-C ends nothing, and nothing colours the terminal.
  assert.deepEqual(new PasteFilter().push("a\x1b[200~\x03\tx\x1b[31m\x7f\x1b[201~\x03"), [
    { pasted: false, text: "a" },
    { pasted: true, text: "\tx[31m" },
    { pasted: false, text: "\x03" },
  ]);
});

Deno.test("chat: lines break at words, never inside one that fits, and code stays as it is", () => {
  const text = "The quick brown fox jumps over the lazy dog and runs.\n\n```\n" +
    "a line of code that is much longer than the terminal is wide\n```\n日本語の文は二つの文字の間で折り返されることがある。\n";
  for (const size of [1, 2, 3, 7, 1000]) {
    const wrap = new WordWrap(() => 24);
    let out = "";
    for (let at = 0; at < text.length; at += size) out += wrap.push(text.slice(at, at + size));
    out += wrap.end();
    assert.equal(out.replace(/\s/g, ""), text.replace(/\s/g, ""), "nothing is lost");
    const lines = out.split("\n");
    const code = lines.findIndex((line) => line.startsWith("a line of code"));
    assert.equal(lines[code], "a line of code that is much longer than the terminal is wide");
    for (const line of lines.slice(0, code)) assert.ok(line.length <= 24, line);
    assert.deepEqual(lines.slice(0, 3), [
      "The quick brown fox",
      "jumps over the lazy dog",
      "and runs.",
    ]);
    assert.ok(lines.slice(code + 2).every((line) => [...line].length <= 12));
  }
});

Deno.test("chat: no line that begins with a slash is taken for anything but a command", () => {
  assert.deepEqual(parseSlash("/bye"), { kind: "bye" });
  assert.deepEqual(parseSlash("?"), { kind: "help" });
  assert.deepEqual(parseSlash("/? shortcuts"), { kind: "shortcuts" });
  assert.deepEqual(parseSlash("/set system  Be brief. "), { kind: "system", text: "Be brief." });
  assert.deepEqual(parseSlash("/set parameter temperature 0.2"), {
    kind: "parameter",
    name: "temperature",
    value: 0.2,
  });
  assert.deepEqual(parseSlash("/set parameter stop a b"), {
    kind: "parameter",
    name: "stop",
    value: ["a", "b"],
  });
  assert.deepEqual(parseSlash('/set format {"type":"object"}'), {
    kind: "format",
    format: { type: "object" },
  });
  assert.deepEqual(parseSlash("/set think high"), { kind: "think", think: "high" });
  assert.deepEqual(parseSlash("/show"), { kind: "show", part: "info" });
  assert.deepEqual(parseSlash("/load a:b"), { kind: "load", model: "a:b" });
  for (
    const line of ["/cler", "/", "/etc/passwd is a file", "/set", "/set x", "/set think very"]
      .concat(["/set parameter", "/set parameter temprature 1", "/set parameter top_p 7"])
      .concat(["/set format [1]", "/show all", "/load", "/load a b", "/file"])
  ) {
    assert.throws(
      () => parseSlash(line),
      (e) => e instanceof SecLlamaError && /usage|bad-modelfile/.test(e.code),
    );
  }
  // Pasted, of several lines: whatever the first one is, only a system message may have them.
  for (const first of ["/bye", "/clear", "/set format json", "/etc/passwd", "/"]) {
    assert.throws(() => parseSlash(`${first}\nmore`), /several lines begins with a slash/);
  }
  assert.deepEqual(parseSlash('/set system """a\nb"""'), { kind: "system", text: "a\nb" });
  for (
    const [line, meant] of [["/cler", "/clear"], ["/BYE", "/bye"], ["/set verbos", "/set verbose"]]
  ) {
    assert.throws(
      () => parseSlash(line!),
      (e: SecLlamaError) => e.hint!.includes(`mean ${meant}?`),
    );
  }
});

Deno.test("chat: a file's path is read as it was typed, dropped or pasted", async () => {
  await withFolder(async (home) => {
    const path = join(home, "my notes (1).txt");
    await Deno.writeTextFile(path, "hello");
    const escaped = path.replace(/[ ()]/g, (sign) => `\\${sign}`);
    for (
      const typed of [path, `"${path}"`, `'${path}'`, escaped, ` ${escaped} `]
        .concat("~/my\\ notes\\ \\(1\\).txt", '"~/my notes (1).txt"', pathToFileURL(path).href)
    ) assert.equal(await typedPath(typed, home), path, typed);
    assert.equal(await typedPath("~user/x", home), "~user/x");
    assert.equal((await attach(path, assert.fail)).kind, "text");
    await Deno.writeFile(path, new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0]));
    assert.deepEqual(await attach(path, assert.fail), {
      kind: "images",
      base64: ["iVBORw0KGgoA"],
    });
    await Deno.writeFile(path, new Uint8Array([1, 0, 255]));
    for (
      const [bad, why] of [[path, /no text file|not a text file/], [home, /is a folder/]] as const
    ) {
      await assert.rejects(
        attach(bad, assert.fail),
        (e: SecLlamaError) => why.test(e.message) && !!e.hint,
      );
    }
  });
});

Deno.test("chat: a scanned PDF goes along as pictures of its pages, from the one that is named", async () => {
  await withFolder(async (home) => {
    const path = join(home, "scan.pdf");
    const image = rgbImage(2, 2, new Uint8Array(12));
    await Deno.writeFile(path, makeScannedPdf(Array(9).fill(image)));
    const notes: string[] = [];
    const count = async (name: string) => {
      const attached = await attach(name, (line) => notes.push(line));
      return attached.kind === "images" && attached.base64.length;
    };
    assert.equal(await count(path), 8);
    assert.equal(await count(`${path}#page=9`), 1);
    assert.deepEqual(notes, [
      `${path}: of its 9 pages, pages 1, 2, 3, 4, 5, 6, 7, 8 go along as pictures; ` +
      `those from 9 on: ${path}#page=9`,
      `${path}: of its 9 pages, page 9 goes along as a picture`,
    ]);
    await assert.rejects(count(`${path}#page=10`), { code: "bad-request", message: /has 9 pages/ });
    await assert.rejects(textFile(path), { code: "usage", message: /no text/ });
    await Deno.writeFile(path, makePdf(["words", " ", "more"]));
    const text = `${path}:\n(page 1)\nwords\n\n(page 3)\nmore`;
    assert.deepEqual(await attach(path, assert.fail), { kind: "text", text });
    assert.equal(await textFile(path), text);
    await assert.rejects(imagesOf(path, assert.fail), {
      code: "bad-request",
      message: /no page .* is a picture/,
    });
    const letter = join(home, "letter.docx");
    await Deno.writeFile(letter, makeDocx("Dear ".repeat(1000)));
    assert.equal(await textFile(letter), `${letter}:\n${"Dear ".repeat(1000).trim()}`);
    await Deno.writeTextFile(letter, "no archive");
    assert.equal(await textFile(letter), `${letter}:\nno archive`);
    await Deno.writeTextFile(letter, "PK\x03\x04 and no more");
    await assert.rejects(textFile(letter), { code: "bad-request", message: /no whole archive/ });
  });
});

Deno.test("chat: a session sends what was said, the system message first, and asks that nothing is cut", () => {
  const session = new Session("m", { options: {}, verbose: false, wordWrap: true, system: "S" });
  session.record({ role: "user", content: "a" }, "b");
  session.record({ role: "user", content: "unanswered" }, "");
  const body = session.bodyFor({ role: "user", content: "c" });
  assert.deepEqual(body.messages.map((m) => [m.role, m.content]), [
    ["system", "S"],
    ["user", "a"],
    ["assistant", "b"],
    ["user", "c"],
  ]);
  assert.equal(body.truncate, false);
  assert.equal(session.forgetOldest(), true);
  assert.equal(session.forgetOldest(), false);
  assert.equal(session.bodyFor({ role: "user", content: "c" }).messages.length, 2);
});

Deno.test("chat: a picture that a prompt names by its path is found, whatever stands around it", () =>
  withFolder(async (folder) => {
    const named = async (prompt: string) =>
      (await picturesNamedIn(prompt, folder)).map(({ typed, path, exact }) => [typed, path, exact]);
    await Deno.mkdir(`${folder}/b.png`);
    for (const name of ["a.PNG", "my cat (1).jpeg", "it's.webp", "日本 語.gif", "a.png.bmp"]) {
      const path = `${folder}/${name}`;
      await Deno.writeTextFile(path, "");
      const escaped = path.replace(/[^\w./-]/g, (sign) => `\\${sign}`);
      const inQuotes = [`"${path}"`, ...(name.includes("'") ? [] : [`'${path}'`])];
      const forms = [path, escaped, ...inQuotes, `~/${name}`, pathToFileURL(path).href];
      for (const typed of forms) {
        for (
          const around of ["$", "what is in $?", "($), or $.", "first\n$\nlast", "see $, then"]
        ) {
          const prompt = around.replaceAll("$", () => typed);
          assert.deepEqual(await named(prompt), [[typed, path, true]], prompt);
        }
      }
    }
    for (const other of ["a.png", `${folder}/c.png`, `${folder}/b.png`, folder, "", "sl.txt"]) {
      assert.deepEqual(await named(other), []);
    }
    const cwd = Deno.cwd();
    Deno.chdir(folder);
    try {
      assert.deepEqual(await named("what is a.PNG?"), [["a.PNG", "a.PNG", false]]);
      assert.deepEqual(await named("what is ./a.PNG?"), [["./a.PNG", "./a.PNG", true]]);
    } finally {
      Deno.chdir(cwd);
    }
  }));

Deno.test("chat: a prompt of a hundred thousand paths is looked through at once", () =>
  withFolder(async (folder) => {
    const prompt = "/a.png ".repeat(100_000);
    await inProportion("a prompt", async () => {
      assert.deepEqual(await picturesNamedIn(prompt, folder), []);
    });
  }));

Deno.test("chat: a picture that is named goes along where the model sees, else it is said", () =>
  withFolder(async (folder) => {
    const path = `${folder}/my cat.png`;
    await Deno.writeTextFile(path, "abc");
    const take = async (prompt: string, sees: boolean) => {
      const notes: string[] = [];
      const note = (line: string) => notes.push(line);
      const asked = { home: folder, how: "/file", sees: () => Promise.resolve(sees), note };
      return { ...await takePictures(prompt, asked), notes };
    };
    assert.deepEqual(await take(`what is in '${path}' here?`, true), {
      text: "what is in here?",
      images: ["YWJj"],
      notes: [`${path} goes along as a picture.`],
    });
    const blind = await take(`what is in ${path}?`, false);
    assert.deepEqual([blind.text, blind.images], [`what is in ${path}?`, []]);
    assert.match(blind.notes[0]!, /reads no pictures/);
    // What is cut out is what was meant, and the rest stays as it was typed.
    await Deno.mkdir(`${folder}/sub`);
    await Deno.writeTextFile(`${folder}/a.png`, "a");
    await Deno.writeTextFile(`${folder}/sub/a.png`, "b");
    const cwd = Deno.cwd();
    Deno.chdir(`${folder}/sub`);
    try {
      const { text, images } = await take("compare ../a.png with ./a.png", true);
      assert.deepEqual([text, images], ["compare with", ["YQ==", "Yg=="]]);
      const url = `https://x.example${folder}/a.png`;
      assert.equal((await take(`see ${url} and ${folder}/a.png`, true)).text, `see ${url} and`);
      const code = "if x:\n    y  = 1\n\n./a.png shows it, a.png is it";
      assert.equal((await take(code, true)).text, "if x:\n    y  = 1\n\n shows it, a.png is it");
      const marked = await take("what is in `./a.png`?", true);
      assert.deepEqual([marked.images, marked.notes.length], [[], 1]);
    } finally {
      Deno.chdir(cwd);
    }
    // Nobody is asked about a model where no picture is named.
    const words = { home: folder, how: "/file", sees: () => Promise.reject(), note() {} };
    assert.equal((await takePictures("a  b", words)).text, "a  b");
  }));

Deno.test("chat: counts and times in a line each", () => {
  const lines = describeTotals({ total_duration: 2e9, eval_count: 10, eval_duration: 1e9 });
  assert.deepEqual(lines.map((line) => line.replace(/ +/g, " ")), [
    "total duration: 2.000 s",
    "eval count: 10 tokens",
    "eval duration: 1.000 s",
    "eval rate: 10.00 tokens/s",
  ]);
});

Deno.test("chat: lines are kept sealed, and only where the user asked for it", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const keys = await openKeySource({
      dataDir: folder,
      env: {},
      interactive: false,
      store,
      autoInit: true,
    });
    const path = `${folder}/run-history`;
    const history = new SealedHistory(path, () => Promise.resolve(keys.storage()));
    assert.deepEqual(await history.read(), []);
    await history.write(["newest canary", "oldest"]);
    const bytes = await Deno.readFile(path);
    assert.ok(!new TextDecoder("latin1").decode(bytes).includes("canary"));
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.deepEqual(await history.read(), ["newest canary", "oldest"]);
    for (const at of [0, 5, 20, bytes.length - 1]) {
      const bad = bytes.slice();
      bad[at]! ^= 1;
      await Deno.writeFile(path, bad);
      await assert.rejects(history.read(), (e: SecLlamaError) => e.code === "decrypt-failed");
    }
    await history.forget();
    assert.deepEqual(await history.read(), []);
    keys[Symbol.dispose]();
  }));
