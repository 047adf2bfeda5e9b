import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { keyStr, makeGguf, tensor, usualKeys } from "./testing.ts";
import { layerType, MANIFEST_TYPE } from "./manifest.ts";
import { ModelStore } from "./store.ts";

const DEMO = new URL("../../models/demo.gguf", import.meta.url).pathname;
const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

async function inTemp(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "secllama-models-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function tree(dir: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (path: string) => {
    for await (const entry of Deno.readDir(path)) {
      const full = join(path, entry.name);
      if (entry.isDirectory) await walk(full);
      else found.push(full.slice(dir.length + 1));
    }
  };
  await walk(dir).catch(() => {});
  return found.sort();
}

async function write(path: string, content: Uint8Array | string): Promise<string> {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeFile(
    path,
    typeof content === "string" ? new TextEncoder().encode(content) : content,
  );
  return path;
}

Deno.test("store: opening and listing an empty one writes nothing", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`);
    assert.deepEqual(await store.list(), []);
    await assert.rejects(store.resolve("demo"), {
      code: "model-not-found",
      message: "model 'demo' not found",
    });
    assert.deepEqual(await tree(dir), []);
  }));

Deno.test("store: import, list, resolve, verify, remove", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`);
    const bytes = makeGguf();
    const file = await write(`${dir}/tiny.gguf`, bytes);
    const seen: number[] = [];
    const model = await store.importGguf(file, "tiny", { onProgress: (n) => seen.push(n) });
    assert.equal(model.name, "tiny:latest");
    assert.equal(model.digest, `sha256:${sha(bytes)}`);
    assert.equal(model.blobPath, `${dir}/models/blobs/sha256-${sha(bytes)}`);
    assert.equal(model.sizeBytes, bytes.length);
    assert.equal(seen.at(-1), bytes.length);
    assert.deepEqual(await Deno.readFile(model.blobPath), bytes);
    // Readable by the sandbox's user once it is handed the file; the folder keeps everyone else out.
    assert.equal((await Deno.stat(model.blobPath)).mode! & 0o777, 0o644);
    assert.equal((await Deno.stat(`${dir}/models`)).mode! & 0o777, 0o700);

    const manifest = `${dir}/models/manifests/registry.ollama.ai/library/tiny/latest`;
    assert.equal(model.manifestDigest, sha(await Deno.readFile(manifest)));
    assert.equal(JSON.parse(await Deno.readTextFile(manifest)).mediaType, MANIFEST_TYPE);

    const [row, ...others] = await store.list();
    assert.equal(others.length, 0);
    assert.equal(row?.name, "tiny:latest");
    assert.equal(row?.details?.architecture, "llama");
    assert.equal(row?.sizeBytes, bytes.length);
    assert.deepEqual(await store.resolve("TINY"), model);
    assert.deepEqual(await store.verify(model.digest), {
      path: model.blobPath,
      sizeBytes: bytes.length,
    });

    assert.ok((await store.remove("tiny")).freedBytes > bytes.length);
    assert.deepEqual(await tree(`${dir}/models`), ["lock"]);
    await assert.rejects(store.remove("tiny"), { code: "model-not-found" });
  }));

