/**
 * Paths, media types and limits of bodies are written in src/api and nowhere else: what two processes agree on is shared,
 * not copied.
 */
import assert from "node:assert/strict";
import { join, relative } from "node:path";

const ROOT = new URL("../../", import.meta.url).pathname;
const TEST_SUPPORT = /(^|\/)(testing(_[a-z0-9_]+)?|fake_[a-z0-9_]+|[a-z0-9_]+_test)\.ts$/;

const KINDS: readonly (readonly [kind: string, pattern: RegExp])[] = [
  // In a string, a template or a regular expression.
  [
    "path",
    /["'`]\/?(?:api\/|v1\/|sealed\/v)|["'`]\/(?:v1|healthz)["'`]|["'`]\/secllama\/|\\\/(?:api|v1|sealed)\b/,
  ],
  // Not those of registries: they are part of the files that a store holds.
  [
    "media type",
    /["'`/^](?:application\\?\/(?!vnd\.(?:docker|oci|ollama)\.)|text\\?\/|multipart\\?\/)[\w*+.-]*/,
  ],
  ["limit of a body", /\bMAX_\w*BODY\w*\s*=\s*\d|\b\w*[bB]odyBytes\s*:\s*\d/],
  [
    "text of Ollama's",
    /model is required|missing request body|server busy, please|invalid digest|exceeds the context|must be between 0 and 20/,
  ],
];

/** The lines of code, comments left out. */
function code(text: string): string[] {
  return text.split("\n").map((line) =>
    /^\s*(?:\/\/|\/\*|\*)/.test(line) ? "" : line.replace(/\s\/\/ .*$/, "")
  );
}

function found(text: string): string[] {
  return code(text).flatMap((line) =>
    KINDS.filter(([, pattern]) => pattern.test(line)).map(([kind]) => `${kind}: ${line.trim()}`)
  );
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* sources(path);
    else if (/\.tsx?$/.test(path) && !TEST_SUPPORT.test(path)) yield path;
  }
}

Deno.test("no path, media type, body limit or text of the contract is written outside src/api", async () => {
  const bad: string[] = [];
  let files = 0;
  for (const top of ["src", "runner"]) {
    for await (const path of sources(join(ROOT, top))) {
      const name = relative(ROOT, path);
      if (name.startsWith("src/api/")) continue;
      files++;
      bad.push(...found(await Deno.readTextFile(path)).map((line) => `${name}: ${line}`));
    }
  }
  assert.ok(files > 200, `${files} files were read`);
  assert.deepEqual(bad, []);
});

Deno.test("the search for literals finds what it must", async () => {
  const wrong = [
    'app.get("/api/tags", x)',
    "const p = `/v1/models/${name}`;",
    "if (/^\\/sealed\\/v1/.test(path)) {",
    'metadata("api/show", {})',
    'headers: { "content-type": "application/json" },',
    "const F = /^text\\/plain/i;",
    "const MAX_BODY_BYTES = 64 * 1024;",
    "  bodyBytes: 64 * 1024 * 1024,",
    'throw new Error("model is required");',
  ];
  for (const line of wrong) assert.equal(found(line).length, 1, line);
  assert.deepEqual(found(" * `POST /api/chat` takes application/json."), []);
  assert.ok(found(await Deno.readTextFile(join(ROOT, "src/api/routes.ts"))).length > 20);
});
