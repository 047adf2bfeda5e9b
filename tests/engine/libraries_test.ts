/**
 * `serve --engine-libraries`: another release of llama.cpp computes in the strict sandbox if its layout was checked, and is refused by
 * name if not. In a full run the release that is in the table is fetched from npm; its digests are pinned like all others.
 */
import assert from "node:assert/strict";
import { canSee, DEMO_MODEL } from "../../runner/engine/testing.ts";
import { LIBRARY_SETS } from "../../runner/engine/digests.ts";
import { Installation } from "../../src/app/installation.ts";
import { chat, startServe } from "../support/serve.ts";

const QUESTION = "What is network isolation?";

async function ask(args: string[]): Promise<{ said: string; banner: string }> {
  const served = await startServe({ args: ["--ephemeral", ...args] });
  try {
    const options = { temperature: 0, num_predict: 24 };
    const { status, body } = await chat(served.proxyUrl, QUESTION, { options });
    assert.equal(status, 200, body.error);
    return { said: body.message!.content, banner: served.banner };
  } finally {
    await served.stop();
  }
}

const onLinux = Deno.build.os === "linux" && Deno.build.arch === "x86_64";
if (!onLinux) console.error("SKIP: another release of llama.cpp is in the table for x86-64 Linux");

Deno.test({
  name: "libraries of a release that was not checked are refused by name, and nothing is served",
  ignore: !onLinux,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
    try {
      // Runners of root are another user.
      await Deno.chmod(folder, 0o755);
      // A library like any other: what is refused is its name's release, before it is opened.
      await Deno.copyFile(DEMO_MODEL, `${folder}/libllama.b10361.so`);
      await assert.rejects(
        ask([`--engine-libraries=${folder}`]),
        /libllama\.b10361\.so is no llama\.cpp whose layout was checked, must be one of .*libllama\.v0\.5\.0\.so/,
      );
      // One that has a checked name, and other bytes.
      const other = LIBRARY_SETS.find(({ llama }) => llama === "libllama.v0.5.0.so")!;
      await Deno.remove(`${folder}/libllama.b10361.so`);
      for (const name of [other.base, other.ggml, other.llama]) {
        await Deno.writeTextFile(`${folder}/${name}`, "");
      }
      await assert.rejects(ask([`--engine-libraries=${folder}`]), /has SHA-256 e3b0c442/);
      await assert.rejects(
        ask([`--engine-libraries=${folder}/none`]),
        /the folder of engine libraries is not there/,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "beside other libraries there is none for pictures, which is built against the release that is carried",
  ignore: !canSee(),
  async fn() {
    const engineLibraries = await Deno.makeTempDir({ prefix: "secllama-test-" });
    try {
      const installation = new Installation({ env: {}, onNote: () => {} });
      const own = await installation.runnerFiles();
      assert.ok(own.visionLibrary !== undefined, "control");
      const other = await installation.runnerFiles({ gpuLibraries: "", engineLibraries });
      assert.equal(other.libDir, await Deno.realPath(engineLibraries));
      assert.equal(other.visionLibrary, undefined);
    } finally {
      await Deno.remove(engineLibraries);
    }
  },
});

/** Where npm brought the other release to; undefined: it could not be had. */
async function fetched(folder: string): Promise<string | undefined> {
  const run = async (program: string, ...args: string[]) => {
    const done = await new Deno.Command(program, { args, cwd: folder }).output().catch(() => null);
    return done?.success ? new TextDecoder().decode(done.stdout).trim() : undefined;
  };
  const { package: name } = LIBRARY_SETS.find(({ llama }) => llama === "libllama.v0.5.0.so")!;
  const archive = await run("npm", "pack", "--silent", name);
  if (archive === undefined) return undefined;
  await run("tar", "xzf", archive, "package/bins");
  return `${folder}/package/bins/linux-x64`;
}

const isFull = Deno.env.get("SECLLAMA_FULL") === "1";
if (!isFull) console.error("SKIP: another release of llama.cpp is fetched in full runs only");
Deno.test({
  name: "a release that was checked answers as the one that is carried, in the strict sandbox",
  ignore: !onLinux || !isFull,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
    try {
      const libraries = await fetched(folder);
      if (libraries === undefined) {
        console.error("SKIP: npm could not fetch the other release");
        return;
      }
      const own = await ask([]);
      const other = await ask([`--engine-libraries=${libraries}`]);
      assert.match(other.banner, /isolation +strict/);
      assert.equal(other.said, own.said);
      assert.match(own.said, /^Network isolation/);
      // A backend more, and it is refused.
      await Deno.writeTextFile(`${libraries}/libggml-more.so`, "");
      await assert.rejects(
        ask([`--engine-libraries=${libraries}`]),
        /libggml-more\.so is not one of/,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
