/** Whole journeys, from nothing to the first answer, in at most two commands; nothing is prepared but what that person has. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { addModel } from "../support/ollama_folder.ts";
import { cli, ROOT, startServe } from "../support/serve.ts";

const QUESTION = "Where are my keys?";

interface Journey {
  readonly name: string;
  /** What is in the home folder before. */
  readonly has: (home: string) => Promise<void>;
  /** Of `serve`, besides the ports, which are free ones here. */
  readonly serve: readonly string[];
  readonly env: (home: string) => Record<string, string>;
  readonly model: string;
}

const JOURNEYS: readonly Journey[] = [
  {
    name: "a fresh user",
    has: () => Promise.resolve(),
    // As `task serve` has it: there is no key store on a machine like this one.
    serve: ["--ephemeral-fallback"],
    env: () => ({}),
    model: "demo",
  },
  {
    name: "a switcher with an Ollama store",
    async has(home) {
      const model = await Deno.readFile(join(ROOT, "models/demo.gguf"));
      await addModel(join(home, ".ollama/models"), "mine:latest", [["model", model]]);
    },
    serve: ["--ephemeral-fallback", "--model", "mine"],
    env: (home) => ({ OLLAMA_MODELS: join(home, ".ollama/models") }),
    model: "mine",
  },
];

for (const { name, has, serve, env, model } of JOURNEYS) {
  Deno.test(`journey: ${name} has the first answer after two commands`, async () => {
    const home = await Deno.makeTempDir({ prefix: "secllama-journey-" });
    try {
      await has(home);
      const variables = { ...env(home), HOME: home };
      const served = await startServe({ args: serve, env: variables }); // the first command
      try {
        const port = new URL(served.proxyUrl).port;
        const run = await cli(["run", model, QUESTION, `--proxy-port=${port}`], { // the second one
          env: {
            PATH: "/usr/bin:/bin",
            LANG: "C.UTF-8",
            DENO_DIR: Deno.env.get("DENO_DIR") ??
              join(Deno.env.get("HOME") ?? "/root", ".cache/deno"),
            ...variables,
          },
        });
        assert.equal(run.code, 0, run.stderr);
        assert.match(run.stdout, /key/i, run.stdout);
        assert.equal(run.stderr, "", "nothing but the answer");
      } finally {
        await served.stop();
      }
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  });
}
