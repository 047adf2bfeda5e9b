/**
 * Starts `secllama serve` as a process of its own, with a home of its own and free ports, and stops it. Nothing
 * is mocked: gateway, proxy, sandbox and model are the real ones.
 */
import { join } from "node:path";
import { PROGRAM_PERMISSIONS } from "../../src/permissions.ts";
import { bundledProgram, compiledProgram, sharedCache } from "./binary.ts";
import { HANG_MS, settled } from "./patience.ts";
import { startInTurn } from "./start_lock.ts";
import { denoDir } from "./deno_dir.ts";
import { tell } from "./signal.ts";

export const ROOT = new URL("../../", import.meta.url).pathname;
/** What `deno task serve` gives, less what the tests set themselves. */
export const GATEWAY_PERMISSIONS = [
  "--quiet",
  "--frozen",
  "--no-prompt",
  ...PROGRAM_PERMISSIONS,
];

/**
 * How `secllama` is run: bundled, which is the source and starts at half the cost; from source by Deno, as `deno task serve`
 * does; or the compiled program.
 */
export type Way = "bundled" | "source" | "binary";
let way: Way = "bundled";

export function currentWay(): Way {
  return way;
}

/** The argv of `secllama ARGS` in the way that the running test asked for. */
export function secllama(args: readonly string[], entry?: string): string[] {
  if (way === "binary") return [compiledProgram(), ...args];
  const program = entry ?? (way === "source" ? join(ROOT, "main.ts") : bundledProgram());
  return [Deno.execPath(), "run", ...GATEWAY_PERMISSIONS, program, ...args];
}

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";

/**
 * A test that a full run makes from source and on the compiled program, which is what people run. A plain run makes it bundled, which
 * is the same program at half the cost; tests/binary/ has what differs between the two.
 * @param as "binary" or "source" where that way's own start is what is tested: so in every run. @param ignore What it is given
 * prints why.
 */
export function bothWays(
  name: string,
  body: (t: Deno.TestContext) => Promise<void>,
  as?: "binary" | "source",
  ignore = false,
): void {
  if (!FULL && as === undefined) {
    sayBundled();
    return oneWay(name, body, "bundled", ignore);
  }
  const compiled: Way = compiledProgram() === "" ? "bundled" : "binary";
  const ways: Way[] = FULL ? ["source", compiled] : as === "source" ? [as, compiled] : [compiled];
  for (const each of new Set(ways)) oneWay(name, body, each, ignore);
}

let said = false;

function sayBundled(): void {
  if (!said) console.log("skipped: from source and compiled; set SECLLAMA_FULL=1");
  said = true;
}

function oneWay(
  name: string,
  body: (t: Deno.TestContext) => Promise<void>,
  each: Way,
  ignore = false,
): void {
  Deno.test({
    name: `${each}: ${name}`,
    ignore,
    async fn(t) {
      way = each;
      try {
        await body(t);
      } finally {
        way = "bundled";
      }
    },
  });
}

export interface Served {
  readonly proxyUrl: string;
  readonly gatewayUrl: string;
  readonly banner: string;
  /** Pid of the gateway. */
  readonly pid: number;
  readonly home: string;
  /** Of the user whose home it is, for {@link cli}. */
  readonly env: Record<string, string>;
  stderr(): string;
  /** SIGTERM, then waits. Returns the exit code. */
  stop(): Promise<{ code: number }>;
  /** SIGKILL, then waits for the gateway alone. */
  killHard(): Promise<void>;
}

/** A new home, and the environment of a user who has nothing but it. */
export async function newHome(): Promise<{ home: string; env: Record<string, string> }> {
  const home = await Deno.makeTempDir({ prefix: "secllama-test-" });
  return {
    home,
    env: {
      HOME: home,
      PATH: "/usr/bin:/bin",
      NO_COLOR: "1",
      LANG: "C.UTF-8",
      ...(way === "binary" ? { XDG_CACHE_HOME: sharedCache() } : {}),
      DENO_DIR: denoDir(),
    },
  };
}

