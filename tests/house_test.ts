/** Rules of the house that a reader of one file cannot see: they hold for all files, so a test looks at all. */
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { HANG_MS } from "./support/patience.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** What was read, by its path: nearly every rule looks at all of it. */
const TEXTS = new Map<string, string>();

/** Every TypeScript file of ours below these folders, or every one of such a name, by its path from the root. */
async function sources(
  folders: readonly string[],
  names = /\.tsx?$/,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  async function walk(folder: string): Promise<void> {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      // What a test writes beside its packages for a moment begins with a dot.
      if (name.startsWith(".")) continue;
      if (isDirectory && name !== "node_modules") await walk(path);
      else if (names.test(name)) {
        let text = TEXTS.get(path);
        if (text === undefined) TEXTS.set(path, text = await Deno.readTextFile(path));
        found.set(relative(ROOT, path), text);
      }
    }
  }
  for (const folder of folders) await walk(join(ROOT, folder));
  return found;
}

/** Folders below one, those left out that a build or an installation makes. */
async function* trackedFolders(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory || /^(\.|node_modules$|build$|dist$)/.test(name)) continue;
    yield join(folder, name);
    yield* trackedFolders(join(folder, name));
  }
}

/** Where a test may read a clock, and why that cannot fail on a busy machine. */
const CLOCKS: { readonly [path: string]: string } = {
  "tests/support/patience.ts": "a limit that only what hangs reaches",
  "runner/api/ollama/chat_test.ts": "a duration within one that was measured around it",
  "runner/api/real_engine_test.ts": "one duration against another, a third of it",
  "runner/engine/engine_slots_test.ts": "one duration against another, half of it",
  "runner/engine/testing_grammar.ts": "a step's duration, for a ratio",
  "runner/grammar/schema_grammar_test.ts": "milliseconds a token against those of a plain grammar",
  "runner/reply_stream_test.ts": "frames are never early",
  "runner/turns_test.ts": "work that takes a while",
  "tests/clients/ollama_test.ts": "a duration within one that was measured around it",
  "tests/fleet/passing_test.ts": "the shortest of some against the shortest of others, half of it",
  "tests/remote/words_test.ts": "a journey's duration, printed",
  "tests/scheduling/models_test.ts": "a duration within one that was measured around it",
  "tests/scheduling/requests_test.ts": "one duration against another, half of it",
};

