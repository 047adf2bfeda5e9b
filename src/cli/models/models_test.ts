import assert from "node:assert/strict";
import { makeGguf } from "../../models/testing.ts";
import { parseCommandArgs } from "../command.ts";
import { modelCommands } from "./commands.ts";
import type { Tui } from "../tui.ts";

interface Result {
  code: number;
  out: string;
  json: unknown;
  warnings: string[];
}

/** Runs `secllama WORDS…` against a data folder, with a printer that records. */
async function secllama(dataDir: string, ...words: string[]): Promise<Result> {
  const command = modelCommands.find((one) => one.path[0] === words[0]);
  assert.ok(command, words[0]);
  const result: Result = { code: -1, out: "", json: undefined, warnings: [] };
  const tui = {
    isTerminal: false,
    out: (line: string) => void (result.out += line + "\n"),
    note: () => {},
    warn: (line: string) => void (result.warnings.push(line)),
    json: (value: unknown) => {
      assert.equal(result.json, undefined, "more than one document");
      result.json = JSON.parse(JSON.stringify(value));
    },
    canReplace: false,
    columns: () => 80,
    progress() {},
  } as unknown as Tui;
  result.code = await command.run({
    tui,
    ...parseCommandArgs(command, words.slice(1)),
    env: { SECLLAMA_DATA_DIR: dataDir },
    signal: new AbortController().signal,
  });
  return result;
}