/** Runs one command of the CLI to its end. */
export async function cli(
  args: readonly string[],
  options: { env: Record<string, string>; stdin?: string; timeoutMs?: number },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [program, ...argv] = secllama(args);
  const child = new Deno.Command(program!, {
    args: argv,
    env: options.env,
    clearEnv: true,
    cwd: options.env["HOME"] ?? "/",
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  if (options.stdin !== undefined) {
    await writer.write(new TextEncoder().encode(options.stdin)).catch(() => {});
  }
  await writer.close().catch(() => {});
  const timer = setTimeout(() => tell(child, "SIGKILL"), options.timeoutMs ?? HANG_MS);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  return {
    code,
    stdout: new TextDecoder().decode(stdout),
    stderr: new TextDecoder().decode(stderr),
  };
}

export interface ServeOptions {
  env?: Record<string, string>;
  args?: readonly string[];
  entry?: string;
  /** A program that runs the rest of its arguments, in a namespace say. */
  under?: readonly string[];
  /** A compiled program to use. */
  program?: string;
}

/** Starts serve in its turn, and waits until it is ready. @throws {Error} With its output if it ends first. */
export function startServe(options: ServeOptions = {}): Promise<Served> {
  return startInTurn(() => start(options));
}

async function start(options: ServeOptions): Promise<Served> {
  const { home, env } = await newHome();
  const args = ["serve", "--port=0", "--proxy-port=0", ...(options.args ?? ["--ephemeral"])];
  const [program, ...argv] = [
    ...(options.under ?? []),
    ...(options.program ? [options.program, ...args] : secllama(args, options.entry)),
  ];
  const child = new Deno.Command(program!, {
    args: argv,
    env: { ...env, ...(options.program ? { XDG_CACHE_HOME: sharedCache() } : {}), ...options.env },
    clearEnv: true,
    cwd: home,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  let out = "";
  let err = "";
  let ended = false;
  const ready = Promise.withResolvers<void>();
  const readingOut = (async () => {
    for await (const chunk of child.stdout) {
      out += decoder.decode(chunk, { stream: true });
      // The banner is written in one go, after its warnings.
      if (/SecLlama is ready[^]*\n {2}(model|isolation) [^]*\n$/.test(out)) ready.resolve();
    }
    ready.resolve();
  })();
  const errDecoder = new TextDecoder();
  const readingErr = (async () => {
    for await (const chunk of child.stderr) err += errDecoder.decode(chunk, { stream: true });
  })();
  const status = child.status.then((s) => (ended = true, s));
  const timer = setTimeout(() => tell(child, "SIGKILL"), HANG_MS);
  await ready.promise;
  clearTimeout(timer);
  const end = async () => {
    const s = await status;
    await Promise.all([readingOut, readingErr]);
    await Deno.remove(home, { recursive: true }).catch(() => {});
    return s;
  };
  if (ended || !out.includes("SecLlama is ready")) {
    if (!ended) tell(child, "SIGKILL");
    await end();
    throw new Error(`serve did not start:\n${out}\n${err}`);
  }
  return {
    proxyUrl: /proxy +(http:\S+)/.exec(out)?.[1] ?? "",
    gatewayUrl: /gateway +(https?:\S+)/.exec(out)![1]!,
    banner: out,
    pid: child.pid,
    home,
    env,
    stderr: () => err,
    async stop() {
      if (!ended) tell(child, "SIGTERM");
      return { code: (await settled(end(), "serve's end")).code };
    },
    async killHard() {
      child.kill("SIGKILL");
      await end();
    },
  };
}

/** Posts a non-streaming chat and returns the parsed answer. */
export async function chat(
  base: string,
  content: string,
  more: Record<string, unknown> = {},
): Promise<{
  status: number;
  headers: Headers;
  body: {
    message?: { content: string };
    error?: string;
    done_reason?: string;
    [key: string]: unknown;
  };
}> {
  const response = await fetch(`${base}/api/chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "demo",
      stream: false,
      messages: [{ role: "user", content }],
      ...more,
    }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Pids of live processes whose environment or argv names `mark`; from /proc, so it needs the same user or root. */
export async function processesNaming(mark: string): Promise<number[]> {
  const found: number[] = [];
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    try {
      const text = await Deno.readTextFile(`/proc/${entry.name}/environ`) +
        await Deno.readTextFile(`/proc/${entry.name}/cmdline`);
      if (text.includes(mark)) found.push(Number(entry.name));
    } catch { /* it ended, or is another user's */ }
  }
  return found;
}
