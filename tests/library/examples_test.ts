/** The examples as their readers run them, against a real `serve`. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encodePairing } from "../../src/client/pairing.ts";
import { ROOT } from "../support/serve.ts";
import {
  builtLibrary,
  hasChromium,
  inChromium,
  nodeMajor,
  runWithInput,
  servePage,
  serveWithKey,
} from "./testing.ts";

const QUESTION = "What is network isolation?";
const GOOD = /network|socket|isolat/i;
const python = await hasPython();
const major = await nodeMajor();

async function hasPython(): Promise<boolean> {
  const args = ["-c", "from cryptography.hazmat.primitives.ciphers.aead import AESGCM"];
  const { success } = await new Deno.Command("/usr/bin/python3", { args, stderr: "null" }).output()
    .catch(() => ({ success: false }));
  if (!success) console.error("SKIPPED the Python example: no python3-cryptography");
  return success;
}

Deno.test("examples: Deno, Node, Python and a page, each asks and streams", async (t) => {
  const library = await builtLibrary();
  const page = servePage(() => files);
  let files: Record<string, string> = {};
  const served = await serveWithKey([`--allow-origin=${page.origin}`]);
  const credentials = { url: served.gatewayUrl, ...served.credentials };
  const pairing = encodePairing(credentials);
  const stranger = encodePairing({ ...credentials, psk: new Uint8Array(32) });
  const folder = await Deno.makeTempDir({ dir: join(ROOT, "tests"), prefix: ".example-" });

  /** Runs it three ways: as meant, with another's key, with a pairing string cut short. */
  async function check(program: string, args: readonly string[], failure: RegExp) {
    const run = (input: string) =>
      runWithInput(program, [...args, "demo", QUESTION], input, { cwd: folder });
    const good = await run(pairing + "\n");
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stdout, GOOD);
    for (const bad of [stranger, pairing.slice(0, -3), ""]) {
      const refused = await run(bad);
      assert.equal(refused.code, 1, refused.stdout);
      assert.match(refused.stderr, failure);
      assert.equal(refused.stdout.trim(), "");
    }
  }

  try {
    await t.step("Deno", async () => {
      const map = join(folder, "imports.json");
      const imports = {
        "ollama/browser": "npm:ollama@0.6.4/browser",
        "secllama-client": `file://${join(library, "deno.js")}`,
      };
      const own = JSON.parse(await Deno.readTextFile(join(ROOT, "examples/deno/imports.json")));
      assert.deepEqual(Object.keys(own.imports), Object.keys(imports));
      await Deno.writeTextFile(map, JSON.stringify({ imports }));
      await check(Deno.execPath(), [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-net",
        `--config=${join(ROOT, "tests/deps.json")}`,
        `--import-map=${map}`,
        join(ROOT, "examples/deno/chat.ts"),
      ], /^error: /m);
    });

    await t.step({
      name: "Node",
      ignore: major === undefined,
      fn: async () => {
        // The SDK is found in the tests' folder above, the library beside.
        await Deno.copyFile(join(ROOT, "examples/node/chat.mjs"), join(folder, "chat.mjs"));
        await Deno.mkdir(join(folder, "node_modules"));
        await Deno.symlink(library, join(folder, "node_modules/secllama-client"));
        await check("node", [join(folder, "chat.mjs")], /^error: /m);
      },
    });

    await t.step({
      name: "Python",
      ignore: !python,
      fn: () =>
        check(
          "/usr/bin/python3",
          ["-B", join(ROOT, "examples/python/secllama_client.py")],
          /SealedError: (auth|bad-pairing)/,
        ),
    });

    await t.step({
      name: "a page in Chromium",
      ignore: !hasChromium(),
      fn: async () => {
        const html = await Deno.readTextFile(join(ROOT, "examples/browser/index.html"));
        files = {
          "/": html + '<script type="module" src="/drive.js"></script>',
          "/browser.js": await Deno.readTextFile(join(library, "browser.js")),
          "/drive.js": `
            const form = document.getElementById("ask");
            const answer = document.getElementById("answer");
            const results = [];
            for (const pairing of ${JSON.stringify([pairing, stranger, "nonsense"])}) {
              form.elements.pairing.value = pairing;
              form.elements.question.value = ${JSON.stringify(QUESTION)};
              form.requestSubmit();
              while (!["done", "failed"].includes(answer.dataset.state)) {
                await new Promise((resolve) => setTimeout(resolve, 20));
              }
              results.push([answer.dataset.state, answer.textContent]);
              delete answer.dataset.state;
            }
            await fetch("/result", { method: "POST", body: JSON.stringify(results) });`,
        };
        const results = JSON.parse(await inChromium(`${page.origin}/`, page.result));
        assert.deepEqual(results.map(([state]: [string]) => state), ["done", "failed", "failed"]);
        assert.match(results[0][1], GOOD);
        assert.match(results[1][1], /authenticat/);
        assert.match(results[2][1], /pairing string/);
      },
    });
  } finally {
    await served.stop();
    await page.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
