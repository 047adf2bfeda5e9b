/** The settings as options of commands. */
import type { LocalProxy } from "../app/local_proxy.ts";
import { type Field, FIELDS } from "../config/fields.ts";
import { readOllamaEnvironment } from "../config/ollama_env.ts";
import { loadSettings, type Settings } from "../config/settings.ts";
import { SecLlamaError } from "../errors.ts";
import type { CommandContext, OptionSpec, OptionTable } from "./command.ts";

/** Options for the settings that have a flag. */
export const SETTING_OPTIONS: OptionTable = Object.fromEntries(
  FIELDS.flatMap((f) => "flag" in f ? [[f.flag, option(f)]] : []),
);

function option(f: Pick<Field, "value" | "help" | "switch" | "choices">): OptionSpec {
  return f.switch ? { type: "boolean", help: f.help } : {
    type: "string",
    value: f.value,
    help: f.help,
    ...(f.choices ? { choices: f.choices } : {}),
  };
}

/** `--proxy-port` of commands that ask a proxy which runs already. */
export const ASKED_PROXY_OPTION: OptionTable = {
  "proxy-port": { type: "string", value: "PORT", help: "port of the proxy to ask (default 11434)" },
};

/**
 * The proxy that runs already, by the settings. With `context`, whoever named another machine to Ollama's clients is told that it
 * is not asked.
 * @throws {SecLlamaError} `usage` for port 0.
 */
export function askedProxy({ config, dataDir }: Settings, context?: CommandContext): LocalProxy {
  if (config.proxyPort === 0) {
    throw new SecLlamaError("usage", "port 0 names no proxy that could be asked", {
      field: "--proxy-port",
      hint:
        "give the port that serve took, by --proxy-port: it is in its first lines, and in what --ready-fd gets",
    });
  }
  if (context !== undefined) warnOfOtherHost(context);
  return { hostname: "127.0.0.1", port: config.proxyPort, dataDir };
}

function warnOfOtherHost({ tui, env, values }: CommandContext): void {
  if (values["proxy-port"] !== undefined || env["SECLLAMA_PROXY_PORT"]) return;
  const { OLLAMA_HOST } = env;
  const { values: sets, warnings } = readOllamaEnvironment({ OLLAMA_HOST });
  // Its port is taken: Ollama's clients, too, ask this machine for 0.0.0.0.
  if (sets.proxyPort === undefined) { for (const warning of warnings) tui.warn(warning); }
}

/** The settings as a command's flags, the environment and the config file give them. @throws {SecLlamaError} `bad-config`. */
export function readSettings(
  { env, values }: Pick<CommandContext, "env" | "values">,
): Promise<Settings> {
  return loadSettings({ env, flags: values });
}
