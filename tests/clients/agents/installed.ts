/**
 * Agents of npm, in the versions of package-lock.json. Each is installed apart and when a test first needs it: 80 to 470 MB.
 */
import { join } from "node:path";
import { ROOT } from "../../support/serve.ts";

const SOURCE = new URL("./", import.meta.url).pathname;

/** Why agents are not run; undefined: they are. */
export const AGENTS_SKIPPED = Deno.env.get("SECLLAMA_FULL") === "1"
  ? undefined
  : "coding agents of npm are installed and run with SECLLAMA_FULL=1";

/**
 * @param name Of a folder below the build's, for these packages.
 * @param packages Some of those that package.json names.
 * @returns The folder that they are in. Whoever comes while they are being installed waits.
 * @throws {Error} With npm's output if they cannot be installed.
 */
export async function installed(name: string, packages: readonly string[]): Promise<string> {
  const folder = join(ROOT, "build/test/agents", name);
  await Deno.mkdir(folder, { recursive: true });
  using file = await Deno.open(join(folder, ".lock"), { create: true, write: true });
  await file.lock(true);
  const all = JSON.parse(await Deno.readTextFile(join(SOURCE, "package.json")));
  const dependencies = Object.fromEntries(
    packages.map((one) => {
      if (!(one in all.dependencies)) throw new Error(`package.json does not name ${one}`);
      return [one, all.dependencies[one]];
    }),
  );
  const manifest = JSON.stringify({ ...all, dependencies });
  const lock = await Deno.readTextFile(join(SOURCE, "package-lock.json"));
  const mark = join(folder, "installed.json");
  if (await Deno.readTextFile(mark).catch(() => "") === manifest + lock) return folder;
  await Deno.writeTextFile(join(folder, "package.json"), manifest);
  await Deno.writeTextFile(join(folder, "package-lock.json"), lock);
  const { code, stderr } = await new Deno.Command("npm", {
    // Not `ci`: the lock holds more than this, which `install` leaves out.
    args: ["install", "--no-audit", "--no-fund"],
    cwd: folder,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0) throw new Error(`npm install: ${new TextDecoder().decode(stderr)}`);
  await Deno.writeTextFile(mark, manifest + lock);
  return folder;
}