Deno.test("no test says how long a thing may take", async () => {
  const files = await sources(["src", "runner", "tests"]);
  assert.ok(files.size > 500, `only ${files.size} files were seen`);
  const reading = [...files].filter(([path, text]) =>
    /^tests\/|_test\.ts$|(^|\/)testing/.test(path) && path !== "tests/house_test.ts" &&
    /performance\.now\(|(const|let) (deadline|end|until|started) = Date\.now/.test(text)
  ).map(([path]) => path);
  assert.deepEqual(reading.toSorted(), Object.keys(CLOCKS).toSorted());
});

/** Cases that differ from run to run fail where nobody looked, and not again. Others come by SECLLAMA_SEED. */
Deno.test("generated cases are the same in every run", async () => {
  const files = await sources(["src", "runner", "tests"], /(_test|testing\w*)\.ts$/);
  const unseeded = [...files].filter(([path, text]) =>
    path !== "tests/house_test.ts" &&
    (text.includes("Math.random(") ||
      text.split("fc.assert(").length > text.split(/\bseed: SEED\b/).length)
  ).map(([path]) => path);
  assert.deepEqual(unseeded, []);
});

/** Where a test gives up, or is told to, before {@link HANG_MS} are over; and why a busy machine does not make it fail. */
const LIMITS: { readonly [path: string]: string } = {
  "src/http/listener_test.ts": "two timers of one process, in their order",
  "src/keys/keyset/manager_test.ts": "what is tested is that it gives up",
  "src/keys/stores/macos_test.ts": "what is tested is that it gives up",
  "src/supervisor/watchdog_test.ts": "a clock that the test moves",
  "tests/e2e/serve_test.ts": "a request that does not end before others do",
  "tests/audit/otlp_test.ts": "what is tested is that it gives up",
  "tests/audit/syslog_test.ts": "what is tested is that it gives up",
  "tests/keyring/daemon.ts": "asked again until it answers",
  "tests/keyring/store_test.ts": "what is tested is that it gives up",
  "tests/scheduling/models_test.ts": "what is tested is that it gives up",
  "tests/scheduling/requests_test.ts": "what is tested is that it gives up",
};

/** Limits of waiting in a text, in milliseconds: of timers that do more than wait, options, commands and counted tries. */
function limitsIn(text: string): number[] {
  const ms = (digits: string) => Number(digits.replaceAll("_", ""));
  const all = (pattern: RegExp, unit: number) =>
    [...text.matchAll(pattern)].map((found) => ms(found[1]!) * unit);
  return [
    ...all(/AbortSignal\.timeout\(\s*([\d_]+)/g, 1),
    ...all(/setTimeout\((?!\w+,|\(\) => \{\},)[^;]{0,300}?,\s*([\d_]{4,})\s*\)/g, 1),
    ...all(/[tT]imeoutMs\s*[:=]\s*([\d_]+)/g, 1),
    ...all(/[tT]imeoutSeconds\s*[:=]\s*([\d_]+)/g, 1000),
    ...all(/(?<![\w.])(?:--)?(?:timeout[ =]|max-time[ =])(\d+)\b/g, 1000),
    ...all(/\b(?:tries|attempts)\w*\s*<\s*([\d_]+)(?!.*\*)/g, 1),
  ];
}

Deno.test("no test gives up because the machine is busy", async () => {
  const files = await sources(["src", "runner", "tests"], /\.(tsx?|mjs|py|sh)$/);
  const short = [...files].filter(([path, text]) =>
    /^tests\/|_test\.ts$|(^|\/)testing/.test(path) && path !== "tests/house_test.ts" &&
    limitsIn(text).some((limit) => limit < HANG_MS)
  ).map(([path]) => path);
  assert.deepEqual(short.toSorted(), Object.keys(LIMITS).toSorted());
  assert.deepEqual(
    limitsIn(
      "AbortSignal.timeout(5_000) setTimeout(() => child.kill(), 10_000) loadTimeoutMs: 30 " +
        "get(url, timeout=60) timeout 7 head; curl --max-time 8; tries < 20",
    ),
    [5_000, 10_000, 30, 60_000, 7_000, 8_000, 20],
  );
  assert.deepEqual(limitsIn("setTimeout(resolve, 10_000) setTimeout(() => {}, 600_000)"), []);
});

/** Comments of TypeScript. The slashes of an address begin none. */
const COMMENT = /\/\*\*[^]*?\*\/|(?<!:)\/\/[^\n]*/g;

Deno.test("a source file that a comment names is there", async () => {
  const files = await sources(["src", "runner", "tests", "scripts", "bench"]);
  const paths = [...files.keys(), "main.ts"];
  const named = (text: string) =>
    [...text.matchAll(COMMENT)].flatMap(([comment]) =>
      comment.match(/(?<![\w./-])(?:[\w.-]+\/)*[\w-]+\.tsx?\b/g) ?? []
    );
  const isThere = (name: string) => {
    const end = name.replace(/^(\.\.?\/)+/, "");
    return paths.some((path) => path === end || path.endsWith(`/${end}`));
  };
  files.delete("tests/house_test.ts"); // its own examples
  const missing = [...files].flatMap(([path, text]) =>
    named(text).filter((name) => !isThere(name)).map((name) => `${path}: ${name}`)
  );
  assert.deepEqual(missing, []);
  assert.deepEqual(named("/** See a/b.ts, c.ts. */ x // d.ts\n'e.ts' http://f.ts"), [
    "a/b.ts",
    "c.ts",
    "d.ts",
  ]);
});

Deno.test("a folder that a comment names is there, and so is what a comment links to", async () => {
  const files = await sources(["src", "runner", "tests", "scripts", "bench"]);
  files.delete("tests/house_test.ts"); // its own examples
  const folders = new Set<string>();
  for await (const path of trackedFolders(ROOT)) folders.add(relative(ROOT, path));
  const foldersOf = (comment: string) =>
    [...comment.matchAll(
      /(?<![\w./@<-])((?:src|runner|scripts|tests|docs|bench)(?:\/[\w-]+)+)\/(?!\w)/g,
    )]
      .map(([, folder]) => folder!);
  const linksOf = (comment: string) =>
    [...comment.matchAll(/\{@link (\w+)/g)].map(([, name]) => name!);
  const words = new Set(
    [...files.values()].flatMap((text) => text.replace(COMMENT, "").match(/\w+/g) ?? []),
  );
  const wrong: string[] = [];
  let seen = 0;
  for (const [path, text] of files) {
    for (const [comment] of text.matchAll(COMMENT)) {
      for (const folder of foldersOf(comment)) {
        seen++;
        if (!folders.has(folder)) wrong.push(`${path}: ${folder}/`);
      }
      for (const name of linksOf(comment)) {
        seen++;
        if (!words.has(name)) wrong.push(`${path}: {@link ${name}}`);
      }
    }
  }
  assert.ok(seen > 100, `only ${seen} were seen`);
  assert.deepEqual(wrong, []);
  assert.deepEqual(
    foldersOf("/** src/parts/ unpacks, docs/pictures/*.txt, src/a/b.ts, a/src/x/ */"),
    [
      "src/parts",
      "docs/pictures",
    ],
  );
});

/** Exports that no file of ours imports, or no file that is no test, and for whom they are. */
const FOR_OTHERS: { readonly [name: string]: string } = {
  "src/client/library.ts CommonOptions": "a type in the package's face",
  "src/client/library.ts GatewayOptions": "a type in the package's face",
  "src/client/library.ts PairingOptions": "a type in the package's face",
  "src/client/library.ts SealedFetch": "a type in the package's face",
  "src/jinja/mod.ts RenderOptions": "a type in a room's face",
  "src/log.ts Label": "a type in a face",
  "src/proxy/mod.ts ProxyOptions": "a type in a room's face",
  "src/templates/mod.ts Specials": "a type in a room's face",
};

const EXPORT =
  /^export (?:async )?(?:abstract )?(?:function\*?|class|const|let|interface|type|enum) \*?(\w+)/gm;
const IMPORT = /(?:import|export)\s+(?:type\s+)?(\{[^}]*\}|\*[^{}]*?|\w+)\s+from\s+"(\.[^"]+)"/g;

