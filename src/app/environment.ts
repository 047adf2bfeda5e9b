/**
 * Variables that change what the runtime underneath does, and are no settings of SecLlama's: a library loaded into the
 * process before its first line, an HTTP proxy that a prompt to 127.0.0.1 would be sent to in the clear, another set of
 * trusted certificates, telemetry. None of them is to have an effect.
 *
 * A compiled program has read some of them before this code runs, so it starts itself again without them: same process id, same
 * descriptors, some 20 ms. That undoes what came by accident or by another's configuration. A hostile library can hide from
 * it; whoever can preload one into this user's programs is this user.
 */
import { SecLlamaError } from "../errors.ts";

type Env = Record<string, string>;

/** Read by the dynamic loader and the C library before any code of the program's (ld.so(8)). */
const LOADER = /^(LD_.*|DYLD_.*|GLIBC_TUNABLES|GCONV_PATH)$/;
/** Read by the runtime's TLS at the start: it then writes the secrets of every connection to that file, for Wireshark. */
const TLS_SECRETS = /^SSLKEYLOGFILE$/i;
/** Deno's and its Node compatibility's, which read some at the start. */
const RUNTIME = /^(NODE_.*|DENO_(?!DIR$).*|OTEL_.*)$/;
/** Read when they are first needed: taking them out is enough. */
const LATE = /^(RUST_.*|SSL_CERT_(FILE|DIR)|(HTTPS?|ALL|NO)_PROXY)$/i;
/** Set for the second start: variables that are still there then are an error, not a reason for a third. */
const MARK = "SECLLAMA_STARTED_AGAIN";

/** Names among these variables that must have no effect, sorted. */
export function unwanted(env: Readonly<Env>): string[] {
  return Object.keys(env)
    .filter((name) => [LOADER, TLS_SECRETS, RUNTIME, LATE].some((kind) => kind.test(name))).sort();
}

/**
 * Takes the unwanted variables out of this process's environment; a compiled program on Linux starts again, instead of
 * returning, if one of them may have had its effect already.
 * @returns The environment as commands are to see it.
 * @throws {SecLlamaError} `bad-environment` if that cannot be undone.
 */
export async function settleEnvironment(): Promise<Env> {
  const env = Deno.env.toObject();
  const again = env[MARK] !== undefined;
  const names = unwanted(env);
  for (const name of again ? [MARK, ...names] : names) {
    Deno.env.delete(name);
    delete env[name];
  }
  const secrets = names.filter((name) => TLS_SECRETS.test(name));
  if (!Deno.build.standalone) {
    // From source the others reached Deno before us, and it is the user's own Deno; but no secret is to lie in a file.
    if (secrets.length > 0) throw refused(secrets);
    return env;
  }
  const early = names.filter((name) => !LATE.test(name));
  if (early.length === 0) return env;
  if (Deno.build.os === "linux" && !again) {
    const { startAgain } = await import("../bundle/start_again.ts");
    startAgain(Deno.args, { ...env, [MARK]: "1" });
  }
  if (again || secrets.length > 0 || early.some((name) => LOADER.test(name))) throw refused(early);
  return env;
}

function refused(names: readonly string[]): SecLlamaError {
  return new SecLlamaError("bad-environment", `${names[0]} is set: it changes this program`, {
    field: names[0]!,
    hint: `run: env ${names.map((name) => `-u ${name}`).join(" ")} secllama …`,
  });
}
