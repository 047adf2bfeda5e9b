/** Machines of a fleet by their commands, each with a home and a key of its own. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli, newHome, secllama } from "../support/serve.ts";

/** A machine of the fleet: a home and a key of its own. */
export async function machine() {
  const { home, env } = await newHome();
  const key = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
  const own = { ...env, SECLLAMA_KEY: key, SECLLAMA_DATA_DIR: join(home, "data") };
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli(args, { env: own });
    assert.equal(code, 0, `${args.join(" ")}\n${stderr}`);
    return stdout.trim();
  };
  const refused = async (...args: string[]) => {
    const { code, stderr } = await cli(args, { env: own });
    return { code, stderr };
  };
  return {
    home,
    env: own,
    run,
    refused,
    [Symbol.asyncDispose]: () => Deno.remove(home, { recursive: true }),
  };
}

/** `fleet publish --watch`, a process of its own. */
export async function publishing(env: Record<string, string>, args: readonly string[]) {
  const [program, ...rest] = secllama(["fleet", "publish", ...args, "--watch"]);
  const child = new Deno.Command(program!, {
    ...{ args: rest, env, clearEnv: true, stdin: "null" },
    ...{ stdout: "piped", stderr: "inherit" },
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await lines.read();
  assert.match(value ?? "", /gpu-1/);
  const read = (async () => {
    while (!(await lines.read()).done);
  })();
  let over: Promise<unknown> | undefined;
  return {
    [Symbol.asyncDispose]: async () => {
      if (over === undefined) child.kill("SIGTERM");
      await (over ??= Promise.all([child.status, read]));
    },
  };
}