Deno.test("store: a blob lives as long as a name needs it", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`);
    const one = await write(`${dir}/1.gguf`, makeGguf({ fill: 1 }));
    const two = await write(`${dir}/2.gguf`, makeGguf({ fill: 2 }));
    const first = await store.importGguf(one, "a");
    await store.importGguf(one, "b:v1");
    await store.copy("b:v1", "me/c");
    assert.equal((await store.list()).length, 3);
    assert.equal((await store.remove("a")).freedBytes, 0);
    // Replacing b frees nothing either: c still has it.
    await store.importGguf(two, "b:v1");
    await store.verify(first.digest);
    assert.ok((await store.remove("me/c")).freedBytes > 0);
    await assert.rejects(store.verify(first.digest), { code: "model-corrupt" });
    // Replacing the last name of a blob frees it at once.
    const second = (await store.resolve("b:v1")).digest;
    await store.importGguf(one, "b:v1");
    await assert.rejects(store.verify(second), { code: "model-corrupt" });
    assert.deepEqual((await store.list()).map((row) => row.name), ["b:v1"]);
  }));

Deno.test("store: what is no model is refused and leaves no trace", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`);
    const good = await write(`${dir}/good.gguf`, makeGguf());
    const cases: [path: string, name: string, code: string][] = [
      [await write(`${dir}/4.gguf`, "GGUF"), "x", "bad-model"],
      [await write(`${dir}/empty.gguf`, ""), "x", "bad-model"],
      [await write(`${dir}/film.mp4`, new Uint8Array(100_000)), "x", "bad-model"],
      [await write(`${dir}/cut.gguf`, makeGguf().subarray(0, -1)), "x", "bad-model"],
      [dir, "x", "bad-model"],
      ["/dev/zero", "x", "bad-model"],
      [`${dir}/none.gguf`, "x", "model-store-unreadable"],
      [good, "../x", "bad-model-name"],
      [good, "", "bad-model-name"],
    ];
    for (const [path, name, code] of cases) {
      await assert.rejects(store.importGguf(path, name), { code }, `${path} ${name}`);
    }
    assert.deepEqual(await tree(`${dir}/models`), []);
  }));

Deno.test("store: a file that changes while it is copied is checked as it was copied", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`);
    const elements = 3 * 1024 * 1024 / 4;
    const bytes = makeGguf({
      tensors: [tensor("t", [8, elements / 8], 0, 0)],
      dataBytes: 4 * elements,
    });
    const file = await write(`${dir}/moving.gguf`, bytes);
    await assert.rejects(
      store.importGguf(file, "x", { onProgress: () => Deno.truncateSync(file, 2 * 1024 * 1024) }),
      { code: "bad-model", message: /tensors end at byte/ },
    );
    assert.deepEqual(await tree(`${dir}/models`), []);
  }));

Deno.test("store: cancelling an import leaves nothing behind", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`);
    const file = await write(`${dir}/big.gguf`, makeGguf({ dataBytes: 8 * 1024 * 1024 }));
    const controller = new AbortController();
    await assert.rejects(
      store.importGguf(file, "x", {
        signal: controller.signal,
        onProgress: () => controller.abort(),
      }),
      { code: "cancelled" },
    );
    assert.deepEqual(await tree(`${dir}/models`), []);
  }));

