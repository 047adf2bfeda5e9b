/** Each file that a page names is there: pages outlive the files that they speak of. */
import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";

const ROOT = new URL("../", import.meta.url).pathname;
/** What a page may name though it is made by a command or by its reader. */
const MADE = /^(?:build|dist)\/|^models\/(?:partial|blobs)/;

async function pages(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory && !/^(\.|node_modules|build|dist)/.test(entry.name)) {
      found.push(...await pages(path));
    } else if (entry.name.endsWith(".md")) found.push(path);
  }
  return found;
}

const there = (path: string) => Deno.stat(path).then(() => true, () => false);

Deno.test("docs: each file that a page names or links to is there", async () => {
  const missing: string[] = [];
  let count = 0;
  for (const page of await pages(ROOT)) {
    const text = await Deno.readTextFile(page);
    const name = relative(ROOT, page);
    for (
      const [, path] of text.matchAll(
        /`((?:src|runner|tests|scripts|bench|docs|examples|packaging|models|sandbox-profiles)\/[\w./-]*\w\/?)`/g,
      )
    ) {
      count++;
      if (!MADE.test(path!) && !await there(join(ROOT, path!))) missing.push(`${name}: ${path}`);
    }
    for (const [, target] of text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
      count++;
      if (!await there(join(dirname(page), target!))) missing.push(`${name}: ${target}`);
    }
  }
  assert.ok(count > 100, `only ${count} names were seen`);
  assert.deepEqual(missing, []);
});

Deno.test("docs: each decision has a number of its own, and its line in the index, in order", async () => {
  const folder = join(ROOT, "docs/decisions");
  const files: string[] = [];
  for await (const { name } of Deno.readDir(folder)) if (name !== "README.md") files.push(name);
  files.sort();
  const numbers = files.map((name) => name.slice(0, 4));
  assert.deepEqual(numbers.filter((number, i) => numbers.indexOf(number) !== i), [], "twice");
  const index = await Deno.readTextFile(join(folder, "README.md"));
  assert.deepEqual([...index.matchAll(/^- \[.+\]\((.+)\)$/gm)].map(([, name]) => name), files);
  for (const name of files) assert.match(name, /^\d{4}-[a-z0-9-]+\.md$/);
});