/** What files import of others: "file name", or "file *" for all of it. */
function importedNames(files: ReadonlyMap<string, string>): Set<string> {
  const imported = new Set<string>();
  for (const [path, text] of files) {
    const code = text.replace(/\/\*[^]*?\*\//g, "");
    for (const [, names, from] of code.matchAll(IMPORT)) {
      const file = join(path, "..", from!);
      for (const name of names!.replace(/[{}]|\btype /g, "").split(",")) {
        imported.add(`${file} ${name.trim().split(" ")[0]}`);
      }
    }
    for (const [, from, name] of code.matchAll(/import\(\s*"(\.[^"]+)",?\s*\)(?:\.(\w+))?/g)) {
      imported.add(`${join(path, "..", from!)} ${name ?? "*"}`);
    }
  }
  return imported;
}

/** Exports of `files` that none of `importers` imports. */
function notImported(
  files: ReadonlyMap<string, string>,
  importers: ReadonlyMap<string, string>,
): string[] {
  const imported = importedNames(importers);
  return [...files].filter(([path]) => !imported.has(`${path} *`)).flatMap(([path, text]) =>
    [...text.replace(/\/\*[^]*?\*\//g, "").matchAll(EXPORT)].map(([, name]) => `${path} ${name}`)
      .filter((name) => !imported.has(name))
  );
}

/** Of these, what is named nowhere else in its own file either: nothing calls it. */
function unused(files: ReadonlyMap<string, string>): string[] {
  return notImported(files, files).filter((name) => {
    const [path, word] = name.split(" ");
    const code = files.get(path!)!.replace(/\/\*[^]*?\*\//g, "");
    return code.match(new RegExp(`\\b${word}\\b`, "g"))!.length === 1;
  });
}

Deno.test("what is exported is imported, and called by something that is no test", async () => {
  const all = await sources(["src", "runner", "tests", "scripts", "bench"]);
  all.set("main.ts", await Deno.readTextFile(join(ROOT, "main.ts")));
  const isOurs = (path: string) =>
    // The types of the published package stand beside the library that they describe.
    /^(src|runner|main)\b/.test(path) && !path.endsWith(".d.ts");
  const ours = new Map([...all].filter(([path]) => isOurs(path)));
  const product = new Map(
    [...ours].filter(([path]) => !/_test\.ts$|\/(testing|fake_)[a-z0-9_]*\.ts$/.test(path)),
  );
  assert.deepEqual(
    [...new Set([...notImported(ours, all), ...unused(product)])].toSorted(),
    Object.keys(FOR_OTHERS).toSorted(),
  );
  const small = new Map([
    ["a.ts", "export const A = 1;\nexport function b() {}\n/** b */\nexport type C = number;"],
    ["b.ts", 'import { A } from "./a.ts";\nexport const D = A;\nexport const E = D;'],
    ["c.ts", 'const x = await import("./d.ts"); type G = import("./e.ts").G;'],
    ["d.ts", "export const F = 1;"],
    ["e.ts", "export type G = H;\nexport type H = 1;"],
  ]);
  assert.deepEqual(notImported(small, small), ["a.ts b", "a.ts C", "b.ts D", "b.ts E", "e.ts H"]);
  assert.deepEqual(unused(small), ["a.ts b", "a.ts C", "b.ts E"]);
});

/** What the faces of rooms are made of, besides what they export themselves. */
const SHARED = ["bytes", "errors", "budget", "log", "secret", "codecs"].map((n) => `src/${n}.ts`);

Deno.test("each room's face, and the client library, say what everything in them is", async () => {
  const files = [...(await sources(["src", "runner"])).keys()];
  const faces = [...files.filter((path) => path.endsWith("/mod.ts")), "src/client/library.ts"];
  assert.ok(faces.length >= 9, faces.join(" "));
  // What is published is to be so by itself: its readers have nothing else.
  for (const files of [[...faces, ...SHARED], ["src/client/library.ts"]]) {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["doc", "--lint", ...files],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  }
});

Deno.test("each room's face shows by an example how it is used, there or in a file that it passes on", async () => {
  const files = await sources(["src", "runner"]);
  const faces = [...files.keys()].filter((path) => path.endsWith("/mod.ts"));
  const without = [...faces, "src/client/library.ts"].filter((face) => {
    const passedOn = [...files.get(face)!.matchAll(/^export [^;]*? from "(\.[^"]+)"/gm)]
      .map(([, from]) => join(face, "..", from!));
    return ![face, ...passedOn].some((path) => files.get(path)?.includes("@example"));
  });
  assert.deepEqual(without, []);
});

Deno.test("contributing: each question's file is there, and holds what to look for", async () => {
  const text = await Deno.readTextFile(join(ROOT, "CONTRIBUTING.md"));
  const rows = [...text.matchAll(/^\| ([^|]+\?) +\| `([^`]+)` +\| `([^`]+)` +\|$/gm)];
  assert.ok(rows.length >= 20, `only ${rows.length} questions`);
  for (const [, question, file, wanted] of rows) {
    const found = await Deno.readTextFile(join(ROOT, file!)).catch(() => "");
    assert.ok(found.includes(wanted!), `${question} ${file} does not hold ${wanted}`);
  }
});

Deno.test("architecture: its tree has every file and folder of src/", async () => {
  const text = await Deno.readTextFile(join(ROOT, "ARCHITECTURE.md"));
  const [, tree] = /^## Tree and dependency rule\n+```\n([^]*?)^```/m.exec(text)!;
  const named = new Set(tree!.match(/[\w/]+/g));
  const parts = [...Deno.readDirSync(join(ROOT, "src"))].map(({ name }) => name)
    .filter((name) => !name.endsWith("_test.ts")).map((name) => name.replace(/\.ts$/, ""));
  const missing = parts.filter((part) => !named.has(part) && !named.has(`src/${part}`));
  assert.deepEqual(missing, []);
});

Deno.test("architecture: each of the three walks is ten lines with one file each, which is there", async () => {
  const text = await Deno.readTextFile(join(ROOT, "ARCHITECTURE.md"));
  const [, part] = /^## Three walks\n([^]*?)^## /m.exec(text)!;
  const walks = part!.split(/^### /m).slice(1);
  assert.equal(walks.length, 3);
  for (const walk of walks) {
    const lines = [...walk.matchAll(/^(\d+)\. ([^]*?)(?=^\d+\. |\n\n)/gm)];
    assert.deepEqual(lines.map(([, n]) => Number(n)), Array.from({ length: 10 }, (_, i) => i + 1));
    for (const [, , line] of lines) {
      const files = line!.match(/`[\w/]+\.ts`/g) ?? [];
      assert.equal(files.length, 1, line);
      await Deno.stat(join(ROOT, files[0]!.slice(1, -1)));
    }
  }
});

/** Where a file is read whole, whatever its size: what nobody names. */
const OWN_FILES: { readonly [path: string]: string } = {
  "runner/engine/library_files.ts": "of llama.cpp's libraries; bounded where the system lets it",
  "src/app/local_proxy.ts": "in the data folder",
  "src/app/page_launch.ts": "in the data folder",
  "src/app/proxy_listener.ts": "/etc/group",
  "src/app/serve_announcement.ts": "in the data folder",
  "src/audit/note.ts": "in the folder for state",
  "src/audit/sink.ts": "in the data folder",
  "src/backup/make.ts": "a copy that this process made",
  "src/backup/restore.ts": "unpacked from a backup, each part of a bounded size",
  "src/backup/superseded.ts": "in the data folder",
  "src/bundle/carried.ts": "in the program",
  "src/cli/chat/sealed_history.ts": "in the data folder",
  "src/cli/models/allow_host.ts": "config.toml",
  "src/escape/attacks/files.ts": "attacks",
  "src/escape/run/attack_run.ts": "of the attacks",
  "src/firm/tokens.ts": "in the data folder",
  "src/fleet/pulled_file.ts": "in the data folder",
  "src/fleet/state.ts": "in the data folder",
  "src/history/vault.ts": "in the data folder",
  "src/keys/clients/client_list_file.ts": "in the data folder",
  "src/keys/clients/offers.ts": "in the data folder",
  "src/keys/clients/pairings.ts": "in the data folder",
  "src/keys/high_water.ts": "in the folder for state, and the machine's id",
  "src/keys/host_id.ts": "in the data folder",
  "src/keys/keyset/usage.ts": "in the data folder",
  "src/models/partial.ts": "in the models' folder",
  "src/proxy/identity.ts": "in the data folder",
  "src/read_up_to.ts": "bounded",
  "src/service/launchd.ts": "a unit of the system's",
  "src/service/systemd.ts": "a unit of the system's",
  "src/tls/authority.ts": "in the data folder",
};

Deno.test("a file that a user names is read up to a limit: it may be a device, or grow", async () => {
  const found: string[] = [];
  for (const [path, text] of await sources(["src", "runner"])) {
    if (/_test\.ts$|\/testing[a-z0-9_]*\.ts$|^src\/page\//.test(path)) continue;
    if (/\bDeno\.read(Text)?File(Sync)?\(/.test(text)) found.push(path);
  }
  assert.deepEqual(found.sort(), Object.keys(OWN_FILES).sort());
});
