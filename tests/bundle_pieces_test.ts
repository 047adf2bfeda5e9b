/** The bundled program loads Node's module loader for no command: see scripts/bundle_pieces.ts. */
import assert from "node:assert/strict";
import { withoutModuleLoader } from "../scripts/bundle_pieces.ts";

const LOADER = `import { createRequire as __deno_internal_createRequire } from "node:module";
var __require = __deno_internal_createRequire(import.meta.url);
`;

Deno.test("a piece's require gives what the runtime has, and nothing else", async () => {
  const piece = `${LOADER}export const found = __require("node:path").join("a", "b");\n`;
  const light = withoutModuleLoader(piece);
  assert.doesNotMatch(light, /node:module/);
  const { found } = await import(`data:text/javascript,${encodeURIComponent(light)}`);
  assert.equal(found, "a/b");
  assert.equal(withoutModuleLoader("export {};\n"), "export {};\n");
});

Deno.test("a package that wants more of the loader ends the build", () => {
  for (
    const more of [
      '__require("left-pad");',
      "__require(name);",
      '__require("./data.json");',
      'import { Module } from "node:module";',
    ]
  ) {
    assert.throws(() => withoutModuleLoader(`${LOADER}${more}\n`), /wants Node's module loader/);
  }
  assert.throws(() => withoutModuleLoader(LOADER.replace("\nvar", "\n// another form\nvar")));
});
