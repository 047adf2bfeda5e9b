import assert from "node:assert/strict";
import { libraryFolder, modelTest } from "./testing.ts";

const root = new URL("../../", import.meta.url).pathname;

const SCRIPT = `
import { collect, request } from "${root}runner/engine/testing.ts";
import { loadEngine } from "${root}runner/engine/mod.ts";
const [libDir, modelPath] = Deno.args;
const engine = await loadEngine({ libDir, modelPath, contextLength: 128, slots: 2, threads: 1 });
const { done } = await collect(engine, request("What", { maxTokens: 4 }));
const embedding = await engine.embed(Int32Array.of(5), {
  client: "a",
  signal: new AbortController().signal,
});
console.log(done.evalTokens, embedding.length === engine.info.embeddingLength);
await collect(engine, request("What", { maxTokens: 4, prompt: new Int32Array(500) })).catch((e) => console.log(e.code));
await loadEngine({ libDir, modelPath: libDir + "/none", contextLength: 1, slots: 1, threads: 1 })
  .catch((e) => console.log(e.code));
engine.close();
`;

modelTest(
  "engine: FFI and reading are all it asks for, and it prints nothing",
  async (modelPath) => {
    const dir = await Deno.makeTempDir();
    try {
      const script = `${dir}/script.ts`;
      await Deno.writeTextFile(script, SCRIPT);
      const output = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-check",
          "--no-prompt",
          "--cached-only",
          `--config=${root}deno.json`,
          "--deny-net",
          "--deny-run",
          "--deny-write",
          "--deny-env",
          "--deny-sys",
          "--deny-import",
          "--allow-ffi",
          `--allow-read=${libraryFolder()},${modelPath}`,
          script,
          libraryFolder(),
          modelPath,
        ],
        env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assert.equal(text(output.stderr), "");
      assert.equal(text(output.stdout), "4 true\ncontext-too-long\nmodel-failed\n");
      assert.equal(output.code, 0);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);
