/**
 * Draws docs/pictures/*.txt to docs/pictures/*.svg.
 *
 *     deno run --allow-read=docs/pictures --allow-write=docs/pictures scripts/pictures.ts
 */
import { draw } from "./pictures/draw.ts";
import { parsePicture } from "./pictures/parse.ts";

const FOLDER = new URL("../docs/pictures/", import.meta.url);

for await (const { name } of Deno.readDir(FOLDER)) {
  if (!name.endsWith(".txt")) continue;
  const picture = parsePicture(await Deno.readTextFile(new URL(name, FOLDER)));
  await Deno.writeTextFile(new URL(name.replace(/\.txt$/, ".svg"), FOLDER), draw(picture));
}
