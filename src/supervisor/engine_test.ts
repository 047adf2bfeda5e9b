/** The settings of an engine: what cannot be is refused with what to do, and the engine is told what it needs. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../errors.ts";
import { checkEngine, companionFor, engineWarnings, usesEngine } from "./engine.ts";
import { notOn } from "../../tests/support/systems.ts";

const linuxOnly = notOn("linux");
const CONFIG = {
  engine: "llama-server",
  enginePath: Deno.execPath(),
  engineFiles: [],
  engineModels: [],
  enableSandbox: true,
} as const;

Deno.test({
  name: "settings of an engine that cannot be are errors with a hint",
  ignore: linuxOnly,
  fn() {
    checkEngine(CONFIG);
    checkEngine({ ...CONFIG, engine: "none", enginePath: "" });
    const wrong = [
      [{ enginePath: "" }, /without SECLLAMA_ENGINE_PATH/],
      [{ engine: "none" }, /SECLLAMA_ENGINE is not/],
      [{ enginePath: "/etc" }, /ENGINE_PATH: \/etc is a folder$/],
      [{ enginePath: "/no/such" }, /\/no\/such cannot be read/],
      [{ enginePath: new URL(import.meta.url).pathname }, /is no program of this machine/],
      [{ engineFiles: ["/etc", "/no/such"] }, /ENGINE_FILES: there is no \/no\/such$/],
      [{ engineFiles: ["/proc/version/x"] }, /ENGINE_FILES: there is no \/proc\/version\/x$/],
      [{ enableSandbox: false }, /in the sandbox of Linux only/],
    ] as const;
    for (const [more, says] of wrong) {
      assert.throws(() => checkEngine({ ...CONFIG, ...more }), (error) => {
        assert.ok(error instanceof SecLlamaError);
        assert.equal(error.code, "bad-config");
        assert.match(error.message, says);
        assert.ok(error.hint);
        return true;
      });
    }
  },
});

Deno.test({
  name: "a script whose program is not there is an error that names it",
  ignore: linuxOnly,
  async fn() {
    const script = await Deno.makeTempFile({ prefix: "secllama-test-" });
    try {
      await Deno.writeTextFile(script, "#!/opt/gone/bin/python3 -S\nprint()\n");
      assert.throws(() => checkEngine({ ...CONFIG, enginePath: script }), (error) => {
        assert.ok(error instanceof SecLlamaError);
        assert.equal(error.code, "bad-config");
        assert.match(
          error.message,
          /is a script for \/opt\/gone\/bin\/python3, which is not there/,
        );
        return true;
      });
    } finally {
      await Deno.remove(script);
    }
  },
});

Deno.test("of an engine's models each is told that is not there", () => {
  const there = ["demo:latest", "big:70b"];
  const warned = (more: object) => engineWarnings({ ...CONFIG, ...more }, there);
  assert.deepEqual(warned({}), []);
  assert.deepEqual(warned({ engineModels: ["demo", "big:70b"] }), []);
  assert.deepEqual(warned({ engine: "none", engineModels: ["nosuch"] }), []);
  const lines = warned({ engineModels: ["demo", "nosuch", "big"] });
  assert.equal(lines.length, 2);
  assert.match(lines[0]!, /there is no model nosuch:/);
  assert.match(lines[1]!, /there is no model big:/);
});

Deno.test("an engine computes all models, or those that are named", () => {
  assert.equal(usesEngine({ ...CONFIG, engine: "none" }, "demo:latest"), false);
  assert.equal(usesEngine(CONFIG, "demo:latest"), true);
  const named = { ...CONFIG, engineModels: ["demo", "big:70b"] };
  assert.equal(usesEngine(named, "demo:latest"), true);
  assert.equal(usesEngine(named, "big:70b"), true);
  assert.equal(usesEngine(named, "big:latest"), false);
});

Deno.test({
  name:
    "a llama-server keeps no client's prompt for another, and its program's libraries are found",
  ignore: linuxOnly,
  fn() {
    const companion = companionFor(CONFIG, {
      modelPath: "/models/a.gguf",
      adapterPaths: ["/models/b.gguf"],
      projectorPath: "/models/c.gguf",
      contextLength: 2048,
      slots: 4,
      threads: 2,
      cacheType: "q8_0",
      retyped: [{ key: "a.b", kind: "int", value: 3 }],
      embeds: false,
    });
    const args = companion.args.map((arg) => typeof arg === "string" ? arg : JSON.stringify(arg));
    for (
      const wanted of [
        ["-c", "8192"],
        ["-np", "4"],
        ["--cache-ram", "0"],
        ["--slot-prompt-similarity", "0"],
        ["-ctk", "q8_0"],
        ["--lora", '{"path":"/models/b.gguf"}'],
        ["--mmproj", '{"path":"/models/c.gguf"}'],
        ["--override-kv", "a.b=int:3"],
      ]
    ) {
      const at = args.indexOf(wanted[0]!);
      assert.deepEqual(args.slice(at, at + 2), wanted);
    }
    assert.ok(!args.includes("--embeddings"));
    assert.deepEqual(companion.shared, ["/models/a.gguf", "/models/b.gguf", "/models/c.gguf"]);
    // Deno's own: libc at least, and what that needs.
    assert.ok(companion.readOnly.some((path) => path.endsWith("/libc.so.6")));
  },
});
