/**
 * The compiled runner in the tree of scripts/test/program.ts. Deno reads and parses a runner's bundle anew at each start, which is a
 * third of what a start costs; the compiled one, which is what people run, has it parsed. A run of all tests starts some hundreds.
 */
import { timingSafeEqual } from "node:crypto";
import { join } from "node:path";

/** What the program's bundle says of its runner from source → and with a compiled one. */
const TEXTS: readonly (readonly [RegExp, string])[] = [
  [
    /deno: Deno\.execPath\(\),\n(\s+runner: \w+\(ROOT, "build\/)runner\.js"/,
    'deno: null,\n$1secllama-runner"',
  ],
  [/\.replace\(\/runner\\\.js\$\/, "attacker\.js"\)/, '.replace(/-runner$/, "-attacker")'],
];
const FILES = ["secllama-runner", "secllama-attacker"];

/**
 * Puts the runner and the attacker that were compiled last into the tree and has its program start these.
 * @param program The tree. @param stage Where scripts/compile.ts leaves what it compiled. @param pieces The bundle's pieces.
 * @returns Whether it could: not if they were compiled of other bundles, or not at all.
 * @throws {Error} If the program's text is another one than is known here.
 */
export async function addCompiledRunner(
  program: string,
  stage: string,
  pieces: string,
): Promise<boolean> {
  for (const name of ["runner.js", "attacker.js"]) {
    const [here, compiled] = await Promise.all([
      Deno.readFile(join(program, "build", name)),
      Deno.readFile(join(stage, "runner", name)).catch(() => undefined),
    ]);
    if (compiled === undefined || !isEqual(here, compiled)) return false;
  }
  const changed = await changedPieces(join(program, pieces));
  for (const name of FILES) {
    const to = join(program, "build", name);
    await Deno.remove(to).catch(() => {});
    await Deno.copyFile(join(stage, name), to);
  }
  for (const [path, text] of changed) await Deno.writeTextFile(path, text);
  return true;
}

/** Whether the tree has the runner and the attacker that were compiled last, or others. */
export async function compiledRunnerOf(
  program: string,
  stage: string,
): Promise<"this" | "another" | "none"> {
  for (const name of FILES) {
    const bytes = (path: string) => Deno.readFile(path).catch(() => undefined);
    const [here, last] = await Promise.all([
      bytes(join(program, "build", name)),
      bytes(join(stage, name)),
    ]);
    if (here === undefined) return "none";
    if (last === undefined || !isEqual(here, last)) return "another";
  }
  return "this";
}

async function changedPieces(folder: string): Promise<Map<string, string>> {
  const changed = new Map<string, string>();
  for (const [known, other] of TEXTS) {
    let found = false;
    for await (const { name } of Deno.readDir(folder)) {
      if (!name.endsWith(".js")) continue;
      const path = join(folder, name);
      const text = changed.get(path) ?? await Deno.readTextFile(path);
      if (!known.test(text)) continue;
      changed.set(path, text.replace(known, other));
      found = true;
    }
    if (!found) throw new Error(`no piece of the program has ${known}`);
  }
  return changed;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
