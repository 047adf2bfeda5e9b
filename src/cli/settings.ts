/** The configuration as a command sees it: the file beside the data, the environment, the command's flags. */
import { join } from "node:path";
import { type Config, loadConfig } from "../config/config.ts";
import { type Field, FIELDS } from "../config/fields.ts";
import { dataDirectory } from "../config/paths.ts";
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

/** `127.0.0.1:PORT` of the proxy that runs already. @throws {SecLlamaError} `usage` for port 0. */
export function askedProxy(config: Config): string {
  if (config.proxyPort === 0) {
    throw new SecLlamaError("usage", "--proxy-port 0 names no proxy that could be asked", {
      field: "--proxy-port",
      hint: "give the port that serve took: it is in its first lines, and in what --ready-fd gets",
    });
  }
  return `127.0.0.1:${config.proxyPort}`;
}

export interface Settings {
  readonly config: Config;
  readonly dataDir: string;
  /** The config file, which need not be there. */
  readonly configFile: string;
}

/**
 * Reads the settings. `SECLLAMA_CONFIG` names the file; else `config.toml` in the data folder is read if it is there.
 * @throws {SecLlamaError} `bad-config`.
 */
export async function readSettings(
  context: Pick<CommandContext, "env" | "values">,
): Promise<Settings> {
  const dataDir = dataDirectory(context.env);
  const named = context.env["SECLLAMA_CONFIG"];
  const path = named ?? join(dataDir, "config.toml");
  let file: { text: string; name: string } | undefined;
  try {
    file = { text: await readOwn(path), name: named ? "SECLLAMA_CONFIG" : "config.toml" };
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    // A file that was named, or that is there and cannot be read, may hold a protection: going on without it would weaken.
    if (named !== undefined || !(cause instanceof Deno.errors.NotFound)) {
      throw new SecLlamaError(
        "bad-config",
        `cannot read the config file ${named ? "that SECLLAMA_CONFIG names" : path}`,
        {
          hint: "check that it exists and that you may read it",
          cause,
        },
      );
    }
  }
  return {
    config: loadConfig({ env: context.env, flags: context.values, ...(file ? { file } : {}) }),
    dataDir,
    configFile: path,
  };
}

/**
 * A config file's text, if it is nobody else's to change: it can switch protections off and names libraries to load.
 * @throws {SecLlamaError} `bad-config`.
 */
async function readOwn(path: string): Promise<string> {
  using file = await Deno.open(path);
  const { uid, mode, isFile } = await file.stat();
  if (Deno.build.os !== "windows" && isFile) {
    const refused = (what: string, hint: string) =>
      new SecLlamaError("bad-config", `the config file ${path} ${what}`, { hint });
    if (uid !== 0 && uid !== Deno.uid()) {
      throw refused("belongs to another user", "use a file of your own, or of root's");
    }
    if ((mode ?? 0) & 0o002) {
      throw refused("may be written to by everybody", `run: chmod 600 ${path}`);
    }
  }
  return await new Response(file.readable).text();
}

/**
 * Makes the data folder, private to its owner.
 * @throws {SecLlamaError} `bad-config` if it cannot be made, belongs to another user, or is open to others.
 */
export async function ensureDataDirectory(dataDir: string): Promise<void> {
  try {
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    const info = await Deno.stat(dataDir);
    if (Deno.build.os !== "windows") {
      if (info.uid !== Deno.uid()) {
        throw new SecLlamaError(
          "bad-config",
          `the data folder ${dataDir} belongs to another user`,
          {
            hint: "set SECLLAMA_DATA_DIR to a folder of your own",
          },
        );
      }
      if ((info.mode ?? 0) & 0o022) {
        throw new SecLlamaError("bad-config", `others may write to the data folder ${dataDir}`, {
          hint: `run: chmod 700 ${dataDir}`,
        });
      }
    }
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    throw new SecLlamaError("bad-config", `the data folder ${dataDir} cannot be made or read`, {
      hint: "set SECLLAMA_DATA_DIR to a folder that you can write to",
      cause,
    });
  }
}
