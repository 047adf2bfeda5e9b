import assert from "node:assert/strict";
import { describeSettings, fileKey, loadConfig } from "./config.ts";
import { parseDurationMs } from "./duration.ts";
import { FIELDS } from "./fields.ts";

Deno.test("config: every protection is on by default", () => {
  const c = loadConfig({ env: {} });
  assert.deepEqual([c.enableEncryption, c.enableSandbox, c.strictNetworkIsolation], [
    true,
    true,
    true,
  ]);
  assert.equal(c.host, "127.0.0.1");
  assert.ok(Object.isFrozen(c));
});

for (
  const name of [
    "SECLLAMA_ENABLE_ENCRYPTION",
    "SECLLAMA_ENABLE_SANDBOX",
    "SECLLAMA_STRICT_NETWORK_ISOLATION",
  ]
) {
  Deno.test(`config: ${name} is true, false, or an error`, () => {
    const field = FIELDS.find((f) => f.env === name)!.name;
    assert.equal(loadConfig({ env: { [name]: "true" } })[field], true);
    assert.equal(loadConfig({ env: { [name]: "false" } })[field], false);
    for (const value of ["", "0", "no", "False", "FALSE", "flase", " false", "off", "null"]) {
      assert.throws(() => loadConfig({ env: { [name]: value } }), {
        code: "bad-config",
        field: name,
      });
    }
  });
}

Deno.test("config: an unknown variable, key or value is an error that does not repeat the value", () => {
  assert.throws(() => loadConfig({ env: { SECLLAMA_ENABLE_ENCRYPTON: "false" } }), {
    code: "bad-config",
    message: "unknown environment variable SECLLAMA_ENABLE_ENCRYPTON",
  });
  assert.throws(() => loadConfig({ env: {}, file: { text: "prot = 1", name: "config.toml" } }), {
    code: "bad-config",
  });
  assert.throws(() => loadConfig({ env: {}, file: { text: "= 1", name: "config.toml" } }), {
    code: "bad-config",
  });
  assert.throws(
    () => loadConfig({ env: { SECLLAMA_PORT: "s3cret" } }),
    (e: Error) => !e.message.includes("s3cret"),
  );
  for (const port of ["-1", "65536", "1e3", "0x10", "", "1.5", "99999999999"]) {
    assert.throws(() => loadConfig({ env: {}, flags: { port } }), { code: "bad-config" });
  }
});

Deno.test("config: a flag beats the environment, which beats the file", () => {
  const file = { text: "port = 1\nnum_parallel = 2\nenable_sandbox = true", name: "config.toml" };
  const env = { SECLLAMA_PORT: "3", SECLLAMA_MAX_QUEUE: "9" };
  const c = loadConfig({ file, env, flags: { port: "4" } });
  assert.deepEqual([c.port, c.parallel, c.maxQueue], [4, 2, 9]);
});

Deno.test("config: durations", () => {
  assert.equal(parseDurationMs("1h30m", "x"), 5_400_000);
  assert.equal(parseDurationMs("250ms", "x"), 250);
  for (const text of ["", "5", "m", "5 m", "-5m", "5mm", "1000d", "5m\n"]) {
    assert.throws(() => parseDurationMs(text, "x"), { code: "bad-config" });
  }
  assert.throws(() => parseDurationMs("9999d", "x"), { message: "x is longer than a year" });
  assert.throws(() => parseDurationMs("0.9s", "x", 1_000), { message: "x is shorter than 1s" });
  const session = (text: string) => loadConfig({ env: { SECLLAMA_OIDC_SESSION: text } });
  assert.equal(session("10s").oidcSessionMs, 10_000);
  assert.throws(() => session("0s"), { message: /OIDC_SESSION is shorter than 10s/ });
  assert.equal(loadConfig({ env: { SECLLAMA_KEEP_ALIVE: "forever" } }).keepAliveMs, Infinity);
});

Deno.test("config: whom people sign in at has a name there, and no password in its address", () => {
  for (
    const [name, text] of [
      ["CLIENT_ID", ""],
      ["CLIENT_ID", " "],
      ["GROUPS_CLAIM", ""],
      ["ISSUER", "https://:secret@login.firm.example"],
    ] as const
  ) {
    const env = { [`SECLLAMA_OIDC_${name}`]: text };
    assert.throws(() => loadConfig({ env }), { code: "bad-config" }, `${name} ${text}`);
  }
});

Deno.test("config: sizes, in powers of 1024, and the least time of a runner", () => {
  const size = (text: string) => loadConfig({ env: { SECLLAMA_MAX_MEMORY: text } }).maxMemoryBytes;
  assert.equal(size("8G"), 8 * 2 ** 30);
  assert.equal(size("512MiB"), 512 * 2 ** 20);
  assert.equal(size("1048576"), 2 ** 20);
  assert.equal(size("0"), 0);
  for (const text of ["", "G", "-1", "8 G", "1e9", "8X", "999999999999T"]) {
    assert.throws(() => size(text), { code: "bad-config" }, text);
  }
  const timeout = (text: string) => loadConfig({ env: { SECLLAMA_RUNNER_TIMEOUT: text } });
  assert.equal(timeout("2m").runnerTimeoutMs, 120_000);
  assert.throws(() => timeout("5ms"), { code: "bad-config" });
});

Deno.test("config: names are unique, and each setting is described", () => {
  const keys = FIELDS.map(fileKey);
  assert.equal(new Set(keys).size, keys.length);
  const lines = describeSettings();
  assert.equal(lines.length, FIELDS.length);
  // A default is shown as a person would write it.
  for (const [index, { default: value, parse, env }] of FIELDS.entries()) {
    const shown = /, default (.*)\)$/.exec(lines[index]!)![1]!;
    assert.doesNotMatch(shown, /null|undefined|NaN|object/, lines[index]);
    if (value === null || String(value) === "") continue;
    assert.deepEqual(parse(shown, env), value, lines[index]);
  }
});
