/** What one attack came to, by the host's evidence first: a hit that its listener counted outweighs what the attacker says. */
import { CORE_DUMP } from "../attacks/kernel.ts";
import { COUNTED } from "../attacks/network.ts";
import type { AttackRunResult } from "./attack_run.ts";

/**
 * out: it worked. blocked: it was refused. killed: the kernel ended the process for it. not run: it was never tried, which says
 * nothing of the sandbox.
 */
export type Verdict = "out" | "blocked" | "killed" | "not run";

export interface Judgement {
  readonly verdict: Verdict;
  /** "socket: EACCES" */
  readonly detail: string;
  /** The call that was refused, or the last one; "" if none came to be. */
  readonly step: string;
  /** "EACCES", the name of a signal or of Deno's error; "" if nothing was refused. */
  readonly errno: string;
  /** Not run, as this machine has no such way at all. */
  readonly absent?: true;
}

const SIGSYS = "SIGSYS";

/**
 * By a signal, or by the exit code that a shell makes of one. Some versions of `unshare` fail to pass a child's signal on, and say so.
 * Any other end is not the sandbox's doing.
 */
function endedBySignal(run: AttackRunResult): boolean {
  return run.signal !== null || run.code > 128 || /^unshare: sigprocmask/m.test(run.stderr);
}

/** Judges attack `name` of a run. */
export function judge(name: string, run: AttackRunResult): Judgement {
  const listener = COUNTED.get(name);
  if (listener !== undefined && run.absent.has(listener)) {
    const detail = "this machine has no such socket";
    return { verdict: "not run", detail, step: "", errno: "", absent: true };
  }
  const reason = whyNotRun(name, run);
  if (reason !== undefined) return { verdict: "not run", detail: reason, step: "", errno: "" };
  if (name === CORE_DUMP) {
    const core = run.changed.find((file) => file.startsWith("core"));
    const detail = core ?? `no file, ${run.signal ?? run.code}`;
    return { verdict: core ? "out" : "blocked", detail, step: "", errno: "" };
  }
  const outcome = run.outcomes.get(name);
  if (!outcome) {
    if (run.signal === SIGSYS || run.code === 128 + 31) {
      return { verdict: "killed", detail: SIGSYS, step: "", errno: SIGSYS };
    }
    if (!endedBySignal(run)) {
      return { verdict: "out", detail: `ended with code ${run.code}`, step: "", errno: "" };
    }
    const signal = run.signal ?? "a signal";
    return { verdict: "killed", detail: `ended by ${signal}`, step: "", errno: run.signal ?? "" };
  }
  const { step, errno } = outcome;
  const detail = `${outcome.step}${outcome.errno === "" ? "" : `: ${outcome.errno}`}`;
  if (listener !== undefined && run.outcomes.size === 1) {
    const out = (run.hits[listener] ?? 0) > 0;
    return { verdict: out ? "out" : "blocked", detail, step, errno };
  }
  return { verdict: outcome.out ? "out" : "blocked", detail, step, errno };
}

/**
 * Why an attack was not tried: the attacker never came to its place, or ended at an earlier attack. A listener that was reached
 * all the same outweighs that.
 */
function whyNotRun(name: string, run: AttackRunResult): string | undefined {
  const counted = COUNTED.get(name);
  if (run.outcomes.has(name) || (counted !== undefined && (run.hits[counted] ?? 0) > 0)) {
    return undefined;
  }
  const end = run.signal === null ? `code ${run.code}` : run.signal;
  if (!run.started) return `the attacker ended before its first attack (${end})`;
  const ended = run.ordered.find((other) => !run.outcomes.has(other));
  return ended === name ? undefined : `the attacker ended at "${ended}" (${end})`;
}
