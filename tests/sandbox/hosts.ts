/** Starts gateways in small (host.ts) and looks at what lives. */
import { linux } from "../../src/linux/libc.ts";
import type { HostAnswer, HostOrder } from "./host.ts";
import type { Staged } from "./stage.ts";

export function alive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(linux().readText(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

export async function startHost(
  stage: Staged,
  order: Omit<HostOrder, "stage">,
  asUser: boolean,
): Promise<{ host: Deno.ChildProcess; answer: HostAnswer }> {
  const { deno, attacker, libDir, model } = stage;
  const argument = { ...order, stage: { deno, attacker, libDir, model } };
  const argv = [
    ...(asUser ? stage.asUser() : []),
    deno,
    "run",
    "-A",
    "--no-lock",
    stage.programs["host"]!,
    JSON.stringify(argument),
  ];
  const host = new Deno.Command(argv[0]!, {
    args: argv.slice(1),
    env: { PATH: "/usr/bin:/bin", DENO_DIR: "/dev/null/deno" },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  const decoder = new TextDecoder();
  const reader = host.stdout.getReader();
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += decoder.decode(value);
  }
  await reader.cancel();
  return { host, answer: JSON.parse(text) as HostAnswer };
}
