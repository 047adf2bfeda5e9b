import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import {
  checkLayout,
  CONTEXT_PARAMS,
  type Layout,
  MODEL_PARAMS,
  THREADPOOL_PARAMS,
  writeField,
} from "./layout.ts";
import { openLibrary } from "./library.ts";
import { libraryFolder } from "./testing.ts";

const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof SecLlamaError && error.code === "model-failed" && pattern.test(error.message);

const library = openLibrary(libraryFolder(), { verify: true });

Deno.test("layout: the pinned library's defaults read back as the tables say", () => {
  checkLayout(MODEL_PARAMS, library.defaults.modelParams());
  checkLayout(CONTEXT_PARAMS, library.defaults.contextParams());
  checkLayout(THREADPOOL_PARAMS, library.defaults.threadpoolParams(1));
});

Deno.test("layout: a table with any field moved is noticed", () => {
  const bytes = library.defaults.contextParams();
  const moved = (name: string, offset: number): Layout => {
    const [, type, expected] = CONTEXT_PARAMS.fields[name as "n_ctx"];
    return {
      ...CONTEXT_PARAMS,
      fields: { ...CONTEXT_PARAMS.fields, [name]: [offset, type, expected] as never },
    };
  };
  assert.throws(() => checkLayout(moved("n_threads", 32 + 4), bytes), refusal(/n_threads at 36/));
  assert.throws(() => checkLayout(moved("kv_unified", 130), bytes), refusal(/kv_unified at 130/));
  // Two fields with one default can only be told apart by what is then left over.
  assert.throws(() => checkLayout(moved("n_threads", 32), bytes), refusal(/byte 28 is 4/));
});

Deno.test("layout: a field that the library inserted before others is noticed", () => {
  const bytes = library.defaults.contextParams();
  for (let at = 0; at < CONTEXT_PARAMS.size - 8; at += 4) {
    const shifted = new Uint8Array(CONTEXT_PARAMS.size + 4);
    shifted.set(bytes.subarray(0, at));
    shifted.set(bytes.subarray(at), at + 4);
    // Zeroes before zeroes at the end change nothing that can be seen, or misread.
    if (bytes.subarray(at).every((byte) => byte === 0)) break;
    assert.throws(() => checkLayout(CONTEXT_PARAMS, shifted), refusal(/llama_context_params/));
  }
});

Deno.test("layout: a struct longer than the table is noticed", () => {
  const longer = new Uint8Array(MODEL_PARAMS.size + 16);
  longer.set(library.defaults.modelParams());
  checkLayout(MODEL_PARAMS, longer);
  longer[MODEL_PARAMS.size + 3] = 1;
  assert.throws(() => checkLayout(MODEL_PARAMS, longer), refusal(/byte 83 is 1/));
});

Deno.test("layout: writeField keeps the neighbours", () => {
  const bytes = library.defaults.contextParams();
  writeField(bytes, CONTEXT_PARAMS.fields.kv_unified, 1);
  assert.throws(() => checkLayout(CONTEXT_PARAMS, bytes), refusal(/kv_unified at 133 is 1/));
  writeField(bytes, CONTEXT_PARAMS.fields.kv_unified, 0);
  checkLayout(CONTEXT_PARAMS, bytes);
});
