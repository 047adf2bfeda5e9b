/** SecLlama as a program that any user of the machine can run: a copy of deno, and the bundled program's pieces. */
import assert from "node:assert/strict";
import { basename, dirname } from "node:path";
import { bundledPieces } from "../support/binary.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

export interface Program {
  readonly deno: string;
  readonly script: string;
}

/** Builds the program, or another of this repository's, in `folder`, which is made readable for everybody. */
export async function makeProgram(folder: string, entry = "main.ts"): Promise<Program> {
  const name = basename(entry, ".ts");
  const program = { deno: `${folder}/deno`, script: `${folder}/app/${name}.js` };
  await Deno.chmod(folder, 0o755);
  await Deno.copyFile(Deno.execPath(), program.deno);
  await Deno.chmod(program.deno, 0o755);
  // In pieces, so that a command reads no more than it needs: no user here has a cache of compiled code.
  const [command, ...args] = entry === "main.ts" ? ["/bin/cp", "-R", bundledPieces()] : [
    ...[Deno.execPath(), "bundle", "--quiet", "--platform=deno", "--code-splitting"],
    ...[entry, "--outdir"],
  ];
  const { success, stderr } = await new Deno.Command(command!, {
    args: [...args, dirname(program.script)],
    cwd: ROOT,
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return program;
}

/** The least that the key commands need: the store's two tools, FFI to harden themselves, and the home folder. */
export function permissions(home: string): string[] {
  return [
    "--no-config",
    "--no-prompt",
    "--cached-only",
    "--allow-env",
    "--allow-ffi",
    "--allow-sys=uid",
    `--allow-read=${home},/usr/bin/secret-tool`,
    `--allow-write=${home}`,
    "--allow-run=/usr/bin/secret-tool,/usr/bin/gdbus",
  ];
}
