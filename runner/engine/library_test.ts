import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import { librarySetFor, verifyLibraries } from "./library.ts";
import { loadEngine } from "./mod.ts";
import { DEMO_MODEL, libraryFolder } from "./testing.ts";

const set = librarySetFor(`${Deno.build.os}-${Deno.build.arch}`);

const ONLY_THERE = "there is more than one set for Linux on x86-64 only";

const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof SecLlamaError && error.code === "model-failed" && pattern.test(error.message);

/** A copy of the package's folder with only what loading needs. */
async function withCopy(use: (dir: string) => void | Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const name of [set.base, set.ggml, set.llama]) {
      await Deno.copyFile(`${libraryFolder()}/${name}`, `${dir}/${name}`);
    }
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("library: the installed package has the pinned digests", () => {
  verifyLibraries(libraryFolder(), set);
});

Deno.test("library: one changed byte is refused, by name", () =>
  withCopy(async (dir) => {
    verifyLibraries(dir, set);
    const path = `${dir}/${set.ggml}`;
    const bytes = await Deno.readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await Deno.writeFile(path, bytes);
    assert.throws(() => verifyLibraries(dir, set), refusal(/libggml\.v.* has SHA-256/));
  }));

Deno.test("library: a backend that the package did not bring is refused", () =>
  withCopy(async (dir) => {
    await Deno.writeTextFile(`${dir}/libggml-vulkan.so`, "");
    assert.throws(() => verifyLibraries(dir, set), refusal(/libggml-vulkan\.so is not one of/));
  }));

Deno.test("library: a missing library is refused", () =>
  withCopy(async (dir) => {
    await Deno.remove(`${dir}/${set.llama}`);
    assert.throws(() => verifyLibraries(dir, set), refusal(/libllama.* cannot be read/));
  }));

Deno.test("library: a platform without pinned libraries is refused", () => {
  assert.throws(() => librarySetFor("plan9-mips"), refusal(/plan9-mips/));
});

Deno.test("library: the set is the one that the folder holds; a GPU build is another one", () =>
  withCopy(async (dir) => {
    const platform = `${Deno.build.os}-${Deno.build.arch}`;
    assert.equal(librarySetFor(platform, dir), set);
    if (platform !== "linux-x86_64") return console.log(`skipped: ${ONLY_THERE}`);
    await Deno.rename(`${dir}/${set.llama}`, `${dir}/libllama.vulkan.v0.4.0.so`);
    const vulkan = librarySetFor(platform, dir);
    assert.equal(vulkan.gpu, "vulkan");
    assert.throws(() => verifyLibraries(dir, vulkan), refusal(/libggml\.v0.* is not one of/));
  }));

Deno.test("library: another release that was checked is a set of its own; one that was not is refused by name", () =>
  withCopy(async (dir) => {
    const platform = `${Deno.build.os}-${Deno.build.arch}`;
    if (platform !== "linux-x86_64") return console.log(`skipped: ${ONLY_THERE}`);
    await Deno.rename(`${dir}/${set.llama}`, `${dir}/libllama.v0.5.0.so`);
    const other = librarySetFor(platform, dir);
    assert.equal(other.package, "@node-llama-cpp/linux-x64@3.22.1");
    // Its name alone lets nothing in.
    assert.throws(() => verifyLibraries(dir, other), refusal(/libggml.* (is not one of|has SHA)/));
    for (
      const name of ["libllama.b10361.so", "libllama.so", "libllama.so.0.0.6", "libllama.v0.5.1.so"]
    ) {
      await Deno.rename(
        [...Deno.readDirSync(dir)].map((one) => `${dir}/${one.name}`)
          .find((path) => path.includes("libllama"))!,
        `${dir}/${name}`,
      );
      assert.throws(
        () => librarySetFor(platform, dir),
        (error: SecLlamaError) =>
          error.message.startsWith(`${name} is no llama.cpp whose layout was checked, must be`) &&
          error.message.includes("libllama.v0.5.0.so"),
      );
    }
  }));

Deno.test("library: layers for a GPU that is not there are refused, not computed elsewhere", async () => {
  const options = {
    libDir: libraryFolder(),
    modelPath: DEMO_MODEL,
    contextLength: 256,
    slots: 1,
    threads: 1,
  };
  await assert.rejects(loadEngine({ ...options, gpuLayers: 9999 }), refusal(/found no GPU/));
  (await loadEngine(options)).close();
});
