/**
 * Whole journeys, from nothing to the first answer, in two commands as they are typed; nothing is prepared but what that person has.
 * The others: a folder with a base system and a container's root in tests/binary/container_test.ts, a laptop in
 * tests/remote/words_test.ts.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { takeWaits, tellWait } from "../support/journey.ts";
import { addModel } from "../support/ollama_folder.ts";
import { runToEnd } from "../support/run_to_end.ts";
import { newHome, ROOT, secllama } from "../support/serve.ts";

const QUESTION = "Where are my keys?";

interface Journey {
  readonly name: string;
  /** What is in the home folder before. */
  readonly has: (home: string) => Promise<void>;
  /** After `secllama serve`. */
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

const asRoot = Deno.build.os === "linux" && Deno.uid() === 0;
if (!asRoot) {
  console.log("skipped: journeys have the usual ports in a network of their own: as root");
}

for (const { name, has, serve, env: more, model } of JOURNEYS) {
  Deno.test({
    name: `journey: ${name} has the first answer after two commands`,
    ignore: !asRoot,
    async fn() {
      const { home, env } = await newHome();
      try {
        await has(home);
        const program = secllama([]).map((word) => `'${word}'`).join(" ");
        const path = join(home, "secllama");
        await Deno.writeTextFile(path, `#!/bin/sh\nexec ${program} "$@"\n`, { mode: 0o755 });
        const script = join(ROOT, "tests/cli/journey.sh");
        const typed = ["/bin/sh", script, model, QUESTION, ...serve];
        const { code, stdout, stderr } = await runToEnd(["/usr/bin/unshare", "--net", ...typed], {
          env: { ...env, ...more(home), PATH: `${home}:/usr/bin:/bin:/usr/sbin:/sbin` },
        });
        assert.equal(code, 0, `${stdout}${stderr}`);
        const { lines, waits: [ms] } = takeWaits(stdout);
        assert.equal(lines.length, 1, `nothing but the answer: ${stdout}`);
        assert.match(lines[0]!, /^Your keys are in the key store/);
        tellWait(name, ms!);
      } finally {
        await Deno.remove(home, { recursive: true });
      }
    },
  });
}
