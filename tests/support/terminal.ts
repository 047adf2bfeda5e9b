/** Runs `secllama` on a real terminal (a pty by Python), with keys that are sent once what is expected was shown. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { newHome, ROOT, secllama } from "./serve.ts";

export type Step = readonly ["expect" | "send", string] | readonly ["size", columns: number];

/** The command's end; it fails if something that is expected never shows. */
export async function onTerminal(
  served: { readonly home: string },
  args: readonly string[],
  steps: readonly Step[],
  o: { readonly env?: Record<string, string>; readonly cwd?: string } = {},
): Promise<{ seen: string; failed: null; code: number }> {
  const { home, env } = await newHome();
  try {
    const child = new Deno.Command("/usr/bin/python3", {
      args: [join(ROOT, "tests/cli/terminal.py"), ...secllama(args)],
      env: { ...env, TERM: "xterm", ...o.env, HOME: served.home },
      clearEnv: true,
      cwd: o.cwd ?? home,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(steps)));
    await writer.close();
    const { stdout } = await child.output();
    const answer = JSON.parse(new TextDecoder().decode(stdout));
    assert.equal(answer.failed, null, answer.seen.slice(-4000));
    return answer;
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
