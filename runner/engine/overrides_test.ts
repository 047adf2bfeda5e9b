import assert from "node:assert/strict";
import { overrideTable } from "./overrides.ts";
import { collect, GREEDY, request, withEngine } from "./testing.ts";
import { makeRandomGguf } from "./testing_gguf.ts";

Deno.test("overrides: a table ends with an empty key, and no numbers are no table", () => {
  assert.equal(overrideTable([]), undefined);
  const table = overrideTable([{ key: "a.b", kind: "int", value: 7 }])!;
  assert.equal(table.length, 528);
  assert.deepEqual([...table.subarray(0, 8)], [0, 0, 0, 0, 97, 46, 98, 0]);
  assert.equal(new DataView(table.buffer).getBigInt64(136, true), 7n);
  assert.ok(table.subarray(264).every((byte) => byte === 0));
});

Deno.test("overrides: a file whose numbers have other types loads with them, and not without", async () => {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    const plain = `${dir}/plain.gguf`;
    makeRandomGguf("tiny", "q8_0", plain);
    const bytes = await Deno.readFile(plain);
    // The type of a number stands between its key and its value: u32 becomes i32.
    for (const key of ["llama.context_length", "general.file_type"]) {
      const at = new TextDecoder("latin1").decode(bytes).indexOf(key) + key.length;
      const view = new DataView(bytes.buffer);
      assert.equal(view.getUint32(at, true), 4);
      view.setUint32(at, 5, true);
    }
    const modelPath = `${dir}/retyped.gguf`;
    await Deno.writeFile(modelPath, bytes);
    await assert.rejects(withEngine({ modelPath }, () => Promise.resolve()), {
      code: "model-failed",
      message: /wrong type i32/,
    });
    const retyped = [
      { key: "llama.context_length", kind: "int", value: 4096 },
      { key: "general.file_type", kind: "int", value: 7 },
    ] as const;
    const say = async (path: string, numbers: typeof retyped | []) => {
      let context: readonly number[] = [];
      await withEngine({ modelPath: path, retyped: numbers }, async (engine) => {
        assert.equal(engine.info.contextLength, 4096);
        const asked = request("Once", { sampling: GREEDY, maxTokens: 4 });
        context = (await collect(engine, asked)).done.context;
      });
      return context;
    };
    assert.deepEqual(await say(modelPath, retyped), await say(plain, []));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
