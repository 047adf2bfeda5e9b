/** `secllama proxy`: the plain API on loopback, sealed from here to the gateway. */
import { hardenSelf } from "../sandbox/mod.ts";
import { type Credentials, sealedFetch } from "../client/mod.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { openKeySource } from "../keys/mod.ts";
import { makeLogger } from "../log.ts";
import { permissionLabels } from "../app/permission_labels.ts";
import { startProxy } from "../proxy/mod.ts";
import { type Command, flag, stringOption } from "./command.ts";
import { KEY_OPTIONS, keySourceOptions } from "./key_options.ts";
import { pairedGateway, PAIRING_OPTIONS, pairingCommand } from "./pairings.ts";
import { readSettings, SETTING_OPTIONS } from "./settings.ts";

export const proxyCommand: Command = {
  path: ["proxy"],
  summary: "Serve the Ollama API on loopback, sealed to a gateway",
  options: {
    "proxy-port": SETTING_OPTIONS["proxy-port"]!,
    "log-level": SETTING_OPTIONS["log-level"]!,
    "allow-model-management": {
      type: "boolean",
      help: "pass pull, create, copy and delete on to the gateway, which decides",
    },
    ...KEY_OPTIONS,
    gateway: {
      type: "string",
      value: "URL",
      help: "a gateway of this machine's own key (default http://127.0.0.1:11435)",
    },
    ...PAIRING_OPTIONS,
    "from-serve": {
      type: "boolean",
      help: "started by serve: the key comes on standard input, whose end ends the proxy",
    },
  },
  details: `\`secllama serve\` starts one by itself unless it is told --no-proxy.

On a machine that is paired with a gateway elsewhere, the proxy (and secllama run) uses that gateway. To pair, run
secllama pair NAME there and here: secllama proxy --pair -   which asks for the line, or reads it from standard input.
With --ephemeral the pairing is kept in memory and the proxy starts at once.`,
  async run(context) {
    hardenSelf();
    const { config, dataDir } = await readSettings(context);
    const logger = makeLogger({ role: "proxy", level: config.logLevel });
    const fromServe = flag(context, "from-serve");
    const handled = await pairingCommand(context, dataDir);
    if (handled === "done") return EXIT.ok;
    const stop = new AbortController();
    // Ctrl-C and service managers signal the whole group: beside serve it ends with serve, not before.
    if (!fromServe) context.signal.addEventListener("abort", () => stop.abort(), { once: true });
    const handover = fromServe ? await readHandover(() => stop.abort()) : undefined;
    if (handover === null) return EXIT.ok;
    const given = handover?.credentials;
    const paired = fromServe ? undefined : handled ?? await pairedGateway(context, dataDir);
    if (!fromServe && paired === undefined && flag(context, "ephemeral")) {
      throw new SecLlamaError("usage", "no gateway has the key that --ephemeral makes", {
        field: "--ephemeral",
        hint: "it goes with --pair -; for a gateway on this machine, serve starts its own proxy",
      });
    }
    const connection = paired ?? {
      gateway: handover?.gateway ?? stringOption(context, "gateway") ??
        `http://127.0.0.1:${config.port}`,
      credentials: given ?? await storeCredentials(keySourceOptions(context, dataDir)),
    };
    const fetch = sealedFetch(connection);
    const gateway = String(connection.gateway);
    const proxy = await startProxy({
      gateway,
      hostname: "127.0.0.1",
      port: config.proxyPort,
      fetch,
      metadata: fetch.metadata,
      logger,
      ...(config.allowModelManagement ? { management: { maxBytes: config.maxModelBytes } } : {}),
      signal: stop.signal,
    });
    for (const name of ["env", "sys", "import"] as const) Deno.permissions.revokeSync({ name });
    if (given) {
      // With the key in hand nothing else of the machine is needed.
      for (const name of ["run", "read", "write"] as const) Deno.permissions.revokeSync({ name });
    }
    logger.info("permissions", permissionLabels());
    const url = `http://127.0.0.1:${proxy.addr.port}`;
    context.tui.out(fromServe ? url : `proxy ready on ${url}, sealing to ${gateway}`);
    await proxy.finished;
    return EXIT.ok;
  },
};

async function storeCredentials(
  options: Parameters<typeof openKeySource>[0],
): Promise<() => Promise<Credentials>> {
  const keys = await openKeySource(options);
  return async () => {
    const [active, ...others] = await keys.psks();
    for (const { psk } of others) psk.fill(0);
    return { psk: active!.psk, pskId: active!.pskId };
  };
}

interface Handover {
  readonly gateway: string;
  /** Absent: read the key store. */
  readonly credentials?: () => Promise<Credentials>;
}

/** The first line of standard input; its end calls `onEnd`. Null: serve has ended before it had a gateway. */
async function readHandover(onEnd: () => void): Promise<Handover | null> {
  const reader = Deno.stdin.readable.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done && text === "") return null;
    if (done || text.length > 4096) {
      throw new SecLlamaError("usage", "--from-serve expects a line on standard input");
    }
    text += decoder.decode(value, { stream: true });
  }
  void (async () => {
    while (!(await reader.read()).done) { /* serve writes nothing more */ }
    onEnd();
  })();
  const line = JSON.parse(text.split("\n")[0]!) as {
    store?: boolean;
    pskId?: string;
    psk?: string;
    gateway?: string;
  };
  const { gateway } = line;
  if (typeof gateway !== "string") {
    throw new SecLlamaError("usage", "--from-serve got a line without a gateway");
  }
  if (line.store === true) return { gateway };
  if (typeof line.pskId !== "string" || typeof line.psk !== "string") {
    throw new SecLlamaError("usage", "--from-serve got a line that it does not know");
  }
  const { pskId } = line;
  const psk = Uint8Array.fromBase64(line.psk);
  return { gateway, credentials: () => Promise.resolve({ pskId, psk: psk.slice() }) };
}