Deno.test("cli models: an import takes any name that a model may have, and none of Windows' devices", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${dir}/x.gguf`, makeGguf());
    const named = (name: string) =>
      secllama(`${dir}/data`, "import", `${dir}/x.gguf`, "--name", name);
    for (const name of ["me/mine", "me/mine:v_2", "host.example/me/mine", "under_score"]) {
      assert.ok((await named(name)).out.startsWith(`imported ${name}`), name);
    }
    for (const name of ["CON", "me/con", "aux.gguf", "mine:nul", "x.", "COM1/x"]) {
      await assert.rejects(named(name), { message: /invalid model name/ }, name);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("cli models: import, list, show, cp, verify, rm", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${dir}/x.gguf`, makeGguf());
    const run = (...words: string[]) => secllama(`${dir}/data`, ...words);

    assert.match((await run("list")).out, /^NAME .*\ndemo:latest +[0-9a-f]{12} .* embedded$/m);
    assert.match(
      (await run("import", `${dir}/x.gguf`, "--name", "mine")).out,
      /^imported mine:latest/,
    );
    assert.match((await run("list")).out, /mine:latest +[0-9a-f]{12} .*F32 .* own/);
    // The config file counts as it does for serve.
    await Deno.mkdir(`${dir}/ollama`);
    await Deno.writeTextFile(`${dir}/data/config.toml`, `ollama_models = "${dir}/ollama/none"\n`);
    await assert.rejects(run("list"), { code: "model-store-unreadable" });
    await Deno.remove(`${dir}/data/config.toml`);
    const { json } = await run("list", "--json");
    assert.deepEqual(
      (json as { models: { name: string }[] }).models.map((m) => m.name).sort(),
      ["demo:latest", "mine:latest"],
    );
    const lines = (await run("show", "mine")).out;
    assert.match(lines, /^architecture +llama$/m);
    assert.match(lines, /^chat template +none: messages are joined as they are$/m);
    assert.doesNotMatch((await run("show", "demo")).out, /^chat template/m);
    const shown = (await run("show", "demo", "--json")).json as Record<string, unknown>;
    assert.equal(shown["name"], "demo:latest");
    assert.deepEqual(shown["capabilities"], ["completion"]);
    assert.equal((shown["model_info"] as Record<string, unknown>)["general.architecture"], "llama");
    assert.equal((await run("cp", "mine", "other:v2")).code, 0);

    assert.deepEqual((await run("verify", "--json")).json, {
      models: ["other:v2", "mine:latest", "demo:latest"].map((name) => ({ name, ok: true })),
    });
    for await (const entry of Deno.readDir(`${dir}/data/models/blobs`)) {
      await Deno.truncate(`${dir}/data/models/blobs/${entry.name}`, 10);
    }
    const damaged = await run("verify");
    assert.equal(damaged.code, 1);
    assert.match(damaged.out, /^damaged +mine:latest .*10 bytes/m);
    assert.match((await run("list")).out, /mine:latest .*damaged: /);

    assert.match(
      (await run("rm", "mine", "other:v2")).out,
      /^removed mine:latest, 0 B freed\nremoved/,
    );
    await assert.rejects(run("rm", "mine"), { code: "model-not-found", exitCode: 1 });
    await assert.rejects(run("rm", "demo"), { code: "bad-request" });
    await assert.rejects(run("show", "../../etc/passwd"), { code: "bad-model-name", exitCode: 2 });
    await Deno.rename(`${dir}/x.gguf`, `${dir}/My Model-Q8_0.GGUF`);
    assert.match(
      (await run("import", `${dir}/My Model-Q8_0.GGUF`)).out,
      /^imported my-model-q8_0:latest/,
    );
    await assert.rejects(run("import", `${dir}/My Model-Q8_0.GGUF`), {
      code: "bad-request",
      hint: /--name my-model-q8_0;/,
    });
    await Deno.writeFile(`${dir}/???.gguf`, makeGguf());
    await assert.rejects(run("import", `${dir}/???.gguf`), { code: "bad-model-name", exitCode: 2 });
    await assert.rejects(run("import", `${dir}/none`, "--name", "n"), {
      code: "model-store-unreadable",
      hint: "check the path",
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("cli models: what a model says of itself cannot control the terminal", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${dir}/x.gguf`, makeGguf());
    const run = (...words: string[]) => secllama(`${dir}/data`, ...words);
    await run("import", `${dir}/x.gguf`, "--name", "x");
    // A system prompt, as a pulled model may bring one: it retitles the terminal and hides what follows.
    const system = "kind\x1b]0;owned\x07\x1b[8m\u202etxt";
    const bytes = new TextEncoder().encode(system);
    const hex = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    await Deno.writeFile(`${dir}/data/models/blobs/sha256-${hex}`, bytes);
    const path = `${dir}/data/models/manifests/registry.ollama.ai/library/x/latest`;
    const manifest = JSON.parse(await Deno.readTextFile(path));
    manifest.layers.push({
      mediaType: "application/vnd.ollama.image.system",
      digest: `sha256:${hex}`,
      size: bytes.length,
    });
    await Deno.writeTextFile(path, JSON.stringify(manifest));
    const { out } = await run("show", "x");
    assert.match(out, /^system +kind\?\]0;owned\?\?\[8m\?txt$/m);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("cli models: create from a Modelfile, and show one that makes the same again", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const run = (...words: string[]) => secllama(`${dir}/data`, ...words);
    const write = (name: string, text: string) => Deno.writeTextFile(`${dir}/${name}`, text);
    await Deno.writeFile(`${dir}/x.gguf`, makeGguf());
    await write(
      "Modelfile",
      `FROM ./x.gguf
PARAMETER temperature 0.5
PARAMETER numa true
PARAMETER stop "<end>"
PARAMETER stop two words
SYSTEM """
Be "kind".
"""
MESSAGE user Hi
TEMPLATE "<{{ .Prompt }}>"
REQUIRES 0.14.0
LICENSE MIT`,
    );
    const made = await run("create", "mine", "-f", `${dir}/Modelfile`);
    assert.match(made.out, /^created mine:latest +sha256:/);
    assert.deepEqual(made.warnings, [
      "line 3: the parameter numa has no effect any more and is left out",
    ]);
    const { out } = await run("show", "mine", "--modelfile");
    await write("Again", out);
    const again = (await run("create", "again", "-f", `${dir}/Again`, "--json")).json;
    const first = (await run("show", "mine", "--json")).json as Record<string, unknown>;
    assert.equal((again as Record<string, unknown>)["digest"], first["digest"]);
    const second = (await run("show", "again", "--json")).json as Record<string, unknown>;
    assert.equal(first["requires"], "0.14.0");
    assert.match((await run("show", "mine")).out, /^made for +Ollama 0\.14\.0$/m);
    assert.doesNotMatch((await run("show", "mine")).out, /^chat template/m);
    for (
      const part of ["parameters", "system", "messages", "license", "template", "requires"]
    ) {
      assert.deepEqual(second[part], first[part], part);
    }
    assert.equal((await run("show", "mine", "--system")).out, '\nBe "kind".\n');
    assert.match(
      (await run("show", "mine", "--parameters")).out,
      /^temperature +0.5\nstop +"<end>"/,
    );

    for (
      const [text, message] of [
        ["FROM ./none.gguf", /no such file/],
        ["FROM none", /model 'none' not found/],
        ["FROM @sha256:../../etc/passwd", /^line 1: a digest is/],
        [`FROM @sha256:${"a".repeat(64)}`, /^no blob sha256:a{64} is here/],
        ["FROM mine\nFROM demo", /^line 2: a second model/],
        ["FROM mine\nPARAMETER heat 1", /^line 2: unknown parameter "heat"/],
        ["FROM ./Bad", /./],
        ['FROM mine\nTEMPLATE "{{ .Prompt"', /^the template's line 1: an action/],
        ["FROM mine\nTEMPLATE {{ nosuch .Prompt }}", /the function "nosuch" is not known/],
        ['FROM mine\nTEMPLATE {{ template "x" }}', /it cannot make a prompt/],
      ] as const
    ) {
      await write("Bad", text);
      await assert.rejects(run("create", "bad", "-f", `${dir}/Bad`), { message }, text);
    }
    // A name that no model has, and a file beside the Modelfile has.
    await Deno.writeTextFile(`${dir}/red.png`, "no model ".repeat(9));
    await Deno.writeTextFile(`${dir}/Picture`, "FROM red.png");
    await assert.rejects(run("create", "bad", "-f", `${dir}/Picture`), {
      message: /does not begin with GGUF/,
    });
    await assert.rejects(run("create", "bad", "-f", `${dir}/no`), {
      code: "bad-modelfile",
      exitCode: 2,
    });
    await assert.rejects(run("create", "bad/../x", "-f", `${dir}/Modelfile`), {
      code: "bad-model-name",
    });
    await assert.rejects(run("show", "mine", "--system", "--json"), { code: "usage" });
    assert.ok(!(await run("list")).out.includes("bad"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
