/** `secllama doctor` as a process of its own, which serve starts for its page: it needs rights that serve has given up. */
import { utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { selfArgv } from "./role_command.ts";

/** Longer than it takes on a machine that is busy. */
const TIME_MS = 5 * 60_000;

/** What a command of this program may do, run from source. */
const PERMISSIONS = [
  "--no-prompt",
  "--deny-import",
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-run",
  "--allow-env",
  "--allow-ffi",
  "--allow-sys=uid",
];

/**
 * Its report, as `secllama doctor --json` prints it (docs/doctor.md).
 * @throws {SecLlamaError} `internal` if it came to none; `cancelled`.
 */
export async function runDoctor(signal: AbortSignal): Promise<unknown> {
  const [program, ...args] = selfArgv(["doctor", "--json"], PERMISSIONS);
  const child = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIME_MS)]),
  }).spawn();
  const { stdout } = await child.output();
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
