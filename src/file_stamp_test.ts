import assert from "node:assert/strict";
import { join } from "node:path";
import { ageless, fileStamp, fileStampSync, stampOf } from "./file_stamp.ts";
import { utf8 } from "./bytes.ts";

/** Writes texts of one length in a row, by both ways that files are written; after each, what a cache by its stamp has. */
async function stale(stamp: (path: string) => Promise<string>): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-stamp-" });
  const path = join(folder, "file");
  let seen: { stamp: string; text: string } | undefined;
  let wrong = 0;
  for (let i = 0; i < 400; i++) {
    const text = String(i).padStart(4, "0");
    if (i % 3 === 0) Deno.writeFileSync(path, utf8(text));
    else {
      // As who replaces it: a new file, which may have the number of the one before the last.
      Deno.writeFileSync(`${path}.new`, utf8(text));
      Deno.renameSync(`${path}.new`, path);
    }
    const now = await stamp(path);
    if (seen?.stamp !== now) seen = { stamp: now, text: await Deno.readTextFile(path) };
    if (seen.text !== text) wrong++;
  }
  await Deno.remove(folder, { recursive: true });
  return wrong;
}

Deno.test("stamp: what a file's stamp stands for is what the file holds, however fast it is written again", async () => {
  assert.equal(await stale(fileStamp), 0);
  assert.equal(await stale((path) => Promise.resolve(fileStampSync(path))), 0);
  // Without looking at its age; a file system whose times are finer than a write has nothing to show.
  const without = await stale((path) => fileStamp(path, () => 0));
  console.log(`by its times alone ${without} of 400 were wrong`);
});

Deno.test("stamp: a file that is old enough has one stamp, and another for each thing that changes", () => {
  const info = { dev: 1, ino: 2, size: 3, mtime: new Date(1000), ctime: new Date(2000) };
  const now = () => 2100;
  const stamp = stampOf(info, now);
  assert.equal(stampOf(info, now), stamp);
  for (
    const change of [
      { dev: 9 },
      { ino: 9 },
      { size: 9 },
      { mtime: new Date(1001) },
      { ctime: new Date(1999) },
    ]
  ) assert.notEqual(stampOf({ ...info, ...change }, now), stamp);
  const young = stampOf(info, () => 2099);
  assert.equal(ageless(young), stamp);
  assert.notEqual(young, stamp);
  assert.notEqual(stampOf(info, () => 2099), young);
  // A clock that was set back: a time to come is no reason to read a file for ever.
  assert.equal(stampOf(info, () => 0), stamp);
});
