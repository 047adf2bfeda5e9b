/** The proxy that an agent is to use: the one that runs, once it has proven itself, else one for as long as the agent runs. */
import { type LocalProxy, NoOwnProxy } from "../../app/local_proxy.ts";
import { proxyPermissions, selfArgv } from "../../app/role_command.ts";
import { ROUTES } from "../../api/routes.ts";
import { SecLlamaError } from "../../errors.ts";
import { type Post, postToProxy } from "../chat/ask.ts";
import type { CommandContext } from "../command.ts";
import { askedProxy, readSettings } from "../settings.ts";

export interface ProxyHandle extends AsyncDisposable {
  readonly url: string;
  /** Asks it, on a connection whose other end has proven itself. */
  readonly post: Post;
}

/**
 * @param start Whether to start one if none runs: it ends with this.
 * @throws {SecLlamaError} `gateway-unreachable`, `peer-refused`, `cancelled`; what a proxy is refused with.
 */
export async function askedProxyOf(
  context: CommandContext,
  { start }: { start: boolean },
): Promise<ProxyHandle> {
  const settings = await readSettings(context);
  const proxy = askedProxy(settings, context);
  const post = postToProxy(proxy);
  let stop = async () => {};
  try {
    await (await post(ROUTES.version.path, undefined, context.signal)).body?.cancel();
  } catch (error) {
    const isNothingThere = error instanceof NoOwnProxy && error.code === "gateway-unreachable";
    if (!start || !isNothingThere) throw error;
    stop = await startProxy(proxy, context);
  }
  return {
    url: `http://${proxy.hostname}:${proxy.port}`,
    post,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** @returns What ends it. */
async function startProxy(
  { port, dataDir }: LocalProxy,
  { env, tui, values }: CommandContext,
): Promise<() => Promise<void>> {
  tui.note("no proxy runs: starting one for as long as the agent does");
  const profile = typeof values["profile"] === "string" ? ["--profile", values["profile"]] : [];
  const argv = selfArgv(
    ["proxy", "--proxy-port", String(port), ...profile],
    proxyPermissions({ dataDir, gatewayHost: "127.0.0.1" }),
  );
  const own = Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const child = new Deno.Command(argv[0]!, {
    args: argv.slice(1),
    env: Object.fromEntries(own),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  if (done) {
    await child.status;
    throw new SecLlamaError("gateway-unreachable", "no proxy runs, and none could be started", {
      hint: "start one first, in another terminal: secllama serve; without a key store: " +
        "secllama serve --ephemeral",
    });
  }
  void (async () => {
    while (!(await reader.read()).done);
  })();
  return async () => {
    child.kill("SIGTERM");
    await child.status;
  };
}
