/** Where there is no key store and somebody is at the terminal: asks for another source of the key, instead of ending. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type KeySourceOptions, systemStore } from "../keys/mod.ts";
import type { CommandContext } from "./command.ts";

/** Of the data folder: the file that is made when the user chooses one. */
const KEY_FILE = "key-file";

/** Whether the user, or the environment, named a source. */
function isNamed({ keyFd, keyFile, ephemeral, ephemeralFallback, env }: KeySourceOptions): boolean {
  return keyFd !== undefined || keyFile !== undefined || ephemeral === true ||
    ephemeralFallback === true || Boolean(env["SECLLAMA_KEY"]) ||
    existsSync(join(env["CREDENTIALS_DIRECTORY"] ?? "/nowhere", "secllama-key"));
}

/**
 * The same options, or what the user answered. Unchanged where nobody can answer, a source is named, the key store is there, or a
 * keyset is in one: a new key beside it would look like a loss. The error of `openKeySource` then says what to do.
 */
export async function askWithoutStore(
  context: CommandContext,
  options: KeySourceOptions,
): Promise<KeySourceOptions> {
  if (!options.interactive || isNamed(options)) return options;
  const keyFile = join(options.dataDir, KEY_FILE);
  if (existsSync(keyFile)) {
    context.tui.note(`the key is in ${keyFile}, as chosen before (--key-file ${keyFile})`);
    return { ...options, keyFile };
  }
  if (existsSync(join(options.dataDir, "keyset.json"))) return options;
  const status = await systemStore(options, options.profile ?? "default").probe();
  if (status.reachable) return options;
  const { tui } = context;
  tui.note([
    `There is no key store for SecLlama's key: ${status.reason}.`,
    ...(status.hint === undefined ? [] : [`To have one: ${status.hint}.`]),
    `  1  in a file under a passphrase, asked at every start: ${keyFile}`,
    "  2  in memory, for this time only",
  ].join("\n"));
  const answer = await tui.ask("Where shall the key be? 1 or 2; nothing: not at all:");
  switch (answer?.trim()) {
    case "1":
      return { ...options, keyFile };
    case "2":
      return { ...options, ephemeral: true };
    default:
      return options;
  }
}
