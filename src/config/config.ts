/**
 * The configuration: defaults, then Ollama's variables, then the config file, then the environment, then flags; the last one that
 * speaks counts.
 * An unknown key, variable or value is an error, since a mistyped `SECLLAMA_ENABLE_ENCRYPTON=false` that is ignored, or a
 * mistyped `flase` that counts as something, would both weaken or surprise in silence.
 */
import { parse as parseToml } from "smol-toml";
import { SecLlamaError } from "../errors.ts";
import { closest } from "../suggest.ts";
import { type Config, type Field, FIELDS, OTHER_ENV } from "./fields.ts";
import { readOllamaEnvironment } from "./ollama_env.ts";

export type { Config } from "./fields.ts";
export type { GpuSetting } from "./field_values.ts";

export interface ConfigSources {
  readonly env: { readonly [name: string]: string | undefined };
  /** By flag name, without dashes. */
  readonly flags?: { readonly [flag: string]: unknown };
  /** The config file's text (TOML), and its name for messages. */
  readonly file?: { readonly text: string; readonly name: string };
}

const rows: readonly Field[] = FIELDS as unknown as readonly Field[];

/**
 * One frozen configuration from all sources.
 * @throws {SecLlamaError} `bad-config` naming the key, variable or flag that is unknown or wrong.
 */
export function loadConfig(sources: ConfigSources): Config {
  const config = Object.fromEntries(rows.map((row) => [row.name, row.default])) as Record<
    string,
    unknown
  >;
  Object.assign(config, readOllamaEnvironment(sources.env).values);
  if (sources.file) applyFile(config, sources.file);
  applyEnv(config, sources.env);
  for (const row of rows) {
    const value = row.flag === undefined ? undefined : sources.flags?.[row.flag];
    if (typeof value === "string") config[row.name] = row.parse(value, `--${row.flag}`);
    if (value === true && row.switch) config[row.name] = row.parse("true", `--${row.flag}`);
  }
  return Object.freeze(config) as unknown as Config;
}

function applyEnv(config: Record<string, unknown>, env: ConfigSources["env"]): void {
  const known = new Set<string>([...rows.map((row) => row.env), ...OTHER_ENV]);
  for (const name of Object.keys(env)) {
    if (name.startsWith("SECLLAMA_") && !known.has(name)) {
      throw new SecLlamaError("bad-config", `unknown environment variable ${name.slice(0, 64)}`, {
        field: name,
        hint: unknownHint("unset it", name, [...known]),
      });
    }
  }
  for (const row of rows) {
    const value = env[row.env];
    if (value !== undefined) config[row.name] = row.parse(value, row.env);
  }
}

function applyFile(config: Record<string, unknown>, file: { text: string; name: string }): void {
  let table: Record<string, unknown>;
  try {
    table = parseToml(file.text);
  } catch (cause) {
    const line = (cause as { line?: number }).line;
    throw new SecLlamaError(
      "bad-config",
      `${file.name} is not TOML${line ? `: line ${line}` : ""}`,
      {
        hint: 'a line is: name = value, text in quotes, as in: registries = ["registry.example"]',
        cause,
      },
    );
  }
  for (const [key, value] of Object.entries(table)) {
    const row = rows.find((r) => fileKey(r) === key);
    if (!row) {
      throw new SecLlamaError(
        "bad-config",
        `${file.name}: unknown key ${JSON.stringify(key.slice(0, 64))}`,
        {
          field: key,
          hint: unknownHint("remove it", key, rows.map(fileKey)),
        },
      );
    }
    // A list may be written as one.
    const isList = Array.isArray(row.default) && Array.isArray(value) &&
      value.every((one) => typeof one === "string" && !one.includes(","));
    if (typeof value === "object" && !isList) {
      throw new SecLlamaError("bad-config", `${file.name}: ${key} must be ${row.value}`, {
        field: key,
      });
    }
    config[row.name] = row.parse(String(value), `${file.name}: ${key}`);
  }
}

/** What to do about a name that is none: of two settings that differ in a letter one was meant. */
function unknownHint(action: string, name: string, known: readonly string[]): string {
  const meant = closest(name, known);
  return meant === undefined
    ? `${action}; for all settings, run: secllama help config`
    : `did you mean ${meant}? Else ${action}; for all settings, run: secllama help config`;
}

/** The key of a row in the config file: its environment name in lower case, without the prefix. */
export function fileKey(row: Pick<Field, "env">): string {
  return row.env.toLowerCase().replace(/^secllama_/, "");
}

/** One line per setting, for `secllama help config`. */
export function describeSettings(): string[] {
  return rows.map((row) => {
    const shown = row.shown !== undefined
      ? row.shown
      : row.default === null || String(row.default) === ""
      ? "none"
      : row.name.endsWith("Ms")
      ? Number(row.default) % 86_400_000 === 0
        ? `${Number(row.default) / 86_400_000}d`
        : `${Number(row.default) / 1000}s`
      : row.default;
    const flag = row.flag ? `--${row.flag}` : "";
    return `${row.env.padEnd(36)}${fileKey(row).padEnd(28)}${
      flag.padEnd(26)
    }${row.help} (${row.value}, default ${shown})`;
  });
}
