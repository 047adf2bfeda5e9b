/**
 * Starts `secllama proxy` as its own process beside `serve`. Its standard input stays open as long as this process lives:
 * when it ends, however it ends, the proxy sees the end of its input and goes too. It is started before there is a gateway, and
 * loads its modules meanwhile; where the gateway is comes on that pipe, with the pre-shared key where that is in no store.
 */
import type { Config } from "../config/config.ts";
import { listenText } from "../config/listen_at.ts";
import { type ErrorCode, isErrorCode, SecLlamaError } from "../errors.ts";
import type { StorageSource } from "../keys/mod.ts";
import { ProxyIdentity } from "../proxy/identity.ts";
import { encodeHandover, type HandedKeys } from "./handover.ts";
import { openVault } from "./history.ts";
import { withdrawLaunch } from "./page_launch.ts";
import { proxyPermissions, selfArgv } from "./role_command.ts";

/** Environment the proxy needs: the key store's session and the settings' folder. Nothing else is passed on. */
const PROXY_ENV = [
  "HOME",
  "XDG_DATA_HOME",
  "XDG_RUNTIME_DIR",
  "DBUS_SESSION_BUS_ADDRESS",
  "LANG",
  "NO_COLOR",
  "DENO_DIR",
  "SECLLAMA_DATA_DIR",
  "SECLLAMA_PROFILE",
  "USERPROFILE",
  "LOCALAPPDATA",
];
/** Far beyond what a busy machine needs: one that fails to start ends, which is seen at once. */
const READY_TIMEOUT_MS = 120_000;

export interface ProxyProcess {
  /** Resolves if it ends by itself. */
  readonly died: Promise<void>;
  /**
   * Says which gateway it is for, and waits until it serves.
   * @returns Its URL.
   * @throws {SecLlamaError} `port-in-use` and whatever else the proxy refused to start with. It is gone by then.
   */
  connect(gatewayUrl: string, keys: HandedKeys & StorageSource): Promise<string>;
  stop(): Promise<void>;
}

export function spawnProxy(o: {
  gatewayHost: string;
  port: number;
  dataDir: string;
  logLevel: string;
  allowModelManagement: boolean;
  /** Origins and names that it lets in besides its own. */
  allowed: { readonly origins: readonly string[]; readonly hosts: readonly string[] };
  requireToken: boolean | null;
  /** How long its answers under way may take when it is told to end. */
  drainMs: number;
  /** Where else it listens, and with what. */
  open: Pick<
    Config,
    "proxyListen" | "proxyListenMode" | "proxyListenGroup" | "tlsCert" | "tlsKey"
  >;
  /** Told of what it refused. */
  told: ProxyWords;
  env: { readonly [name: string]: string | undefined };
}): ProxyProcess {
  const argv = selfArgv(
    [
      "proxy",
      "--proxy-port",
      String(o.port),
      "--log-level",
      o.logLevel,
      "--from-serve",
      ...(o.allowModelManagement ? ["--allow-model-management"] : []),
      ...listed("--proxy-allow-origin", o.allowed.origins),
      ...listed("--proxy-allow-host", o.allowed.hosts),
    ],
    proxyPermissions({ dataDir: o.dataDir, gatewayHost: o.gatewayHost, open: o.open }),
  );
  const env: Record<string, string> = {};
  for (const name of PROXY_ENV) if (o.env[name] !== undefined) env[name] = o.env[name];
  // As serve decided, whichever of its sources said so.
  if (o.requireToken !== null) env["SECLLAMA_REQUIRE_TOKEN"] = String(o.requireToken);
  env["SECLLAMA_DRAIN_TIME"] = `${o.drainMs}ms`;
  if (o.open.proxyListen !== null) {
    env["SECLLAMA_PROXY_LISTEN"] = listenText(o.open.proxyListen);
    env["SECLLAMA_PROXY_LISTEN_MODE"] = o.open.proxyListenMode.toString(8);
    env["SECLLAMA_PROXY_LISTEN_GROUP"] = o.open.proxyListenGroup;
    env["SECLLAMA_TLS_CERT"] = o.open.tlsCert;
    env["SECLLAMA_TLS_KEY"] = o.open.tlsKey;
  }
  const child = new Deno.Command(argv[0]!, {
    args: argv.slice(1),
    env,
    clearEnv: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  let [stopping, connected] = [false, false];
  let port: number | undefined;
  const died = child.status.then(() => stopping ? new Promise<void>(() => {}) : undefined);
  const stop = async () => {
    stopping = true;
    await writer.close().catch(() => {});
    // Before it knows a gateway it has nothing to end in good order.
    const timer = setTimeout(() => child.kill("SIGKILL"), connected ? o.drainMs : 0);
    await child.status;
    clearTimeout(timer);
    // Once it had its key it could write nothing more, nor remove.
    if (port === undefined) return;
    if (await ProxyIdentity.withdrawOf(o.dataDir, port, child.pid)) {
      await withdrawLaunch(o.dataDir, port);
    }
  };
  const connect = async (gateway: string, keys: HandedKeys & StorageSource) => {
    try {
      const line = await encodeHandover(gateway, keys, openVault(o.dataDir, keys));
      connected = true;
      await writer.write(new TextEncoder().encode(line + "\n"));
      const url = await readyLine(child.stdout, o.told);
      port = Number(new URL(url).port);
      return url;
    } catch (error) {
      await stop();
      throw error;
    }
  };
  return { died, connect, stop };
}

/** What the proxy says after its first line, when it refused a token, and when that one locked its sender out. */
export const TOKEN_REFUSED_LINE = "token-refused";
export const TOKEN_LOCKED_LINE = "token-refused locked";
/** What it says of each request that it turned away by itself; its code follows. */
export const TURNED_AWAY = "turned-away ";

/** Who is told of what the proxy says. */
export interface ProxyWords {
  /** Of each wrong token. */
  onTokenRefused(refusal: { readonly locked: boolean }): void;
  /** Of each request that it turned away, with or without a token. */
  onTurnedAway(code: ErrorCode): void;
}

async function readyLine(
  stdout: ReadableStream<Uint8Array>,
  told: ProxyWords,
): Promise<string> {
  const reader = stdout.pipeThrough(
    new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>,
  ).getReader();
  let text = "";
  const timer = setTimeout(() => void reader.cancel(), READY_TIMEOUT_MS);
  try {
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) {
        throw new SecLlamaError("address-unavailable", "the proxy did not start", {
          hint: "see the error above; to use another port: --proxy-port, or --no-proxy",
        });
      }
      text += value;
    }
  } finally {
    clearTimeout(timer);
  }
  const [first, ...rest] = text.split("\n");
  void listen(reader, rest.join("\n"), told);
  return first!.trim();
}

async function listen(
  reader: ReadableStreamDefaultReader<string>,
  begun: string,
  told: ProxyWords,
): Promise<void> {
  let text = begun;
  for (;;) {
    const lines = text.split("\n");
    text = lines.pop()!.slice(0, 256);
    for (const line of lines.map((one) => one.trim())) {
      if (line === TOKEN_REFUSED_LINE) told.onTokenRefused({ locked: false });
      if (line === TOKEN_LOCKED_LINE) told.onTokenRefused({ locked: true });
      const code = line.startsWith(TURNED_AWAY) ? line.slice(TURNED_AWAY.length) : "";
      if (isErrorCode(code)) told.onTurnedAway(code);
    }
    const { done, value } = await reader.read()
      .catch(() => ({ done: true as const, value: undefined }));
    if (done) return;
    text += value;
  }
}

function listed(flag: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [flag, values.join(",")];
}
