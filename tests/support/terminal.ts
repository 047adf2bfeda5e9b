/** Runs `secllama` on a real terminal (a pty by Python), with keys that are sent once what is expected was shown. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { newHome, ROOT, secllama } from "./serve.ts";

export type Step =
  | readonly ["expect" | "send", string]
  | readonly ["size", columns: number]
  | readonly ["signal", number: number];

/** What was seen, and how it ended. */
interface Shown {
  readonly seen: string;
  readonly failed: null;
  readonly code: number;
}

/** A program's end on a terminal; it fails if something that is expected never shows. */
export async function atTerminal(
  argv: readonly string[],
  steps: readonly Step[],
  o: { readonly env: Record<string, string>; readonly cwd: string },
): Promise<Shown> {
  const child = new Deno.Command("/usr/bin/python3", {
    args: [join(ROOT, "tests/cli/terminal.py"), ...argv],
    env: { TERM: "xterm", ...o.env },
    clearEnv: true,
    cwd: o.cwd,
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
}

/** The same of a command, in a home of its own but for its keys and models. */
export async function onTerminal(
  served: { readonly home: string },
  args: readonly string[],
  steps: readonly Step[],
  o: { readonly env?: Record<string, string>; readonly cwd?: string } = {},
): Promise<Shown> {
  const { home, env } = await newHome();
  try {
    return await atTerminal(secllama(args), steps, {
      env: { ...env, ...o.env, HOME: served.home },
      cwd: o.cwd ?? home,
    });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
