/**
 * llama.cpp's own tests of llama-server, unmodified, of the release that node-llama-cpp brings, against SecLlama: with
 * SECLLAMA_FULL=1, Debian's python3-pytest and the stories model. What stands in for what is in llama_server/.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { addModel } from "../support/ollama_folder.ts";
import { ROOT, startServe } from "../support/serve.ts";
import { sharedModel } from "../support/shared_models.ts";
import { KNOWN, SUITE_FILES } from "./llama_server/known.ts";
import { documented } from "./llama_server/documented.ts";
import { withTemplate } from "./llama_server/model.ts";
import { readArguments, relay } from "./llama_server/relay.ts";

const HERE = new URL("./llama_server/", import.meta.url).pathname;
const BUNDLE = join(ROOT, "node_modules/node-llama-cpp/llama/gitRelease.bundle");
const FILES = Deno.env.get("SECLLAMA_LLAMA_TESTS")?.split(",") ?? SUITE_FILES;
/** What llama-server gives a file that has no template. */
const CHATML = "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\n' + " +
  "message.content + '<|im_end|>\n' }}{%- endfor -%}" +
  "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}";

/** Those that its tests name: built into llama-server, of our own writing here. */
const BUILT_IN: Readonly<Record<string, string>> = {
  "chatml": CHATML,
  "llama3": "{%- for message in messages -%}{{ '<|start_header_id|>' + message.role + " +
    "'<|end_header_id|>\n\n' + (message.content | trim) + '<|eot_id|>' }}{%- endfor -%}" +
    "{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}" +
    "{%- endif -%}",
  "command-r": "{%- for message in messages -%}{{ '<|START_OF_TURN_TOKEN|><|' + " +
    "{'system': 'SYSTEM', 'user': 'USER', 'assistant': 'CHATBOT'}[message.role] + '_TOKEN|>' + " +
    "(message.content | trim) + '<|END_OF_TURN_TOKEN|>' }}{%- endfor -%}" +
    "{%- if add_generation_prompt -%}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{%- endif -%}",
};

