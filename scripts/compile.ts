/**
 * `deno task compile`: `dist/secllama`, the gateway, proxy and command line as one program, and beside it `dist/secllama-lib/`
 * with the runner as a program of its own, llama.cpp's libraries and the demo model. (One single file is still to come.)
 *
 * `deno compile` downloads the runtime `denort` from Deno's own host; where that cannot be reached, name a copy in DENORT_BIN, or
 * for tests let scripts/denort.ts recover one: `deno task compile --testbase`.
 */
import { join } from "node:path";
import { runnerFiles } from "../src/cli/roles.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const DIST = join(ROOT, "dist");
const LIB = join(DIST, "secllama-lib");

async function deno(args: string[], env: Record<string, string>): Promise<void> {
  const { code } = await new Deno.Command(Deno.execPath(), { args, env, cwd: ROOT }).spawn().status;
  if (code !== 0) Deno.exit(code);
}

const env: Record<string, string> = {};
if (Deno.args.includes("--testbase")) {
  const denort = join(DIST, "denort");
  await Deno.mkdir(DIST, { recursive: true });
  await deno(["run", "-A", "--frozen", "scripts/denort.ts", denort], {});
  env["DENORT_BIN"] = denort;
}

await Deno.remove(LIB, { recursive: true }).catch(() => {});
await Deno.mkdir(join(LIB, "lib"), { recursive: true });
// Bundled first, and compiled without a configuration: `deno compile` would take all of node_modules along.
await deno(["bundle", "--quiet", "--platform=deno", "--output", "build/main.js", "main.ts"], {});
const COMMON = ["compile", "--quiet", "--no-config", "--no-lock", "--no-prompt", "--deny-import"];
await deno([
  ...COMMON,
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-run",
  "--allow-env",
  "--allow-ffi",
  "--allow-sys=uid",
  "--output",
  join(DIST, "secllama"),
  "build/main.js",
], env);
// Its permissions are fixed here; what it may really read is the sandbox's matter.
await deno([
  ...COMMON,
  "--deny-net",
  "--deny-run",
  "--deny-write",
  "--deny-env",
  "--deny-sys",
  "--allow-ffi",
  "--allow-read",
  "--v8-flags=--jitless",
  "--output",
  join(LIB, "secllama-runner"),
  "build/runner.js",
], env);
const { libDir } = await runnerFiles();
for await (const entry of Deno.readDir(libDir)) {
  if (entry.isFile && /\.(so|dylib|dll)(\.|$)/.test(entry.name)) {
    await Deno.copyFile(join(libDir, entry.name), join(LIB, "lib", entry.name));
  }
}
await Deno.copyFile(join(ROOT, "models/demo.gguf"), join(LIB, "demo.gguf"));
console.log(`made ${join(DIST, "secllama")} and ${LIB}`);
