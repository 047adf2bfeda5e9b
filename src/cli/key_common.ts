/** What the commands of `secllama key` share: opening the key source, reading a kid, reporting. */
import { dataDirectory, stateDirectory } from "../config/paths.ts";
import { SecLlamaError } from "../errors.ts";
import { wipe } from "../secret.ts";
import { checkAccess } from "../keys/stores/access.ts";
import { chooseBackend, type Chosen } from "../keys/stores/backend.ts";
import { isKid } from "../keys/keyset/kid.ts";
import { KeyManager } from "../keys/keyset/manager.ts";
import { ManifestFile } from "../keys/keyset/manifest_file.ts";
import { BACKEND_NAMES } from "../keys/stores/store.ts";
import { type CommandContext, flag, JSON_OPTION, type OptionTable } from "./command.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { keySourceOptions, LASTING_KEY_OPTIONS } from "./key_options.ts";
import { readSettings } from "./settings.ts";

/** The options of every command of `secllama key`. */
export const OPTIONS = { ...LASTING_KEY_OPTIONS, ...JSON_OPTION } as const satisfies OptionTable;

/** The end of their `--help`. */
export const EXIT_CODES = `
Exit codes: 0 done, 2 usage, 3 no key yet, 4 locked or cancelled, 5 key store unavailable, 6 key lost or corrupt,
7 there is a key already, 8 another secllama is changing the keys, 9 refused.`;

function optionsOf(context: CommandContext) {
  return keySourceOptions(context, dataDirectory(context.env));
}

/** The key source that the options name. Hardens this process first. */
export async function choose(context: CommandContext) {
  hardenSelf(); // before a key is in memory
  // What is wrong with them is found before anything is done, not by its line in the record.
  await readSettings(context);
  const options = optionsOf(context);
  const warnings = await checkAccess(dataDirectory(context.env), "the data folder");
  if (options.keyFile !== undefined) {
    warnings.push(...await checkAccess(options.keyFile, "the key file"));
  }
  for (const warning of warnings) context.tui.warn(warning);
  return await chooseBackend(options);
}

/** The manager of a key source that is a store. */
export function managerOf(
  context: CommandContext,
  chosen: Extract<Chosen, { kind: "store" }>,
): KeyManager {
  return new KeyManager({
    file: new ManifestFile(dataDirectory(context.env)),
    store: chosen.store,
    profile: chosen.profile,
    interactive: optionsOf(context).interactive,
    stateDir: stateDirectory(context.env),
  });
}

/**
 * The manager that `action` needs.
 * @throws {SecLlamaError} `key-refused` for a key from outside: such a key is changed where it comes from.
 */
export async function openManager(context: CommandContext, action: string): Promise<KeyManager> {
  const chosen = await choose(context);
  if (chosen.kind === "store") return managerOf(context, chosen);
  wipe(chosen.key);
  throw new SecLlamaError(
    "key-refused",
    `secllama cannot ${action} a key from ${BACKEND_NAMES[chosen.backend]}: it keeps no such keys`,
    { hint: "change the key where it comes from and start secllama again; see secllama help keys" },
  );
}

/** `text` as a kid. @throws {SecLlamaError} `usage` if it is none. */
export function kidArgument(text: string): string {
  if (isKid(text)) return text;
  throw new SecLlamaError("usage", "a key's id is 16 hexadecimal digits in lower case", {
    hint: "to see them, run: secllama key list",
  });
}

/** Prints the lines, or with `--json` the document. */
export function report(context: CommandContext, json: object, lines: readonly string[]): void {
  if (flag(context, "json")) context.tui.json({ schema: 1, ...json });
  else for (const line of lines) context.tui.out(line);
}
