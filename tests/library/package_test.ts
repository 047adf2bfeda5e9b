/** The package as npm takes it: the same bytes each time, its types true, installable, and with errors that help. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { buildClient } from "../../scripts/client/build.ts";
import { encodePairing } from "../../src/client/pairing.ts";
import { builtLibrary, nodeMajor, runNode } from "./testing.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

async function filesOf(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { name } of Deno.readDir(folder)) {
    files[name] = await Deno.readTextFile(join(folder, name));
  }
  return files;
}

Deno.test("package: two builds are the same, name no path of this machine, and bundle their licences", async () => {
  const first = await filesOf(await builtLibrary());
  const folder = await Deno.makeTempDir();
  try {
    await buildClient(folder);
    assert.deepEqual(await filesOf(folder), first);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assert.deepEqual(Object.keys(first).sort(), [
    "LICENSE",
    "README.md",
    "THIRD-PARTY.txt",
    "browser.js",
    "deno.js",
    "index.d.ts",
    "node.js",
    "package.json",
  ]);
  for (const [name, text] of Object.entries(first)) {
    assert.ok(!text.includes(ROOT) && !text.includes(Deno.env.get("HOME") ?? "\0"), name);
  }
  assert.match(first["THIRD-PARTY.txt"]!, /@noble\/post-quantum [\d.]+\n\nThe MIT License/);
});

/** Newer than Node 20, which has no error for them until they are reached: of ECMAScript 2024 and later, and URL.parse. */
const NEWER = [
  /\bPromise\.(withResolvers|try)\b/,
  /\bArray\.fromAsync\b/,
  /\b(Object|Map)\.groupBy\b/,
  /\b(Iterator\.from|RegExp\.escape|URL\.parse|Error\.isError|Math\.sumPrecise)\b/,
  /\.(toBase64|toHex|setFromBase64|setFromHex)\(/,
  /\bUint8Array\.from(Base64|Hex)\b/,
  /\.(transfer|isSubsetOf|isSupersetOf|isDisjointFrom|symmetricDifference)\(/,
  /(?<!\b(Object|Array))\.(entries|keys|values|matchAll)\([^()]*\)\s*\.(map|filter|some|every|find|toArray|reduce)\(/,
  /^\s*(await )?using \w+ =/,
];
/** It asks first whether it is there, or is a method of its own. */
const ASKS_FIRST = /hasHexBuiltin|typeof|\?\.\(|this\.toHex\(\)/;

function newer(text: string): string[] {
  return text.split("\n").filter((line) =>
    !ASKS_FIRST.test(line) && NEWER.some((name) => name.test(line))
  );
}

Deno.test("package: nothing in it is newer than Node 20", async () => {
  const seen = ["x = Promise.withResolvers()", "a.toHex()", "m.keys().map(f)", "using a = b"];
  assert.deepEqual(newer(seen.join("\n")), seen);
  const old = "Object.keys(a).map(f)\ntoHex(a)\n[...m.keys()].map(f)\nfromBase64?.(a)";
  assert.deepEqual(newer(old), []);
  for (const file of ["node.js", "browser.js"]) {
    const text = await Deno.readTextFile(join(await builtLibrary(), file));
    assert.deepEqual(newer(text), [], file);
  }
});

Deno.test("package: index.d.ts says what library.ts exports", async () => {
  const check = `
    import type * as Written from "${ROOT}src/client/package.d.ts";
    import * as library from "${ROOT}src/client/library.ts";
    type Same<A, B> = A extends B ? B extends A ? true : never : never;
    const options: Same<Written.SealedFetchOptions, library.SealedFetchOptions> = true;
    const result: Same<Written.SealedFetch, library.SealedFetch> = true;
    const make: typeof Written.sealedFetch = library.sealedFetch;
    const error: Written.SecLlamaError = {} as library.SecLlamaError;
    const names: Same<keyof typeof Written, keyof typeof library> = true;
    export { options, result, make, error, names };`;
  const run = async (text: string) => {
    // Not in the tree, which is checked beside the tests.
    const file = await Deno.makeTempFile({ prefix: "secllama-types-", suffix: ".ts" });
    try {
      await Deno.writeTextFile(file, text);
      const args = [
        "check",
        "--quiet",
        "--config",
        join(ROOT, "tests/deps.json"),
        "--frozen",
        file,
      ];
      return await new Deno.Command(Deno.execPath(), { args, stderr: "piped" }).output();
    } finally {
      await Deno.remove(file);
    }
  };
  const good = await run(check);
  assert.ok(good.success, new TextDecoder().decode(good.stderr));
  if (Deno.env.get("SECLLAMA_FULL") !== "1") {
    console.log("skipped: that this check can fail; set SECLLAMA_FULL=1");
    return;
  }
  // An option that library.ts does not have.
  const bad = await run(
    check.replace("Same<Written.SealedFetchOptions,", "Same<{ other: string },"),
  );
  assert.ok(!bad.success);
});

const major = await nodeMajor();

Deno.test({
  name: "package: npm installs it, and Node finds it by name",
  ignore: major === undefined,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(join(folder, "package.json"), '{"private":true,"type":"module"}');
      const { success, stderr } = await new Deno.Command("npm", {
        args: [
          "install",
          "--offline",
          "--no-audit",
          "--no-fund",
          "--install-links",
          await builtLibrary(),
        ],
        cwd: folder,
        stderr: "piped",
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const script = join(folder, "use.js");
      await Deno.writeTextFile(
        script,
        `import { sealedFetch, SecLlamaError } from "secllama-client";
         const tries = JSON.parse(process.argv[2]);
         const codes = [];
         for (const options of tries) {
           try { (await sealedFetch(options)).close(); codes.push("made"); }
           catch (error) { codes.push(error instanceof SecLlamaError && error.code); }
         }
         console.log(JSON.stringify(codes));`,
      );
      const psk = new Uint8Array(32);
      const pairing = encodePairing({
        url: "http://127.0.0.1:11435/",
        pskId: `client.${"0".repeat(16)}.${"0".repeat(32)}`,
        psk,
        hid: psk.subarray(16),
      });
      const tries = [
        { pairing },
        { pairing: pairing.slice(0, -1) },
        { pairing: "" },
        { pairing, suite: 3 },
        { gateway: "ftp://host", credentials: {} },
        { gateway: "http://127.0.0.1:1" },
        { gateway: "http://127.0.0.1:1", credentials: { pskId: "x", psk: [1] } },
      ];
      const { code, stdout, stderr: errors } = await runNode(script, "", [
        JSON.stringify(tries),
      ]);
      assert.equal(code, 0, errors);
      assert.deepEqual(JSON.parse(stdout), [
        "made",
        "bad-pairing",
        "bad-pairing",
        "bad-config",
        "bad-config",
        "bad-config",
        "bad-config",
      ]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
