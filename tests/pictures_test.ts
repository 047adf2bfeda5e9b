/** Pictures are made by a script from their text: one that was changed by hand, or not drawn again, is seen. */
import assert from "node:assert/strict";
import { draw } from "../scripts/pictures/draw.ts";
import { parsePicture } from "../scripts/pictures/parse.ts";

const FOLDER = new URL("../docs/pictures/", import.meta.url);

Deno.test("pictures: each is what its text draws (to draw them: scripts/pictures.ts)", async () => {
  const names = [...Deno.readDirSync(FOLDER)].map((entry) => entry.name);
  const texts = names.filter((name) => name.endsWith(".txt"));
  assert.ok(texts.length >= 4);
  for (const name of texts) {
    const picture = parsePicture(await Deno.readTextFile(new URL(name, FOLDER)));
    const svg = await Deno.readTextFile(new URL(name.replace(/txt$/, "svg"), FOLDER));
    assert.equal(svg, draw(picture), name);
  }
});

Deno.test("pictures: a wrong line is named", () => {
  assert.throws(() => parsePicture("map"), /line 1: flow or sequence/);
  assert.throws(() => parsePicture("flow\nnode a red x"), /line 2: one of plain, cipher, none/);
  assert.throws(
    () => parsePicture("flow\nnode a plain x\nedge a b plain y"),
    /line 3: there is no b/,
  );
  assert.throws(() => parsePicture("flow\n# comment\nblob a"), /line 3: blob is not known/);
});
