import assert from "node:assert/strict";
import { loadConfig } from "./config.ts";
import { readOllamaEnvironment } from "./ollama_env.ts";

Deno.test("config: Ollama's variables are defaults where they mean the same", () => {
  const env = {
    OLLAMA_HOST: "http://localhost:8080",
    OLLAMA_KEEP_ALIVE: "1h30m",
    OLLAMA_NUM_PARALLEL: "2",
    OLLAMA_MAX_LOADED_MODELS: "7",
    OLLAMA_MAX_QUEUE: "9",
    OLLAMA_CONTEXT_LENGTH: "8192",
    OLLAMA_MODELS: "/models",
    OLLAMA_KV_CACHE_TYPE: "q8_0",
  };
  const config = loadConfig({ env });
  assert.deepEqual(
    [
      config.proxyPort,
      config.keepAliveMs,
      config.parallel,
      config.maxLoadedModels,
      config.maxQueue,
    ],
    [8080, 5_400_000, 2, 7, 9],
  );
  assert.deepEqual([config.contextLength, config.ollamaModels], [8192, "/models"]);
  assert.equal(config.kvCache, "q8_0");
  assert.deepEqual(readOllamaEnvironment(env).warnings, []);
  // Whatever is ours goes before it.
  assert.equal(loadConfig({ env: { ...env, SECLLAMA_PROXY_PORT: "1" } }).proxyPort, 1);
  assert.equal(
    loadConfig({ env, file: { text: "proxy_port = 2", name: "config.toml" } }).proxyPort,
    2,
  );
  assert.equal(loadConfig({ env, flags: { "proxy-port": "3" } }).proxyPort, 3);
});

Deno.test("config: each variable of Ollama's without effect is named, and none is an error", () => {
  const env = {
    OLLAMA_HOST: "0.0.0.0",
    OLLAMA_ORIGINS: "*",
    OLLAMA_KEEP_ALIVE: "soon",
    OLLAMA_NUM_PARALLEL: "many",
    OLLAMA_KV_CACHE_TYPE: "q4_0",
    OLLAMA_FLASH_ATTENTION: "1",
    OLLAMA_SOMETHING_NEW: "x",
    OLLAMA_DEBUG: "",
  };
  const { values, warnings } = readOllamaEnvironment(env);
  assert.deepEqual(values, { proxyPort: 11434 });
  assert.deepEqual(warnings.map((line) => line.split(" ")[0]).sort(), [
    "OLLAMA_FLASH_ATTENTION",
    "OLLAMA_HOST",
    "OLLAMA_KEEP_ALIVE",
    "OLLAMA_KV_CACHE_TYPE",
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_ORIGINS",
    "OLLAMA_SOMETHING_NEW",
  ]);
  // Whatever stands in such a variable may be a secret set by mistake.
  for (const line of warnings) assert.doesNotMatch(line, /many|soon/);
  assert.equal(loadConfig({ env }).host, "127.0.0.1", "nothing listens beyond loopback for it");
});

Deno.test("config: of all addresses the port is taken, as Ollama's clients do; of another machine nothing", () => {
  for (const host of ["0.0.0.0", "http://0.0.0.0", "[::]"]) {
    const { values, warnings } = readOllamaEnvironment({ OLLAMA_HOST: `${host}:8080` });
    assert.deepEqual(values, { proxyPort: 8080 });
    assert.match(warnings.join(), /^OLLAMA_HOST counts for its port only: the proxy listens on/);
  }
  for (const text of ["192.0.2.7", "http://gpu.lan:11434", "0.0.0.1", "[2001:db8::1]:11434"]) {
    const { values, warnings } = readOllamaEnvironment({ OLLAMA_HOST: text });
    assert.deepEqual(values, {});
    assert.match(warnings.join(), /^OLLAMA_HOST has no effect: the proxy listens on loopback only/);
  }
});

Deno.test("config: quotes around a variable of Ollama's are none of it", () => {
  const { values, warnings } = readOllamaEnvironment({
    OLLAMA_HOST: '"127.0.0.1:8080"',
    OLLAMA_KEEP_ALIVE: " '10m' ",
  });
  assert.deepEqual([values, warnings], [{ proxyPort: 8080, keepAliveMs: 600_000 }, []]);
});

Deno.test("config: a variable of Ollama's that is empty within its quotes is not set", () => {
  for (const text of ['""', "''", ` "'  '" `]) {
    const env = { OLLAMA_HOST: text, OLLAMA_KEEP_ALIVE: text, OLLAMA_NUM_PARALLEL: text };
    assert.deepEqual(readOllamaEnvironment(env), { values: {}, warnings: [] }, text);
  }
});

Deno.test("config: every spelling of all addresses is all addresses, and of loopback loopback", () => {
  for (const host of ["::", "[::]", "[0:0::0]", "0:0:0:0:0:0:0:0", "::0.0.0.0", "::ffff:0.0.0.0"]) {
    const { values, warnings } = readOllamaEnvironment({ OLLAMA_HOST: host });
    assert.deepEqual(values, { proxyPort: 11434 }, host);
    assert.match(warnings.join(), /^OLLAMA_HOST counts for its port only/, host);
  }
  for (
    const host of ["::1", "[::1]", "[0::1]:11434", "127.1.2.3", "LOCALHOST", "::ffff:127.0.0.1"]
  ) {
    const read = readOllamaEnvironment({ OLLAMA_HOST: host });
    assert.deepEqual(read, { values: { proxyPort: 11434 }, warnings: [] }, host);
  }
});

Deno.test("config: a port of OLLAMA_HOST that is none is said, and Ollama's own taken", () => {
  for (
    const [text, port] of [[":", 11434], ["127.0.0.1:99999", 11434], ["http://localhost:-1", 80]]
  ) {
    const { values, warnings } = readOllamaEnvironment({ OLLAMA_HOST: text as string });
    assert.deepEqual(values, { proxyPort: port }, String(text));
    assert.match(warnings.join(), new RegExp(`^OLLAMA_HOST names no port .*: ${port} is taken`));
  }
  for (const text of ["[:]", "a b", "a:b:c", "::g", "[::1", "sk-key/with:a secret", "[[::1]]x"]) {
    const { warnings } = readOllamaEnvironment({ OLLAMA_HOST: text });
    assert.doesNotMatch(warnings.join(), /secret|a b/);
  }
});
