/** `secllama serve`: says what is switched off in the first lines that it prints. */
import type { Banner } from "../app/banner.ts";
import { openReadyLine } from "../app/ready_line.ts";
import { refuseTakenPort } from "../app/local_proxy.ts";
import { startServe } from "../app/serve.ts";
import { readOllamaEnvironment } from "../config/ollama_env.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { notifyServiceManager } from "../linux/service_manager.ts";
import { findOllamaStore, offerOllamaStore } from "../models/ollama_store.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { askWithoutStore } from "./ask_key_source.ts";
import { type Command, type CommandContext, flag, stringOption } from "./command.ts";
import { Progress } from "./progress.ts";
import { installationFor } from "./installation.ts";
import { descriptor, KEY_OPTIONS, keySourceOptions } from "./key_options.ts";
import { askedProxy, readSettings, SETTING_OPTIONS } from "./settings.ts";
import type { Tui } from "./tui.ts";
import { plural } from "../plural.ts";

export const serveCommand: Command = {
  path: ["serve"],
  example: "secllama serve --model demo",
  summary: "Start the gateway, the sandboxed models and the loopback proxy",
  options: {
    ...SETTING_OPTIONS,
    ...KEY_OPTIONS,
    "ephemeral-fallback": {
      type: "boolean",
      help: "use the key store if it is reachable and unlocked, else a key in memory",
    },
    "no-proxy": { type: "boolean", help: "do not start the proxy" },
    model: { type: "string", value: "MODEL", help: "model to load at the start (default demo)" },
    verbose: { type: "boolean", help: "print each sandbox layer as it was measured" },
    quiet: { type: "boolean", help: "print nothing but warnings and errors" },
    "ready-fd": {
      type: "string",
      value: "N",
      help: "write one line of JSON to this descriptor when everything serves, and close it",
    },
    "no-preload": { type: "boolean", help: "load no model before the first request" },
  },
  details: "Ends on SIGINT or SIGTERM, with everything it started. Settings: secllama help config",
  run: (context) => runServe(context, () => Promise.resolve()),
};

/**
 * `serve`, until its signal.
 * @param onReady Called with the proxy's URL once everything serves.
 * @throws {SecLlamaError} What {@link startServe} throws.
 */
export async function runServe(
  context: CommandContext,
  onReady: (proxyUrl: string) => Promise<void>,
): Promise<number> {
  const { tui, env, signal } = context;
  hardenSelf();
  const readyFd = descriptor(context, "ready-fd");
  const readyLine = readyFd === undefined ? undefined : openReadyLine(readyFd);
  const settings = await readSettings(context);
  for (const warning of readOllamaEnvironment(env).warnings) tui.warn(warning);
  const ollama = settings.config.ollamaModels === "" ? await findOllamaStore(env) : undefined;
  if (ollama !== undefined) tui.note(offerOllamaStore(ollama));
  if (!flag(context, "no-proxy") && settings.config.proxyPort !== 0) {
    const { port, proxyPort } = settings.config;
    if (port === proxyPort) {
      throw new SecLlamaError("bad-config", `gateway and proxy cannot both have port ${port}`, {
        field: "--proxy-port",
        hint: `give one of them another, as in: --port ${port === 11435 ? 11436 : 11435}`,
      });
    }
    await refuseTakenPort(askedProxy(settings));
  }
  const progress = new Progress(tui);
  const model = flag(context, "no-preload") ? undefined : stringOption(context, "model") ?? "demo";
  progress.say(model === undefined ? "starting…" : `loading ${model} into its sandbox…`);
  let starts = true;
  const running = await startServe({
    settings,
    env,
    installation: installationFor(context),
    keySource: await askWithoutStore(context, keySourceOptions(context, settings.dataDir)),
    withProxy: !flag(context, "no-proxy"),
    preload: model,
    async openManagement(config, models) {
      const management = await import("./management.ts");
      return await management.openManagement(config, models);
    },
    onWarning: (line) => tui.warn(line),
    onChecked(name, done, total) {
      if (starts) progress.to(`checking ${name}`, done, total);
      if (starts && done === total) progress.say(`loading ${name} into its sandbox…`);
    },
    onLoading(name, done, total) {
      if (starts) progress.load(name, done, total);
    },
  }).finally(() => {
    starts = false;
    progress.end();
  });
  try {
    printBanner(tui, running.banner, flag(context, "verbose"));
    readyLine?.send({ ...running.ready, pid: Deno.pid });
    if (running.ready.proxy !== null) await onReady(running.ready.proxy);
    notifyServiceManager(env, `READY=1\nSTATUS=serves ${running.ready.gateway}`);
    await running.untilAborted(signal);
    notifyServiceManager(env, "STOPPING=1");
    tui.note(
      `ending: no new requests are taken, what is under way has ${
        plural(settings.config.drainMs / 1000, "second")
      }`,
    );
    return EXIT.ok;
  } finally {
    await running.stop();
  }
}

function printBanner(tui: Tui, { rows, all, warnings }: Banner, verbose: boolean): void {
  for (const warning of warnings) tui.warn(warning);
  const lines = (verbose ? all : rows).map(([name, value]) => `  ${name.padEnd(10)}${value}`);
  // In one go: whoever reads it sees all of it or nothing.
  tui.out([tui.bold("SecLlama is ready"), ...lines].join("\n"));
}
