/**
 * Runs one of the operating system's own key tools: by absolute path, with an environment of a few named variables, the
 * secret on standard input only, a time limit and a cap on what it may print. Never a shell, never a secret in argv.
 */
import type { Bytes } from "../../bytes.ts";
import { concat } from "../../bytes.ts";
import { secret, wipe } from "../../secret.ts";

export interface ProgramResult {
  /** The exit code; 124 when the time limit ended it. */
  readonly code: number;
  readonly timedOut: boolean;
  /** Up to 64 KiB. It may hold a secret: the caller zeroes it. */
  readonly stdout: Bytes;
  /** Up to 64 KiB, as text, for telling failures apart. Never shown to a person. */
  readonly stderr: string;
}

export interface ProgramOptions {
  /** Written to standard input, which is then closed. Without it standard input is empty. */
  readonly stdin?: Uint8Array;
  readonly env: Record<string, string>;
  readonly timeoutMs: number;
}

/** A function that runs a program; the stores take it as an option so that a test can stand in for the tool. */
export type RunProgram = (
  path: string,
  args: readonly string[],
  options: ProgramOptions,
) => Promise<ProgramResult>;

const OUTPUT_CAP_BYTES = 65_536;

/**
 * Runs `path` with `args` and waits for it.
 * @throws {Deno.errors.NotFound} If there is no such program.
 */
export const runProgram: RunProgram = async (path, args, options) => {
  const child = new Deno.Command(path, {
    args: [...args],
    env: options.env,
    clearEnv: true,
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let timedOut = false;
  const late = new AbortController();
  const timer = setTimeout(() => {
    timedOut = true;
    late.abort(); // a grandchild may hold the pipes open; do not wait for it
    try {
      child.kill("SIGKILL");
    } catch { /* it ended by itself just now */ }
  }, options.timeoutMs);
  try {
    const [stdout, stderr, status] = await Promise.all([
      collect(child.stdout, late.signal),
      collect(child.stderr, late.signal),
      child.status,
      options.stdin === undefined ? undefined : feed(child.stdin, options.stdin),
    ]);
    return {
      code: timedOut ? 124 : status.code,
      timedOut,
      stdout,
      stderr: new TextDecoder().decode(stderr),
    };
  } finally {
    clearTimeout(timer);
  }
};

async function feed(stdin: WritableStream<Uint8Array>, bytes: Uint8Array): Promise<void> {
  const writer = stdin.getWriter();
  try {
    // A copy: the stream may still hold the buffer when the caller zeroes its own.
    using copy = secret(new Uint8Array(bytes));
    await writer.write(copy);
    await writer.close();
  } catch {
    // The program ended without reading everything; its exit code says why.
  }
}

async function collect(stream: ReadableStream<Uint8Array>, late: AbortSignal): Promise<Bytes> {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  late.addEventListener("abort", cancel);
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (length + value.length > OUTPUT_CAP_BYTES) wipe(value);
    else {
      parts.push(value);
      length += value.length;
    }
  }
  late.removeEventListener("abort", cancel);
  const all = concat(...parts);
  wipe(...parts);
  return all;
}
