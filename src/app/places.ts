/** Where everything of SecLlama lies on this machine, so that it can be looked at, backed up and taken away. */
import { join } from "node:path";
import { cacheDirectory } from "../bundle/cache_folder.ts";
import { baseDirectory, dataDirectory, profileOf, stateDirectory } from "../config/paths.ts";
import { ownPath } from "../bundle/start_again.ts";

type Env = { readonly [name: string]: string | undefined };

interface Place {
  readonly name: string;
  /** A path, or where in words. */
  readonly where: string;
  readonly there: boolean;
  readonly what: string;
}

/**
 * Whether this program wrote a file or folder of that name to a data folder, models apart; what a process leaves that was killed
 * while it wrote is ours too. Whoever set SECLLAMA_DATA_DIR may have files of their own beside them.
 */
export function isOurs(name: string): boolean {
  return OURS.some((pattern) => pattern.test(name));
}

/** Each with what a process leaves that was killed while it wrote. */
const OURS = [
  /^(?:keyset|clients|pairings|pairing-offers|key-usage|tls|host|tokens|fleet|fleet-heads|fleet-pulls|restoring|audit-syslog|audit-otlp)\.json(?:\.[\w-]+)?$/,
  /^(?:proxy|serve|page)-\d+\.json(?:\.tmp)?$/,
  /^(?:keyset|in-use|session-[0-9a-f]{16}|fleet)\.lock$/,
  /^(?:audit|usage)\.db(?:-wal|-shm|-journal)?$/,
  /^(?:config\.toml|\.config-[\da-f-]{36})$/,
  /^run-history(?:\.tmp)?$/,
  // Made where somebody answered that the key shall be in a file.
  /^key-file(?:\.tmp)?$/,
  /^(?:profiles|history|superseded-[\dTZ.-]+|\.backup-\w+)$/,
];

/** The profiles that have a folder, `default` first. */
export async function profiles(env: Env): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(join(baseDirectory(env), "profiles"))) {
      if (isDirectory && /^[a-z0-9-]{1,32}$/.test(name)) found.push(name);
    }
  } catch { /* there are none */ }
  return ["default", ...found.sort()];
}

/** Every place, whether something is there or not. @throws {SecLlamaError} `bad-config`. */
export async function places(env: Env): Promise<Place[]> {
  const data = dataDirectory(env);
  const list: [name: string, where: string, what: string][] = [
    ["data", data, "clients, pairings, certificates, the list of keys; no key"],
    ["config", env["SECLLAMA_CONFIG"] ?? join(data, "config.toml"), "settings"],
    ["models", join(baseDirectory(env), "models"), "models, of all profiles"],
    ["cache", cacheDirectory(env), "what the one file unpacked; made again when it is gone"],
  ];
  const state = stateDirectory(env);
  if (state !== undefined) {
    list.push(["state", state, "how far keys and clients have come, apart from both; no secret"]);
  }
  if (env["OLLAMA_MODELS"]) {
    list.push(["ollama", env["OLLAMA_MODELS"], "Ollama's models, only read"]);
  }
  if (Deno.build.standalone) list.push(["program", ownPath(), "the program"]);
  const rows: Place[] = [];
  for (const [name, where, what] of list) {
    const there = await Deno.lstat(where).then(() => true, () => false);
    rows.push({ name, where, there, what });
  }
  const profile = profileOf(env);
  const service = profile === "default" ? "secllama" : `secllama.${profile}`;
  rows.push({
    name: "keys",
    where: `the key store's items of the service ${service}`,
    there: await Deno.lstat(join(data, "keyset.json")).then(() => true, () => false),
    what: "the keys themselves, unless a key source is named (secllama help keys)",
  });
  return rows;
}

/** What was put elsewhere for SecLlama, by its own commands or as docs/install.md says, and is there; each with how it goes. */
export async function elsewhere(env: Env): Promise<{ where: string; how: string }[]> {
  const home = env["HOME"];
  const config = env["XDG_CONFIG_HOME"] || (home && join(home, ".config"));
  const data = env["XDG_DATA_HOME"] || (home && join(home, ".local/share"));
  const service = "secllama service uninstall";
  const list: [folder: string | undefined, name: string, how: string][] = [
    ["/etc/systemd/system", "secllama.service", `${service}, as root`],
    ["/etc/systemd/system", "secllama-listen.socket", `${service}, as root`],
    ["/etc/systemd/system", "secllama-listen.service", `${service}, as root`],
    ["/etc/secllama", "secllama-key.cred", "the service's key: rm, as root"],
    ["/var/lib", "secllama", "the service's clients and models: rm -r, as root"],
    [config, "systemd/user/secllama.service", service],
    [config, "systemd/user/secllama-proxy.service", service],
    [home, "Library/LaunchAgents/secllama.plist", service],
    [data, "bash-completion/completions/secllama", "rm"],
    [home, ".zfunc/_secllama", "rm"],
    [config, "fish/completions/secllama.fish", "rm"],
    [data, "man/man1/secllama.1", "rm"],
  ];
  const found: { where: string; how: string }[] = [];
  for (const [folder, name, how] of list) {
    if (!folder) continue;
    const where = join(folder, name);
    if (await Deno.lstat(where).then(() => true, () => false)) found.push({ where, how });
  }
  return found;
}
