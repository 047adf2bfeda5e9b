/**
 * Runs command lines one after the other in one process, for tests of what they say: a line of JSON each on standard input,
 * `{"args": ["…"], "env": {"…": "…"}}`, and one each on standard output, `{"code": 2, "stdout": "…", "stderr": "…"}`.
 */
import { runCli } from "../../src/cli/main.ts";

const decoder = new TextDecoder();
const own = Deno.stdout.writeSync.bind(Deno.stdout);
const said = { stdout: "", stderr: "" };
for (const name of ["stdout", "stderr"] as const) {
  Deno[name].writeSync = (bytes: Uint8Array) => {
    said[name] += decoder.decode(bytes, { stream: true });
    return bytes.length;
  };
}

// By reads: a command may want the stream, which can be taken once.
let text = "";
const buffer = new Uint8Array(1 << 16);
const input = new TextDecoder();
for (let n; (n = Deno.stdin.readSync(buffer)) !== null;) {
  text += input.decode(buffer.subarray(0, n), { stream: true });
}
const lines = text.split("\n").filter((l) => l !== "");
for (const line of lines) {
  const { args, env } = JSON.parse(line) as { args: string[]; env: Record<string, string> };
  said.stdout = said.stderr = "";
  const before = Object.keys(env).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  const code = await runCli(args);
  for (const [name, value] of before) {
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  }
  const bytes = new TextEncoder().encode(JSON.stringify({ code, ...said }) + "\n");
  for (let at = 0; at < bytes.length;) at += own(bytes.subarray(at));
}
Deno.exit(0);
