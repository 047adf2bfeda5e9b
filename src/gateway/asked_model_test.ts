import assert from "node:assert/strict";
import { SecLlamaError } from "../errors.ts";
import { askedModel } from "./asked_model.ts";

Deno.test("asked model: a name that is none is of no model, and what a name is is said", () => {
  assert.equal(askedModel("demo"), "demo");
  for (
    const name of ["", " ", "demo ", "./demo", "Llama 3 (8B)", "a\nb", "http://x/demo", "日本"]
  ) {
    assert.throws(() => askedModel(name), (error) => {
      assert.ok(error instanceof SecLlamaError);
      assert.deepEqual([error.code, error.field], ["model-not-found", "model"]);
      assert.match(
        error.hint!,
        name.startsWith("./") ? /^a file is taken in first/ : /^a name is /,
      );
      return true;
    });
  }
});
