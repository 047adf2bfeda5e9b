/** The store's table of parameters and the runner's table of options: what the one stores the other must take. */
import assert from "node:assert/strict";
import { Fields } from "../../runner/api/fields.ts";
import { DEFAULT_OPTIONS, parseOptions } from "../../runner/api/options.ts";
import { checkParameter, PARAMETERS } from "../../src/models/parameters.ts";

Deno.test("parameters: the runner takes every value that a Modelfile may set; what is out of range is not stored", () => {
  for (const [name, row] of Object.entries(PARAMETERS)) {
    const good = row.type === "boolean"
      ? [true, false]
      : row.type === "texts"
      ? [["a", "b"], Array(64).fill("x".repeat(4096))]
      : [row.min!, row.max!];
    for (const value of good) {
      checkParameter(name, value, "here");
      parseOptions(Fields.of({ [name]: value }, "options"), DEFAULT_OPTIONS);
    }
    const bad = row.type === "boolean"
      ? ["true", 1]
      : row.type === "texts"
      ? [[1], Array(65).fill("x"), ["x".repeat(4097)]]
      : [row.min === Number.MIN_VALUE ? 0 : row.min! - 1, row.max! * 2, "1"];
    for (const value of bad) {
      const what = `${name} ${JSON.stringify(value).slice(0, 20)}`;
      assert.throws(() => checkParameter(name, value, "here"), { code: "bad-modelfile" }, what);
    }
  }
});
