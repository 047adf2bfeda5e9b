/** Runs many command lines in one process of `mistakes_main.ts`. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { GATEWAY_PERMISSIONS, ROOT } from "../support/serve.ts";

export const FROM_SOURCE = [
  ...[Deno.execPath(), "run", ...GATEWAY_PERMISSIONS, "--config", join(ROOT, "deno.json")],
  new URL("mistakes_main.ts", import.meta.url).pathname,
];

/** What each is told, in their order. */
export async function sayAll(
  lines: readonly { readonly args: readonly string[]; readonly env: Record<string, string> }[],
  o: { argv: readonly string[]; env: Record<string, string>; cwd: string },
): Promise<{ code: number; stdout: string; stderr: string }[]> {
  const [program, ...args] = o.argv;
  const child = new Deno.Command(program!, {
    args,
    env: o.env,
    clearEnv: true,
    cwd: o.cwd,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(
    new TextEncoder().encode(lines.map((line) => JSON.stringify(line)).join("\n")),
  );
  await writer.close();
  const { stdout } = await child.output();
  const answers = new TextDecoder().decode(stdout).trim().split("\n");
  assert.equal(answers.length, lines.length, `the process ended at ${lines[answers.length]?.args}`);
  return answers.map((line) => JSON.parse(line));
}
