/** The agents of npm, in exact versions, installed when the full tests first need them. */
import { join } from "node:path";
import { ROOT } from "../../support/serve.ts";

const SOURCE = new URL("./", import.meta.url).pathname;

/** Why the agents are not run; undefined: they are. */
export const AGENTS_SKIPPED = Deno.env.get("SECLLAMA_FULL") === "1"
  ? undefined
  : "coding agents of npm are installed and run with SECLLAMA_FULL=1";

/**
 * The folder that they are in.
 * @throws {Error} With npm's output if they cannot be installed.
 */
export async function installedAgents(): Promise<string> {
  const folder = join(ROOT, "build/test/agents");
  const wanted = await Deno.readTextFile(join(SOURCE, "package.json"));
  const mark = join(folder, "installed.json");
  if (await Deno.readTextFile(mark).catch(() => "") === wanted) return folder;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "package.json"), wanted);
  const { code, stderr } = await new Deno.Command("npm", {
    args: ["install", "--no-audit", "--no-fund", "--no-package-lock"],
    cwd: folder,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0) throw new Error(`npm install: ${new TextDecoder().decode(stderr)}`);
  await Deno.writeTextFile(mark, wanted);
  return folder;
}
