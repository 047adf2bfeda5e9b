/** A bundle is made again when anything in it changes: a sandbox profile that stayed behind once had a runner without AMX. */
import assert from "node:assert/strict";
import { newest, PROGRAM_SOURCES, RUNNER_SOURCES } from "../scripts/newest.ts";

const ROOT = new URL("../", import.meta.url);

/** The repository's files that a program imports, but for what is made of them. */
async function imports(entry: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--quiet", entry],
    cwd: ROOT,
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { specifier: string }[];
  };
  return modules.map(({ specifier }) => specifier)
    .filter((specifier) => specifier.startsWith(ROOT.href) && !specifier.includes("/node_modules/"))
    .map((specifier) => decodeURIComponent(specifier.slice(ROOT.href.length)))
    .filter((path) => !path.startsWith("build/"));
}

const notIn = (paths: string[], watched: readonly string[]) =>
  paths.filter((path) => !watched.some((at) => path === at || path.startsWith(`${at}/`)));

for (
  const [entry, watched] of [
    ["runner/main.ts", RUNNER_SOURCES],
    ["runner/attacker.ts", RUNNER_SOURCES],
    ["src/page/main.tsx", RUNNER_SOURCES],
    ["main.ts", PROGRAM_SOURCES],
  ] as const
) {
  Deno.test(`bundles: whatever ${entry} imports has it made again`, async () => {
    const paths = await imports(entry);
    assert.ok(paths.length > 5, "it imports something");
    assert.deepEqual(notIn(paths, watched), []);
  });
}

Deno.test("bundles: what is missing from the list is seen", async () => {
  const some = RUNNER_SOURCES.filter((path) => path !== "sandbox-profiles");
  assert.deepEqual(notIn(await imports("runner/main.ts"), some), ["sandbox-profiles/linux.json"]);
});

Deno.test("bundles: the newest file counts, wherever it lies", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-newest-" });
  try {
    await Deno.mkdir(`${folder}/a/b`, { recursive: true });
    await Deno.writeTextFile(`${folder}/a/b/old`, "");
    await Deno.writeTextFile(`${folder}/new`, "");
    await Deno.utime(`${folder}/a/b/old`, 1000, 1000);
    await Deno.utime(`${folder}/new`, 2000, 2000);
    assert.equal(await newest([`${folder}/a`]), 1_000_000);
    assert.equal(await newest([`${folder}/a`, `${folder}/new`, `${folder}/none`]), 2_000_000);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
