/**
 * `build/test/program/`: SecLlama as most tests run it, a small tree of its own in which `src/` is bundled. It is what the source
 * does, by the same bundler as the compiled program's, and a start of it costs half as much as one that loads 400 modules. Tests of
 * the source and of the compiled program themselves are in tests/support/serve.ts's `bothWays`.
 *
 *     deno run -A scripts/test/program.ts [--if-changed] [--compiled-runner]
 *
 *     --compiled-runner   of one that is made already: has it start the runner that was compiled last
 */
import { dirname, join } from "node:path";
import { bundlePieces, WORKERS } from "../bundle_pieces.ts";
import { newest, PROGRAM_SOURCES } from "../newest.ts";
import { addCompiledRunner, compiledRunnerOf } from "./compiled_runner.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PROGRAM = join(ROOT, "build/test/program");
/** What is started. */
export const PROGRAM_ENTRY = join(PROGRAM, "main.ts");

/** Bundled files, where src/app/installation.ts and src/worker.ts find the rest from: two folders below the tree's root. */
export const PIECES = "src/app";
const COPIED = [
  "build/runner.js",
  "build/attacker.js",
  "build/page.js",
  "build/page_reading.js",
  "models/demo.gguf",
];
const LINKED = ["node_modules", "build/vision"];

/** Makes the tree, beside the old one until it is whole. @throws {Error} What the bundler says. */
async function makeProgram(): Promise<void> {
  const fresh = `${PROGRAM}.${Deno.pid}`;
  const pieces = join(fresh, PIECES);
  await bundlePieces(pieces);
  // Its pieces are named from where they lie.
  const main = await Deno.readTextFile(join(pieces, "main.js"));
  await Deno.writeTextFile(
    join(fresh, "main.ts"),
    `// deno-lint-ignore-file\n// @ts-nocheck: a bundle\n${
      main.replaceAll(/(?<=")\.\/(?=[\w-]+\.js")/g, `./${PIECES}/`)
    }`,
  );
  for (const path of WORKERS) {
    const file = join(pieces, `${path}.ts`);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, `import "../src/${path}.js";\n`);
  }
  for (const path of COPIED) {
    await Deno.mkdir(dirname(join(fresh, path)), { recursive: true });
    await Deno.copyFile(join(ROOT, path), join(fresh, path));
  }
  // Also to what is made only later: scripts/test.ts makes the library for pictures beside this.
  for (const path of LINKED) await Deno.symlink(join(ROOT, path), join(fresh, path));
  await Deno.writeTextFile(join(fresh, "deno.json"), '{ "unstable": ["worker-options"] }\n');
  await Deno.remove(PROGRAM, { recursive: true }).catch(() => {});
  await Deno.rename(fresh, PROGRAM);
}

async function isCurrent(): Promise<boolean> {
  const made = await newest([PROGRAM_ENTRY]);
  const scripts = ["scripts/test/program.ts", "scripts/bundle_pieces.ts"];
  const madeOf = [...PROGRAM_SOURCES, ...scripts, ...COPIED];
  return made > 0 && await newest(madeOf.map((path) => join(ROOT, path))) <= made;
}

/** Where scripts/compile.ts leaves what it compiled. */
const STAGE = join(ROOT, "build/stage");

if (import.meta.main) {
  if (Deno.args.includes("--compiled-runner")) {
    const has = await compiledRunnerOf(PROGRAM, STAGE);
    // Of what it is made is not in its bundle alone: its permissions, and what Deno it has in it.
    if (has === "another") await makeProgram();
    if (has !== "this" && !await addCompiledRunner(PROGRAM, STAGE, PIECES)) {
      console.log("note: tests start the runner's bundle: no compiled one is of this source");
    }
  } else if (!(Deno.args.includes("--if-changed") && await isCurrent())) await makeProgram();
}
