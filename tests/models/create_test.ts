/** Making models: what is shared, what is refused, and that a refusal leaves the store as it was. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { addModel } from "../support/ollama_folder.ts";
import { utf8 } from "../../src/bytes.ts";
import { readDefaults } from "../../src/models/defaults.ts";
import { listFolder } from "../../src/models/files.ts";
import { keyArray, keyStr, makeGguf, str, tensor, usualKeys } from "../../src/models/testing.ts";
import { VALUE } from "../../src/models/gguf_types.ts";
import type { SecLlamaError } from "../../src/errors.ts";
import type { ResolvedModel } from "../../src/models/folder.ts";
import { weightsOf } from "../../src/models/policy.ts";
import { layersOf } from "../../src/models/manifest.ts";
import { ModelStore } from "../../src/models/store.ts";

const ADAPTER = { files: [], adapters: [] };

const adapterFile = (architecture = "llama") =>
  makeGguf({
    keys: [
      keyStr("general.architecture", architecture),
      keyStr("general.type", "adapter"),
      keyStr("adapter.type", "lora"),
    ],
  });
/** @param width Numbers that it gives; the model's have 8. */
const projectorFile = (width = 8) =>
  makeGguf({
    keys: [keyStr("general.architecture", "clip"), keyStr("general.type", "mmproj")],
    tensors: [tensor("mm.0.bias", [width, 2], 0, 0)],
  });