Deno.test("store: a changed blob fails verify, and importing again heals it", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`);
    const file = await write(`${dir}/t.gguf`, makeGguf());
    const model = await store.importGguf(file, "t");
    const bytes = await Deno.readFile(model.blobPath);
    bytes[bytes.length - 1]! ^= 1;
    await Deno.writeFile(model.blobPath, bytes);
    await assert.rejects(store.verify(model.digest), {
      code: "model-corrupt",
      message: /other content/,
    });
    // Of another size it does not even resolve.
    await Deno.truncate(model.blobPath, 100);
    await assert.rejects(store.resolve("t"), { code: "model-corrupt", message: /100 bytes/ });
    assert.equal((await store.list())[0]?.problem?.code, "model-corrupt");
    await store.importGguf(file, "t");
    await store.verify(model.digest);
    // Gone, or replaced by a link to a file that the store does not own.
    await Deno.remove(model.blobPath);
    await assert.rejects(store.resolve("t"), { code: "model-corrupt", message: /missing/ });
    await Deno.symlink(file, model.blobPath);
    await assert.rejects(store.resolve("t"), {
      code: "model-corrupt",
      message: /not a regular file/,
    });
  }));

Deno.test("store: hostile manifests are refused, and never reach outside (CVE-2024-37032)", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`);
    const good = await store.importGguf(await write(`${dir}/t.gguf`, makeGguf()), "good");
    await write(`${dir}/secret`, "secret");
    const path = `${dir}/models/manifests/registry.ollama.ai/library/evil/latest`;
    const layer = (digest: unknown, size: unknown = 6) => ({
      mediaType: layerType("model"),
      digest,
      size,
    });
    const manifest = (...layers: unknown[]) =>
      JSON.stringify({ schemaVersion: 2, config: good.manifest.config, layers });
    const ok = good.manifest.layers[0]!;
    for (
      const text of [
        "",
        "{",
        "null",
        "[]",
        '{"schemaVersion":2}',
        JSON.stringify({ schemaVersion: 2, manifests: [ok] }),
        manifest(),
        manifest(layer("sha256:../../../secret")),
        manifest(layer("../../secret")),
        manifest(layer("sha256-../../secret")),
        manifest(layer(["sha256:" + "a".repeat(64)])),
        manifest(layer(ok.digest, -1)),
        manifest(layer(ok.digest, "177")),
        manifest(layer(ok.digest, 2 ** 60)),
        manifest(...Array(300).fill(ok)),
        JSON.stringify({ schemaVersion: 2, config: { digest: "x" }, layers: [ok] }),
        `${manifest(ok)}${" ".repeat(2 * 1024 * 1024)}`,
      ]
    ) {
      await write(path, text);
      await assert.rejects(store.resolve("evil"), { code: "model-corrupt" }, text.slice(0, 80));
      const rows = await store.list();
      assert.equal(rows.find((row) => row.name === "evil:latest")?.problem?.code, "model-corrupt");
      assert.ok(rows.find((row) => row.name === "good:latest")?.details);
    }
    // What an unreadable manifest needs is unknown, so removing another model frees nothing; removing it does.
    assert.equal((await store.remove("good")).freedBytes, 0);
    assert.ok((await store.remove("evil")).freedBytes > 0);
    assert.equal(await Deno.readTextFile(`${dir}/secret`), "secret");
  }));

