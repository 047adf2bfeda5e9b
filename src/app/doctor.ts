/** `secllama doctor` as a process of its own, which serve starts for its page: it needs rights that serve has given up. */
import { utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { PROGRAM_PERMISSIONS } from "../permissions.ts";
import { selfArgv } from "./role_command.ts";

/** Longer than it takes on a machine that is busy. */
const TIME_MS = 5 * 60_000;
/** So long it has to end by itself when it is told to; it notes SIGTERM, and looks at it between two steps. */
const GRACE_MS = 5_000;

/**
 * Its report, as `secllama doctor --json` prints it (docs/doctor.md).
 * @param o.env Of serve, with its profile.
 * @param o.proxyPort Of the proxy beside it, as set; 0: none, or any, which the data folder tells.
 * @throws {SecLlamaError} `internal` if it came to none; `cancelled`.
 */
export async function runDoctor(
  signal: AbortSignal,
  { env, proxyPort }: {
    readonly env: { readonly [name: string]: string | undefined };
    readonly proxyPort: number;
  },
): Promise<unknown> {
  const stdout = await outputOf(
    selfArgv(["doctor", "--json", "--proxy-port", String(proxyPort)], [
      "--no-prompt",
      ...PROGRAM_PERMISSIONS,
    ]),
    {
      env,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIME_MS)]),
    },
  );
  if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
  try {
    return JSON.parse(utf8Decode(stdout));
  } catch (cause) {
    throw new SecLlamaError("internal", "the doctor came to no report", {
      hint: "run it yourself, it says why: secllama doctor",
      cause,
    });
  }
}

/** What a program prints. When `signal` is aborted it is told to end, and is ended if it does not. */
export async function outputOf(
  [program, ...args]: readonly string[],
  { env, signal, graceMs = GRACE_MS }: {
    readonly env: { readonly [name: string]: string | undefined };
    readonly signal: AbortSignal;
    readonly graceMs?: number;
  },
): Promise<Uint8Array<ArrayBuffer>> {
  const child = new Deno.Command(program!, {
    args,
    env: Object.fromEntries(Object.entries(env).filter((one) => one[1] !== undefined)) as Record<
      string,
      string
    >,
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    signal,
  }).spawn();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const endLater = () => {
    timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  };
  if (signal.aborted) endLater();
  else signal.addEventListener("abort", endLater, { once: true });
  try {
    return (await child.output()).stdout;
  } finally {
    signal.removeEventListener("abort", endLater);
    clearTimeout(timer);
  }
}