async function there(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function skipped(): Promise<string | undefined> {
  if (Deno.env.get("SECLLAMA_FULL") !== "1") return "they are run with SECLLAMA_FULL=1";
  if (!await there("/usr/lib/python3/dist-packages/pytest")) return "there is no python3-pytest";
  return undefined;
}

async function run(program: string, args: string[], o: Deno.CommandOptions = {}): Promise<string> {
  const { stdout, stderr, code } = await new Deno.Command(program, {
    args,
    stdin: "null",
    ...o,
    stdout: "piped",
    stderr: "piped",
  }).output();
  const said = new TextDecoder().decode(stdout);
  assert.ok(code === 0 || program === "python3", said + new TextDecoder().decode(stderr));
  return said;
}

/** The tests and the templates that they read, out of the release. */
async function extract(folder: string): Promise<void> {
  const repository = join(folder, "llama.git");
  await run("git", ["clone", "--quiet", "--bare", BUNDLE, repository]);
  const archive = join(folder, "tests.tar");
  const wanted = ["tools/server/tests", "models/templates"];
  await run("git", ["-C", repository, "archive", "-o", archive, "HEAD", ...wanted]);
  await run("tar", ["--extract", "--file", archive, "--directory", folder]);
  await Deno.remove(repository, { recursive: true });
}

const TEST = "llama.cpp's own server tests, unmodified";
const why = await skipped();
if (why !== undefined) console.log(`SKIP ${TEST}: ${why}`);
const path = why === undefined ? sharedModel("stories260K.gguf", TEST) : undefined;
Deno.test({
  name: TEST,
  ignore: path === undefined,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
    const models = join(folder, "models");
    const stories = await Deno.readFile(path!);
    const tests = join(folder, "tools/server/tests");
    await extract(folder);
    await addModel(models, "stories:latest", [["model", stories]]);
    const served = await startServe({ env: { OLLAMA_MODELS: models } });
    const control = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const serving = serveStarts(control, async (args) => {
      const started = readArguments(args, tests, (text) => BUILT_IN[text] ?? text);
      if (started.isStories) {
        const template = started.template ?? CHATML;
        const { contextLength = 512 } = started;
        await addModel(models, `${started.model}:latest`, [
          ["model", withTemplate(stories, { template, contextLength })],
          ["params", { num_ctx: contextLength }],
        ]);
      }
      return relay(started, served.proxyUrl);
    });
    try {
      const report = join(folder, "report.xml");
      const said = await run("python3", [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=line",
        `--junitxml=${report}`,
        "-m",
        "not slow",
        ...FILES.map((name) => `unit/${name}`),
      ], {
        cwd: tests,
        env: {
          PYTHONPATH: join(HERE, "python"),
          PYTHONDONTWRITEBYTECODE: "1",
          LLAMA_SERVER_BIN_PATH: join(HERE, "python/llama_server.py"),
          SECLLAMA_TEST_CONTROL: String(control.addr.port),
        },
      });
      const results = read(await Deno.readTextFile(report).catch(() => ""));
      assert.ok(results.length > 10, said.slice(-4000));
      await judge(results, said);
    } finally {
      control.close();
      await serving;
      await served.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Serves as whoever comes says, for as long as that connection stands. */
async function serveStarts(
  control: Deno.TcpListener,
  start: (args: string[]) => Promise<Deno.HttpServer>,
): Promise<void> {
  const open: Promise<void>[] = [];
  for await (const conn of control) {
    open.push(
      (async () => {
        using _ = conn;
        let text = "";
        const buffer = new Uint8Array(65_536);
        const decoder = new TextDecoder();
        while (!text.includes("\n")) {
          const n = await conn.read(buffer);
          if (n === null) return;
          text += decoder.decode(buffer.subarray(0, n), { stream: true });
        }
        await using _server = await start(JSON.parse(text));
        await conn.read(buffer).catch(() => {});
      })().catch((error) => console.log(`not started: ${error}`)),
    );
  }
  await Promise.all(open);
}

interface Result {
  /** `file::test[parameters]`. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly message: string;
}

function read(xml: string): Result[] {
  const unescaped = (text: string) =>
    text.replace(
      /&(lt|gt|quot|amp|#10);/g,
      (_, name) => ({ lt: "<", gt: ">", quot: '"', amp: "&", "#10": "\n" })[name as "lt"],
    );
  return [...xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([^]*?)<\/testcase>)/g)].map(
    ([, head, body = ""]) => {
      const attribute = (name: string, text: string) =>
        unescaped(new RegExp(` ?\\b${name}="([^"]*)"`).exec(text)?.[1] ?? "");
      const file = attribute("classname", head!).split(".").at(-1);
      return {
        name: `${file}::${attribute("name", head!)}`,
        outcome: /<(?:failure|error)/.test(body)
          ? "failed"
          : body.includes("<skipped")
          ? "skipped"
          : "passed",
        message: attribute("message", body),
      };
    },
  );
}

/** Each test that fails must be known, with a reason, and each that is known to fail must. */
async function judge(results: readonly Result[], said: string): Promise<void> {
  const reasonOf = (name: string) => KNOWN.find(([pattern]) => pattern.test(name))?.[1];
  const unexpected: string[] = [];
  for (const { name, outcome, message } of results) {
    const reason = reasonOf(name);
    if (outcome === "skipped") console.log(`SKIP ${name}: ${message}`);
    else if (outcome === "failed" && reason !== undefined) console.log(`LEFT ${name}: ${reason}`);
    else if (outcome === "failed") unexpected.push(`${name}: ${message}`);
    else if (reason !== undefined) unexpected.push(`${name} passes: take it out of known.ts`);
  }
  for (const file of FILES) {
    const own = results.filter(({ name }) => `${name.split("::")[0]}.py` === file);
    const count = (outcome: string) => own.filter((one) => one.outcome === outcome).length;
    const counted = { cases: own.length - count("skipped"), passed: count("passed") };
    console.log(`${file}: ${counted.passed} of ${counted.cases} passed`);
    const { cases, passed } = (await documented(file))!;
    if (own.length > 0) assert.deepEqual({ cases, passed }, counted, `docs/api.md, ${file}`);
  }
  assert.deepEqual(unexpected, [], said.slice(-6000));
}
