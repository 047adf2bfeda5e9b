import assert from "node:assert/strict";
import { join, normalize } from "node:path";
import { parseModelName, tryParseModelName } from "../api/model_name.ts";
import { digestHex, manifestPath, nameOfManifestPath } from "./names.ts";

Deno.test("names: the short form gets Ollama's defaults", () => {
  assert.deepEqual(parseModelName("demo"), {
    host: "registry.ollama.ai",
    namespace: "library",
    model: "demo",
    tag: "latest",
    shown: "demo:latest",
    canonical: "demo:latest",
  });
  for (
    const [text, canonical] of [
      ["llama3.2:1b", "llama3.2:1b"],
      ["library/demo", "demo:latest"],
      ["registry.ollama.ai/library/demo:latest", "demo:latest"],
      ["me/mine", "me/mine:latest"],
      ["hf.co/some-org/Model-1B-GGUF:Q4_K_M", "hf.co/some-org/Model-1B-GGUF:Q4_K_M"],
      ["localhost:5000/library/demo", "localhost:5000/library/demo:latest"],
      ["_x:_y", "_x:_y"],
    ] as const
  ) {
    assert.equal(parseModelName(text).shown, canonical);
    assert.equal(parseModelName(canonical).shown, canonical);
    assert.equal(parseModelName(text).canonical, canonical.toLowerCase());
  }
});

Deno.test("names: nothing that leaves the folder or breaks a line is a name (CVE-2024-37032, -45436)", () => {
  const bad = [
    "",
    " ",
    ".",
    "..",
    "../demo",
    "../../etc/passwd",
    "/demo",
    "demo/",
    "a//b",
    "a/b/c/d",
    "demo:",
    ":tag",
    "demo:..",
    "demo:../x",
    "..:latest",
    "a/../b",
    "../a/b",
    ".hidden",
    "-x",
    "demo:-x",
    "de mo",
    "demo\n",
    "demo\0",
    "demo\\..\\x",
    "démo",
    "d\u202eemo",
    "na.me/demo",
    "demo@sha256:" + "a".repeat(64),
    "http://host/ns/demo",
    "%2e%2e/demo",
    "a".repeat(81),
    "a".repeat(1_000_000),
  ];
  for (const text of bad) {
    assert.throws(() => parseModelName(text), { code: "bad-model-name" }, JSON.stringify(text));
    assert.equal(tryParseModelName(text), undefined);
  }
  assert.equal(tryParseModelName(undefined as unknown as string), undefined);
});

Deno.test("names: every accepted name lies below the manifests folder, and comes back from its path", () => {
  const characters = ["a", "Z", "0", "_", "-", ".", ":", "/", "..", "\\", "%"];
  let accepted = 0;
  for (let n = 0; n < 20_000; n++) {
    let text = "";
    for (let i = n; i > 0; i = Math.floor(i / characters.length)) {
      text += characters[i % characters.length];
    }
    const name = tryParseModelName(text);
    if (!name) continue;
    accepted++;
    const path = join("/store/manifests", ...manifestPath(name, "linux"));
    assert.equal(normalize(path), path);
    assert.ok(path.startsWith("/store/manifests/"));
    assert.equal(path.split("/").length, 7, path);
    assert.deepEqual(nameOfManifestPath(manifestPath(name, "linux"), "linux"), name);
    assert.deepEqual(nameOfManifestPath(manifestPath(name, "windows"), "windows"), name);
    assert.ok(!manifestPath(name, "windows").join("").includes(":"));
  }
  assert.ok(accepted > 500, String(accepted));
});

Deno.test("names: a digest is sha256 and 64 lower-case digits, nothing else (CVE-2024-37032)", () => {
  const hex = "0123456789abcdef".repeat(4);
  assert.equal(digestHex(`sha256:${hex}`), hex);
  assert.equal(digestHex(`sha256-${hex}`), hex);
  const bad: unknown[] = [
    hex,
    `sha256:${hex.toUpperCase()}`,
    `sha256:${hex}0`,
    `sha256:${hex}\n`,
    `sha256:${hex.slice(1)}`,
    `sha256:../../../../etc/passwd`,
    `sha256:${"../".repeat(21)}a`,
    `sha512:${hex}`,
    `sha256/${hex}`,
    ` sha256:${hex}`,
    "",
    null,
    undefined,
    [`sha256:${hex}`],
    { toString: () => `sha256:${hex}` },
  ];
  for (const digest of bad) {
    assert.throws(() => digestHex(digest), { code: "model-corrupt" }, JSON.stringify(digest));
  }
});