Deno.test("store: strange files among the manifests are passed over", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`);
    await store.importGguf(await write(`${dir}/t.gguf`, makeGguf()), "good");
    const manifests = `${dir}/models/manifests`;
    await write(`${manifests}/.DS_Store`, "x");
    await write(`${manifests}/registry.ollama.ai/library/good/.latest.swp`, "x");
    await write(`${manifests}/a/b/c/d/e/f`, "x");
    await Deno.symlink("/etc", `${manifests}/registry.ollama.ai/etc`);
    await Deno.symlink("/etc/passwd", `${manifests}/registry.ollama.ai/library/good/link`);
    assert.deepEqual((await store.list()).map((row) => row.name), ["good:latest"]);
  }));

Deno.test("store: the embedded demo stands in for demo, and nothing else", () =>
  inTemp(async (dir) => {
    const store = await ModelStore.open(`${dir}/models`, { embeddedDemo: DEMO });
    const demo = await store.resolve("demo");
    assert.equal(demo.source, "embedded");
    assert.equal(demo.blobPath, DEMO);
    assert.equal(demo.digest, `sha256:${sha(await Deno.readFile(DEMO))}`);
    assert.deepEqual((await store.list()).map((row) => row.name), ["demo:latest"]);
    await store.verify(demo.digest);
    await assert.rejects(store.resolve("demo:other"), { code: "model-not-found" });
    await assert.rejects(store.remove("demo"), {
      code: "bad-request",
      message: /comes with SecLlama/,
    });
    const copy = await store.copy("demo", "mine");
    assert.equal(copy.source, "own");
    const texts = await store.layerTexts(demo, "params");
    assert.deepEqual(await store.layerTexts(copy, "params"), texts, "as cool as the demo");
    const recipe = { base: demo, files: [], adapters: [] };
    const made = await store.create("made", { ...recipe, system: "Be brief." });
    assert.deepEqual(await store.layerTexts(made, "params"), texts);
    const warm = await store.create("warm", { ...recipe, parameters: { temperature: 1 } });
    assert.deepEqual(await store.layerTexts(warm, "params"), [JSON.stringify({ temperature: 1 })]);
    // A demo of the user's own comes first, and removing it brings the embedded one back.
    await store.importGguf(await write(`${dir}/t.gguf`, makeGguf()), "demo");
    assert.equal((await store.resolve("demo")).source, "own");
    await store.remove("demo");
    assert.equal((await store.resolve("demo")).source, "embedded");
    assert.deepEqual(await store.layerTexts(demo, "system"), []);
  }));

Deno.test("store: an Ollama folder is served in place and never written", () =>
  inTemp(async (dir) => {
    const ollama = `${dir}/ollama`;
    const gguf = makeGguf({ keys: usualKeys({ "general.name": keyStr("general.name", "x") }) });
    const blob = async (content: Uint8Array | string, mediaType: string) => {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await write(`${ollama}/blobs/sha256-${sha(bytes)}`, bytes);
      return { mediaType, digest: `sha256:${sha(bytes)}`, size: bytes.length };
    };
    await write(
      `${ollama}/manifests/registry.ollama.ai/library/llama3.2/1b`,
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST_TYPE,
        config: await blob(
          '{"model_format":"gguf"}',
          "application/vnd.docker.container.image.v1+json",
        ),
        layers: [
          await blob(gguf, layerType("model")),
          await blob("You are kind.", layerType("system")),
          await blob('{"stop":["<|x|>"]}', layerType("params")),
        ],
      }),
    );
    for (const path of await tree(ollama)) await Deno.chmod(`${ollama}/${path}`, 0o400);
    const before = await tree(ollama);

    const store = await ModelStore.open(`${dir}/models`, { ollamaDir: ollama });
    const model = await store.resolve("llama3.2:1b");
    assert.equal(model.source, "ollama");
    assert.equal(model.blobPath, `${ollama}/blobs/sha256-${sha(gguf)}`);
    assert.equal((await store.list())[0]?.details?.architecture, "llama");
    assert.deepEqual(await store.layerTexts(model, "system"), ["You are kind."]);
    assert.deepEqual(await store.layerTexts(model, "template"), []);
    await store.verify(model.digest);
    await assert.rejects(store.remove("llama3.2:1b"), {
      code: "bad-request",
      message: /only reads/,
    });

    const copy = await store.copy("llama3.2:1b", "mine");
    assert.equal(copy.source, "own");
    assert.deepEqual(await store.layerTexts(copy, "params"), ['{"stop":["<|x|>"]}']);
    assert.deepEqual(await tree(ollama), before);
    await assert.rejects(ModelStore.open(`${dir}/m`, { ollamaDir: `${dir}/none` }), {
      code: "model-store-unreadable",
    });
  }));

Deno.test("store: a copied blob of an Ollama folder must be what its digest says", () =>
  inTemp(async (dir) => {
    const ollama = `${dir}/ollama`;
    const source = await ModelStore.open(ollama);
    const model = await source.importGguf(await write(`${dir}/t.gguf`, makeGguf()), "t");
    const bytes = await Deno.readFile(model.blobPath);
    bytes[bytes.length - 1]! ^= 1;
    await Deno.writeFile(model.blobPath, bytes);
    const store = await ModelStore.open(`${dir}/models`, { ollamaDir: ollama });
    await assert.rejects(store.copy("t", "mine"), { code: "model-corrupt" });
    assert.deepEqual(await tree(`${dir}/models`), []);
  }));

Deno.test("store: a folder that cannot be read says so", () =>
  inTemp(async (dir) => {
    await write(`${dir}/models`, "a file, not a folder");
    await assert.rejects(ModelStore.open(`${dir}/models`), { code: "model-store-unreadable" });
    await assert.rejects(
      (await ModelStore.open(`${dir}/other`)).importGguf(
        await write(`${dir}/t.gguf`, makeGguf()),
        "t",
      ).then(async () => {
        await Deno.remove(`${dir}/other/manifests`, { recursive: true });
        await write(`${dir}/other/manifests`, "a file");
        await ModelStore.open(`${dir}/other`);
      }),
      { code: "model-store-unreadable" },
    );
  }));
