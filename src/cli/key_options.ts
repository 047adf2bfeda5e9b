/** The flags that say where the key comes from, shared by every command that needs one. */
import type { KeySourceOptions } from "../keys/mod.ts";
import { profileOf, stateDirectory } from "../config/paths.ts";
import { SecLlamaError } from "../errors.ts";
import { type CommandContext, flag, type OptionTable, stringOption } from "./command.ts";
import { askPassphrase } from "./passphrase.ts";

export const KEY_OPTIONS: OptionTable = {
  "key-fd": { type: "string", value: "N", help: "read the key from this file descriptor" },
  "key-file": { type: "string", value: "FILE", help: "a passphrase-wrapped key file" },
  "passphrase-fd": {
    type: "string",
    value: "N",
    help: "read the passphrase of --key-file from this file descriptor",
  },
  ephemeral: { type: "boolean", help: "a key in memory only, gone with the process" },
};

/** The same for commands of a key that is there when they have ended: one in memory is refused with the reason. */
export const LASTING_KEY_OPTIONS: OptionTable = {
  ...KEY_OPTIONS,
  ephemeral: { ...KEY_OPTIONS["ephemeral"]!, unlisted: true },
};

/**
 * The same for commands that need no key while those beside them do: whoever names a key source to all of a group's commands need
 * not know which ask for it.
 */
export const UNUSED_KEY_OPTIONS: OptionTable = Object.fromEntries(
  ["key-fd", "key-file", "passphrase-fd"].map((name) => [name, {
    ...KEY_OPTIONS[name]!,
    help: "taken, and not needed here",
  }]),
);

/** A string option as a file descriptor's number. @throws {SecLlamaError} `usage` if it is none. */
export function descriptor(context: CommandContext, name: string): number | undefined {
  const text = stringOption(context, name);
  if (text === undefined) return undefined;
  const fd = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (!(fd >= 0)) {
    throw new SecLlamaError("usage", `--${name} must be a file descriptor's number`, {
      field: `--${name}`,
      hint: `open it in the same line, for instance: --${name} 3 3<FILE`,
    });
  }
  return fd;
}

/** The options for `openKeySource` that the flags and the environment give. */
export function keySourceOptions(context: CommandContext, dataDir: string): KeySourceOptions {
  const keyFd = descriptor(context, "key-fd");
  const passphraseFd = descriptor(context, "passphrase-fd");
  const keyFile = stringOption(context, "key-file");
  return {
    dataDir,
    stateDir: stateDirectory(context.env),
    env: context.env,
    ...(keyFd === undefined ? {} : { keyFd }),
    ...(keyFile === undefined ? {} : { keyFile }),
    profile: profileOf(context.env),
    passphrase: ({ confirm, wrong }) =>
      askPassphrase(context, "key file", passphraseFd, confirm, wrong),
    ephemeral: flag(context, "ephemeral"),
    ephemeralFallback: flag(context, "ephemeral-fallback"),
    interactive: context.tui.isTerminal && Deno.stdin.isTerminal(),
  };
}