async function withStore(
  body: (
    o: { dir: string; store: ModelStore; file: (b: Uint8Array) => Promise<string> },
  ) => Promise<
    void
  >,
  options: Parameters<typeof ModelStore.open>[1] = {},
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "secllama-create-" });
  let count = 0;
  try {
    await body({
      dir,
      store: await ModelStore.open(join(dir, "models"), options),
      async file(bytes) {
        const path = join(dir, `${count++}.gguf`);
        await Deno.writeFile(path, bytes);
        return path;
      },
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("create: texts become layers; a model made from it inherits, replaces and adds", () =>
  withStore(async ({ store, file, dir }) => {
    const one = await store.create("one", {
      files: [{ path: await file(makeGguf()) }],
      adapters: [{ path: await file(adapterFile()) }],
      template: "{{ .Prompt }}",
      system: "Be kind.",
      parameters: { temperature: 0.5, stop: ["a"] },
      messages: [{ role: "user", content: "Hi" }],
      licenses: ["MIT"],
    });
    assert.equal(layersOf(one.manifest, "adapter").length, 1);
    const base = await store.resolve("one");
    const two = await store.create("two", {
      base,
      ...ADAPTER,
      system: "Be brief.",
      parameters: { temperature: 1, seed: 7 },
      licenses: ["MIT", "more"],
    });
    assert.equal(two.digest, one.digest);
    const { adapters, ...defaults } = await readDefaults(store, two);
    assert.deepEqual(adapters, layersOf(one.manifest, "adapter").map((layer) => layer.digest));
    assert.deepEqual(defaults, {
      template: "{{ .Prompt }}",
      system: "Be brief.",
      options: { temperature: 1, seed: 7, stop: ["a"] },
      messages: [{ role: "user", content: "Hi" }],
    });
    assert.deepEqual(await store.layerTexts(two, "license"), ["MIT", "more"]);
    const three = await store.create("three", {
      base: two,
      ...ADAPTER,
      system: "",
      template: "",
      messages: [],
    });
    assert.deepEqual(Object.keys(await readDefaults(store, three)), ["options", "adapters"]);

    // Shared files stay as long as one name needs them.
    assert.ok((await store.remove("one")).freedBytes < 1000); // its texts and configuration
    for (const name of ["two", "three"]) await store.verify((await store.resolve(name)).digest);
    await store.remove("two");
    await store.remove("three");
    assert.deepEqual(await listFolder(join(dir, "models/blobs")), []);
  }));

Deno.test("create: a draft model is a layer of its own, kept, replaced, and one that guesses for this model", () =>
  withStore(async ({ store, file }) => {
    const model = { path: await file(makeGguf()) };
    const small = { path: await file(makeGguf({ fill: 1 })) };
    const smaller = { path: await file(makeGguf({ fill: 2 })) };
    const drafts = (made: ResolvedModel) => layersOf(made.manifest, "draft");
    const one = await store.create("one", { files: [model], adapters: [], draft: small });
    assert.equal(drafts(one).length, 1);
    assert.ok(drafts(one)[0]!.digest !== one.digest);
    assert.ok(weightsOf(one.manifest).includes(drafts(one)[0]!.digest.slice("sha256:".length)));
    const base = await store.resolve("one");
    const two = await store.create("two", { base, ...ADAPTER, system: "x" });
    assert.deepEqual(drafts(two), drafts(one));
    const three = await store.create("three", { base, ...ADAPTER, draft: smaller });
    assert.equal(drafts(three).length, 1);
    assert.ok(drafts(three)[0]!.digest !== drafts(one)[0]!.digest);
    const words = Array.from({ length: 400 }, (_, n) => str(`${n}`));
    const tokens = keyArray("tokenizer.ggml.tokens", VALUE.string, words.length, ...words);
    const other = usualKeys({ "tokenizer.ggml.tokens": tokens });
    for (
      const [bytes, message] of [
        [makeGguf({ keys: other }), /: the draft model has another vocabulary: 400 tokens, not 2/],
        [adapterFile(), /: this file is an adapter, not a model/],
        [projectorFile(), /: this file is a projector/],
        [utf8("GGUF"), /./],
      ] as const
    ) {
      const draft = { path: await file(bytes) };
      await assert.rejects(store.create("four", { base, ...ADAPTER, draft }), (error: Error) => {
        assert.equal((error as SecLlamaError).code, "bad-model");
        assert.match(error.message, message);
        return true;
      });
    }
    await assert.rejects(store.resolve("four"), { code: "model-not-found" });
  }));

Deno.test("create: from the demo, and from an Ollama folder, which stays as it was", async () => {
  const ollamaDir = await Deno.makeTempDir({ prefix: "secllama-ollama-" });
  const demo = new URL("../../models/demo.gguf", import.meta.url).pathname;
  try {
    await addModel(ollamaDir, "theirs:latest", [
      ["model", makeGguf()],
      ["system", "Theirs."],
      ["params", { temperature: 0.2 }],
    ]);
    const before = (await listFolder(join(ollamaDir, "blobs"))).length;
    await withStore(async ({ store, dir }) => {
      const own = await store.create("own", {
        base: await store.resolve("theirs"),
        ...ADAPTER,
        parameters: { top_k: 3 },
      });
      assert.equal(own.source, "own");
      const { system, options } = await readDefaults(store, own);
      assert.deepEqual([system, options], ["Theirs.", { temperature: 0.2, top_k: 3 }]);
      await Deno.stat(join(dir, "models/blobs", own.digest.replace(":", "-")));
      assert.equal((await listFolder(join(ollamaDir, "blobs"))).length, before);

      const mine = await store.create("mine", {
        base: await store.resolve("demo"),
        ...ADAPTER,
        system: "Mine.",
      });
      assert.equal(mine.digest, (await store.resolve("demo")).digest);
      assert.equal((await readDefaults(store, mine)).system, "Mine.");
    }, { ollamaDir, embeddedDemo: demo });
  } finally {
    await Deno.remove(ollamaDir, { recursive: true });
  }
});

Deno.test("create: a projector beside its model", () =>
  withStore(async ({ store, file }) => {
    const model = await store.create("seeing", {
      files: [{ path: await file(projectorFile()) }, { path: await file(makeGguf()) }],
      adapters: [],
    });
    assert.equal(layersOf(model.manifest, "projector").length, 1);
    assert.notEqual(layersOf(model.manifest, "projector")[0]!.digest, model.digest);
  }));

Deno.test("create: what cannot be a part is refused, and nothing is left (CVE-2024-39721)", () =>
  withStore(async ({ store, file, dir }) => {
    const model = { path: await file(makeGguf()) };
    const other = { path: await file(makeGguf({ fill: 1 })) };
    const lora = { path: await file(adapterFile()) };
    const foreign = { path: await file(adapterFile("gpt2")) };
    const projector = { path: await file(projectorFile()) };
    const text = { path: await file(utf8("not a model")) };
    const wide = { path: await file(projectorFile(16)) };
    await new Deno.Command("/usr/bin/mkfifo", { args: [join(dir, "fifo")] }).output();
    const rows: [string, Parameters<ModelStore["create"]>[1], RegExp | undefined][] = [
      ["a device", { ...ADAPTER, files: [{ path: "/dev/random" }] }, /not a regular file/],
      ["a pipe", { ...ADAPTER, files: [{ path: join(dir, "fifo") }] }, /not a regular file/],
      ["a folder", { ...ADAPTER, files: [{ path: dir }] }, /not a regular file/],
      ["text", { ...ADAPTER, files: [text] }, undefined],
      ["two models", { ...ADAPTER, files: [model, other] }, /two models/],
      ["a projector alone", { ...ADAPTER, files: [projector] }, /projector/],
      ["an adapter as model", { ...ADAPTER, files: [lora] }, /adapter, not a model/],
      ["a model as adapter", { files: [model], adapters: [other] }, /no LoRA adapter/],
      ["a projector as adapter", { files: [model], adapters: [projector] }, /a projector, no adap/],
      [
        "a projector of another width",
        { ...ADAPTER, files: [model, wide] },
        /made for another model/,
      ],
      [
        "a projector that is text",
        { ...ADAPTER, files: [model, text] },
        new RegExp(`^${text.path}: not a usable`),
      ],
      ["another's adapter", { files: [model], adapters: [foreign] }, /is for gpt2, the model is/],
      ["nothing", ADAPTER, /no model was given/],
    ];
    for (const [what, recipe, message] of rows) {
      await assert.rejects(store.create("x", recipe), {
        code: "bad-model",
        ...(message ? { message } : {}),
      }, what);
    }
    await assert.rejects(
      store.create("x", { files: [{ digest: `sha256:${"a".repeat(64)}` }], adapters: [] }),
      { code: "bad-request", message: /^no blob sha256:a{64} is here$/ },
    );
    await assert.rejects(
      store.create("x", { files: [model], adapters: [], system: "x".repeat(5 * 1024 * 1024) }),
      { code: "bad-request", message: /over 4 MiB/ },
    );
    assert.deepEqual(await store.list(), []);
    assert.deepEqual(await listFolder(join(dir, "models/tmp")), []);
    assert.deepEqual(await listFolder(join(dir, "models/blobs")), []);
  }));
