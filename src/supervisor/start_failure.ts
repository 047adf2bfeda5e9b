/** Why a runner did not come to serve, as an error with what to do about it: from its own word, and from how it ended. */
import type { FromRunner } from "../api/pipe_messages.ts";
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { canBecome } from "../linux/id_maps.ts";
import { startHint } from "../sandbox/mod.ts";

/** That the first program of a start could not even be executed. */
export function spawnFailure(cause: unknown): SecLlamaError {
  return new SecLlamaError(
    "sandbox-failed",
    "failed to apply sandbox: the launcher could not be started",
    { hint: spawnHint(cause), cause },
  );
}

function spawnHint(cause: unknown): string {
  if (cause instanceof Deno.errors.NotFound) {
    return "a program that starts runners went away: start serve again, which looks for it anew";
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return "this user may not execute it: look for noexec in its mount options, and at vm.memfd_noexec";
  }
  if (/^E[MN]FILE$/.test(String((cause as { code?: unknown } | undefined)?.code))) {
    return `too many files are open: ${HINTS.openFiles}`;
  }
  return "no process could be made: there are too many (ulimit -u), or too little memory; try again";
}

/**
 * Codes by which a load may fail, in a runner's own word. Another would pass for a refusal of the gateway's. `bad-model` is of the file:
 * it is not tried again elsewhere, as `model-failed` is.
 */
const LOAD_FAILURES: readonly ErrorCode[] = [
  "model-failed",
  "bad-model",
  "bad-request",
  "not-supported",
];

const VERIFY_HINT = "check the file with: secllama verify";

/** How runner/engine/library.ts says that it is not the model: the runner's word chooses a hint, and writes none. */
const LIBRARY_FAULT =
  /^library \S+ (?:is|has|cannot) |^the folder of the llama\.cpp libraries |^the llama\.cpp libraries |^no llama\.cpp libraries |^\S+ is no llama\.cpp whose |^llama\.cpp has no backend |^the CPU backend has no /;
const LIBRARY_HINT =
  "the model is not at fault: with --engine-libraries give the folder of a llama.cpp whose layout was checked, or leave it out; without, install SecLlama again";

/** A runner's own word that it cannot load its model. */
export function loadFailure(
  { code, message }: Extract<FromRunner, { t: "failed" }>,
): SecLlamaError {
  return new SecLlamaError(
    LOAD_FAILURES.includes(code) ? code : "model-failed",
    `model failed to load: its runner says: ${message}`,
    { hint: LIBRARY_FAULT.test(message) ? LIBRARY_HINT : VERIFY_HINT },
  );
}

/** As the C library, Deno and HTTP clients put it when there is no network. */
const NETWORK_ERROR =
  /network is unreachable|could ?n.t (resolve|connect)|name resolution|requires net access|error sending request|\bsocket\b.*(denied|permitted)/i;

/** The first of the users that root's runners become (src/sandbox/linux/users.ts). */
const RUNNER_ID = 65432;

/**
 * What the launcher or runner said before it died, as an error. Only the launcher's one-line reasons are repeated, with what to do
 * about them: a runner's own, which a model may have taken over, are not taken for the launcher's.
 */
export function startFailure(
  { stderr, spoke }: {
    readonly stderr: string;
    /** It has sent a message: the launcher was over. */
    readonly spoke: boolean;
  },
  status: Deno.CommandStatus,
  /** What broke its pipe. */
  fallback: SecLlamaError,
): SecLlamaError {
  const line = spoke
    ? undefined
    : stderr.split("\n").find((l) => /^(launcher|runner|unshare|sandbox-exec):/.test(l));
  if (line && !line.startsWith("runner:")) {
    return new SecLlamaError("sandbox-failed", `failed to apply sandbox: ${line.slice(0, 200)}`, {
      hint: startHint(line, { mapped: Deno.build.os !== "linux" || canBecome(RUNNER_ID) }),
    });
  }
  if (NETWORK_ERROR.test(stderr)) {
    return new SecLlamaError(
      "model-failed",
      "model fails to start with network errors: a runner has no network, and is to have none",
      { hint: "use a model whose files are all on this machine: secllama pull, secllama import" },
    );
  }
  if (fallback.code === "pipe-broken") return fallback;
  return new SecLlamaError(
    "model-failed",
    `model failed to load: its runner ended with ${status.signal ?? `code ${status.code}`}`,
    { hint: endHint(stderr, status.signal) },
  );
}

/** What to do about a runner that ended while it loaded. The sandbox is named only where it may be the cause. */
function endHint(stderr: string, signal: Deno.Signal | null): string {
  if (signal === "SIGSYS" || /NotCapable|Operation not permitted|Permission denied/i.test(stderr)) {
    return "to see what the sandbox allows on this machine, run: secllama doctor";
  }
  // The runner's line between stage 2 and its first computation.
  const computed = /^runner: computes$/m.test(stderr);
  switch (signal) {
    case "SIGKILL":
      return "there may be too little memory for it: unload others (secllama ps, secllama stop), or take a smaller model";
    case "SIGILL":
      return "this processor may lack what the libraries need: a newer one, or another build of them";
    case "SIGABRT":
    case "SIGSEGV":
    case "SIGBUS":
    case "SIGFPE":
      return computed
        ? "what the model computes with on this processor may be what the sandbox stops: try: secllama run demo; then: secllama doctor"
        : "llama.cpp does not bear this file: check it with: secllama verify; then get the model from elsewhere, or a newer SecLlama";
    default:
      return VERIFY_HINT;
  }
}
