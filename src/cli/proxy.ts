/** `secllama proxy`: the plain API on loopback, sealed from here to the gateway. */
import { type Handover, readHandover } from "../app/handover.ts";
import { alsoLetIn } from "../app/banner.ts";
import { openVaultFrom } from "../app/history.ts";
import { type LocalConnection, localConnection, startProxyRole } from "../app/proxy.ts";
import { checkProxyListen } from "../app/proxy_listener.ts";
import { TOKEN_LOCKED_LINE, TOKEN_REFUSED_LINE, TURNED_AWAY } from "../app/proxy_process.ts";
import { shareFolder } from "../config/folder_lock.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { notifyServiceManager } from "../linux/service_manager.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { type Command, type CommandContext, flag, stringOption } from "./command.ts";
import { KEY_OPTIONS, keySourceOptions } from "./key_options.ts";
import { pairedConnection, PAIRING_OPTIONS, pairingCommand } from "./pairings.ts";
import { keepSession } from "./sign_in/keeper.ts";
import type { SessionPlace } from "./sign_in/session.ts";
import { SessionStore } from "./sign_in/session_store.ts";
import { readSettings, SETTING_OPTIONS } from "./settings.ts";

export const proxyCommand: Command = {
  path: ["proxy"],
  summary: "Serve the Ollama API on loopback, sealed to a gateway",
  options: {
    "proxy-port": SETTING_OPTIONS["proxy-port"]!,
    "proxy-allow-origin": SETTING_OPTIONS["proxy-allow-origin"]!,
    "proxy-allow-host": SETTING_OPTIONS["proxy-allow-host"]!,
    listen: SETTING_OPTIONS["listen"]!,
    "listen-mode": SETTING_OPTIONS["listen-mode"]!,
    "listen-group": SETTING_OPTIONS["listen-group"]!,
    "tls-cert": SETTING_OPTIONS["tls-cert"]!,
    "tls-key": SETTING_OPTIONS["tls-key"]!,
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
  run: (context) => runProxy(context, () => Promise.resolve()),
};

/**
 * The proxy, until its signal.
 * @param onReady Called with its URL once it serves.
 */
export async function runProxy(
  context: CommandContext,
  onReady: (url: string) => Promise<void>,
): Promise<number> {
  hardenSelf();
  const { config, dataDir } = await readSettings(context);
  checkProxyListen(config);
  const fromServe = flag(context, "from-serve");
  const asked = await pairingCommand(context, dataDir);
  if (asked === "done") return EXIT.ok;
  const stop = new AbortController();
  // Ctrl-C and service managers signal the whole group: beside serve it ends with serve, not before.
  if (!fromServe) context.signal.addEventListener("abort", () => stop.abort(), { once: true });
  const handover = fromServe
    ? await readHandover(Deno.stdin.readable, () => stop.abort())
    : undefined;
  if (handover === null) return EXIT.ok;
  // Beside serve, serve has it.
  using _folder = fromServe ? undefined : await shareFolder(dataDir);
  const elsewhere = fromServe
    ? undefined
    : asked
    ? { name: "", connection: asked, keySource: undefined }
    : await paired(context, dataDir);
  const { connection, vault } = elsewhere === undefined
    ? await ownGateway(context, { port: config.port, dataDir, handover })
    : {
      connection: elsewhere.connection,
      vault: openVaultFrom(() => elsewhere.keySource ?? keySourceOptions(context, dataDir)),
    };
  const session = elsewhere?.keySource &&
    { ...elsewhere, store: elsewhere.keySource.store, dataDir };
  const keep = session && await sessionOf(session);
  const running = await startProxyRole({
    config,
    dataDir,
    connection,
    vault,
    holdsKey: handover?.credentials !== undefined,
    // Serve reads it and records it.
    onTokenRefused: ({ locked }) => {
      if (fromServe) context.tui.out(locked ? TOKEN_LOCKED_LINE : TOKEN_REFUSED_LINE);
    },
    onTurnedAway(code) {
      if (fromServe) context.tui.out(TURNED_AWAY + code);
    },
    signal: stop.signal,
  });
  const { url, gateway } = running;
  context.tui.out(fromServe ? url : `proxy ready on ${url}, sealing to ${gateway}`);
  if (!fromServe && running.openUrl) {
    context.tui.out(`and, for who shows a token, on ${running.openUrl}`);
  }
  if (!fromServe) { for (const line of alsoLetIn(config)) context.tui.out(line); }
  if (!fromServe) notifyServiceManager(context.env, `READY=1\nSTATUS=proxy on ${url}`);
  await onReady(url);
  const kept = keep?.(context, stop.signal);
  await running.finished;
  await kept;
  return EXIT.ok;
}

/** What keeps a person's session; undefined: nobody signed in. It is loaded now, while something can still be loaded. */
async function sessionOf(
  place: SessionPlace,
): Promise<((context: CommandContext, signal: AbortSignal) => Promise<void>) | undefined> {
  const found = await new SessionStore(place.store, place.name).read();
  if (found?.refresh === undefined) return undefined;
  const { goOn } = await import("./sign_in/session.ts");
  await (await import("./sign_in/provider.ts")).providerFetch();
  return ({ tui }, signal) => {
    let last = found.role;
    return keepSession({
      goOn: (seen) => goOn(place, signal, seen),
      onKept({ role, expires }) {
        if (role === last) tui.note(`signed in at ${place.name} until ${expires}`);
        else tui.out(`signed in at ${place.name} until ${expires}, now with the role ${role}`);
        last = role;
      },
      onFailed: (code) =>
        tui.warn(`the session at ${place.name} could not be renewed (${code}); it is tried again`),
      onOver: (code) =>
        tui.warn(`the session at ${place.name} is over (${code}); sign in: secllama login URL`),
      signal,
    });
  };
}

async function paired(
  context: CommandContext,
  dataDir: string,
): ReturnType<typeof pairedConnection> {
  const found = await pairedConnection(context, dataDir);
  if (found === undefined && flag(context, "ephemeral")) {
    throw new SecLlamaError("usage", "no gateway has the key that --ephemeral makes", {
      field: "--ephemeral",
      hint: "it goes with --pair -; for a gateway on this machine, serve starts its own proxy",
    });
  }
  return found;
}

/** A gateway that has this machine's own key. */
async function ownGateway(
  context: CommandContext,
  o: { port: number; dataDir: string; handover: Handover | undefined },
): Promise<LocalConnection> {
  const url = o.handover?.gateway ?? stringOption(context, "gateway") ??
    `http://127.0.0.1:${o.port}`;
  return await localConnection(url, {
    handover: o.handover,
    keySource: () => keySourceOptions(context, o.dataDir),
  });
}
