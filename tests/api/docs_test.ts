/** docs/api.md says what the tables of src/api say. */
import assert from "node:assert/strict";
import { render } from "../../src/api/errors.ts";
import { INFERENCE_BYTES, routes, SEALED_BYTES } from "../../src/api/routes.ts";
import { documented } from "../clients/llama_server/documented.ts";
import { corpus } from "../templates/corpus.ts";
import { SHAPES } from "../templates/shapes.ts";
import { SUITE_FILES } from "../clients/llama_server/known.ts";
import { FAULTS } from "./error_table.ts";
import { ERROR_TABLE, type ErrorCode, SecLlamaError } from "../../src/errors.ts";

const DOC = new URL("../../docs/api.md", import.meta.url);

/** The cells of the table below the heading row that begins with `first`. */
async function table(first: string): Promise<string[][]> {
  const lines = (await Deno.readTextFile(DOC)).split("\n");
  const cells = (line: string) => line.split("|").slice(1, -1).map((cell) => cell.trim());
  const start = lines.findIndex((line) => line.startsWith("|") && cells(line).join() === first);
  assert.ok(start >= 0, `docs/api.md has no table ${first}`);
  const rest = lines.slice(start + 2);
  return rest.slice(0, rest.findIndex((line) => !line.startsWith("|"))).map(cells);
}

function size(bytes: number): string {
  if (bytes === 0) return "none";
  if (bytes === Infinity) return "the setting";
  const mib = bytes / 1024 / 1024;
  return mib >= 1 ? `${mib} MiB` : `${bytes / 1024} KiB`;
}

Deno.test("docs/api.md: every path with its methods and its one limit", async () => {
  const wanted = routes().map((row) => [
    `\`${row.path}\``,
    row.methods.join(", "),
    size(row.maxBytes),
  ]);
  assert.deepEqual(await table("path,methods,most bytes of a body"), wanted);
});

Deno.test("docs/api.md: what the dialects call an error", async () => {
  const rows = await table("what happened,status,ours,OpenAI's `code`,Anthropic's `type`");
  assert.ok(rows.length > 10);
  const said = new Set(rows.map(([, , ours]) => ours));
  const unsaid = Object.values(FAULTS).filter(([code]) => !said.has(`\`${code}\``));
  assert.deepEqual(unsaid, [], "each fault that is tried at each path has its row");
  for (const [, status, ours, openai, anthropic] of rows) {
    const code = ours!.replaceAll("`", "") as ErrorCode;
    assert.ok(code in ERROR_TABLE, code);
    const error = new SecLlamaError(code, "x");
    const read = (path: string) => JSON.parse(render(error, path).body).error;
    assert.deepEqual([status, openai, anthropic], [
      String(error.status),
      `\`${read("/v1/chat/completions").code}\``,
      `\`${read("/v1/messages").type}\``,
    ], code);
  }
});

Deno.test("docs/api.md: every file of llama.cpp's tests has its row, and what is left its reason", async () => {
  for (const file of SUITE_FILES) {
    const row = await documented(file);
    assert.ok(row !== undefined, file);
    const left = [...row.left.matchAll(/\b\d+\b(?= (?:expect|look|want|its|a ref|fetch))/g)]
      .reduce((sum, [count]) => sum + Number(count), 0);
    const isOne = /^it wants/.test(row.left);
    assert.equal(row.cases - row.passed, isOne ? 1 : left, `${file}: ${row.left}`);
  }
});

/** Of npm packages: as the tests' configuration and the agents' lock have them. */
async function versions(): Promise<Map<string, string>> {
  const read = async (path: string) =>
    JSON.parse(await Deno.readTextFile(new URL(`../${path}`, import.meta.url)));
  const found = new Map<string, string>();
  for (const text of Object.values((await read("deps.json")).imports as Record<string, string>)) {
    const [, name, version] = /^npm:\/?((?:@[^/]+\/)?[^@/]+)@([^/]+)/.exec(text)!;
    found.set(name!, version!);
  }
  return found;
}

Deno.test("docs/api.md: clients and suites have the versions and the cases that the tests have", async () => {
  const rows = await table("client or suite,version,cases,passed,run by; what is left, and why");
  assert.ok(rows.length > 6);
  const known = await versions();
  for (const [client, version, cases, passed, by] of rows) {
    const names = [...client!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
    if (names.length > 0) assert.equal(version, names.map((name) => known.get(name)).join(", "));
    const [, path] = /^`([^`]+)`/.exec(by!)!;
    if (path!.startsWith("tests/templates/")) {
      const pairs = corpus().length * Object.keys(SHAPES).length;
      const heading = `${corpus().length} families × ${Object.keys(SHAPES).length} shapes`;
      assert.ok(client!.endsWith(heading), heading);
      assert.deepEqual([cases, passed], [`${pairs}`, `${pairs}`], client);
    } else if (version !== "April 2026") {
      const text = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
      const count = [...text.matchAll(/\b(?:Deno\.test|t\.step|bothWays)\(/g)].length;
      assert.deepEqual([cases, passed], [`${count}`, `${count}`], path);
    }
  }
});

Deno.test("docs/agents.md: agents and libraries have the versions that the tests have", async () => {
  const lock = JSON.parse(
    await Deno.readTextFile(new URL("../clients/agents/package.json", import.meta.url)),
  ).dependencies as Record<string, string>;
  const known = await versions();
  const page = await Deno.readTextFile(new URL("../../docs/agents.md", import.meta.url));
  const rows = page.split("\n").filter((line) => /^\| .* \| [\d.]+ +\| \d+ +\| \d+ +\|/.test(line));
  assert.equal(rows.length, 14);
  const all = new Set([...Object.values(lock), ...known.values()]);
  for (const row of rows) {
    for (const [version] of row.matchAll(/\b\d+\.\d+\.\d+\b/g)) assert.ok(all.has(version), row);
  }
});

Deno.test("docs/wire.md: how large a sealed body is, and what is in it", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/wire.md", import.meta.url));
  const wanted =
    `sealed body is at most ${size(SEALED_BYTES)}, and the request's own body inside it ` +
    size(INFERENCE_BYTES);
  assert.ok(text.replace(/\s+/g, " ").includes(wanted), wanted);
});
