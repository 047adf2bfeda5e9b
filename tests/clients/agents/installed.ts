/** The agents of npm, in the versions of package-lock.json, installed when the full tests first need them: 2.4 GB. */
import { join } from "node:path";
import { ROOT } from "../../support/serve.ts";

const SOURCE = new URL("./", import.meta.url).pathname;
const FILES = ["package.json", "package-lock.json"];

/** Why the agents are not run; undefined: they are. */
export const AGENTS_SKIPPED = Deno.env.get("SECLLAMA_FULL") === "1"
  ? undefined
  : "coding agents of npm are installed and run with SECLLAMA_FULL=1";

/**
 * The folder that they are in. Whoever comes while they are being installed waits.
 * @throws {Error} With npm's output if they cannot be installed.
 */
export async function installedAgents(): Promise<string> {
  const folder = join(ROOT, "build/test/agents");
  await Deno.mkdir(folder, { recursive: true });
  using lock = await Deno.open(join(folder, ".lock"), { create: true, write: true });
  await lock.lock(true);
  const wanted = await Promise.all(FILES.map((name) => Deno.readTextFile(join(SOURCE, name))));
  const mark = join(folder, "installed.json");
  if (await Deno.readTextFile(mark).catch(() => "") === wanted.join("")) return folder;
  for (const [index, name] of FILES.entries()) {
    await Deno.writeTextFile(join(folder, name), wanted[index]!);
  }
  const { code, stderr } = await new Deno.Command("npm", {
    // Not `ci`: the lock names no version of packages for other systems, which it wants.
    args: ["install", "--no-audit", "--no-fund"],
    cwd: folder,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0) throw new Error(`npm install: ${new TextDecoder().decode(stderr)}`);
  await Deno.writeTextFile(mark, wanted.join(""));
  return folder;
}
