/**
 * `secllama key …`: init, status, list, rotate, delete, export, import. Thin over src/keys: options in, lines or one JSON
 * document out, and the exit code of the error table. Nothing here prints key bytes.
 */
import { dataDirectory } from "../config/paths.ts";
import { SecLlamaError } from "../errors.ts";
import { chooseBackend } from "../keys/backend.ts";
import { isKid, kidOf } from "../keys/kid.ts";
import { KeyManager } from "../keys/manager.ts";
import { ioError, ManifestFile } from "../keys/manifest_file.ts";
import { type Backend, BACKEND_NAMES } from "../keys/store.ts";
import { readUsage, useOf } from "../keys/usage.ts";
import {
  type Command,
  type CommandContext,
  flag,
  JSON_OPTION,
  type OptionTable,
  stringOption,
} from "./command.ts";
import { hardenSelf } from "./harden.ts";
import { descriptor, KEY_OPTIONS, keySourceOptions } from "./key_options.ts";
import { printStatus } from "./key_status.ts";
import { askPassphrase } from "./passphrase.ts";

const OPTIONS = { ...KEY_OPTIONS, ...JSON_OPTION } as const satisfies OptionTable;

const EXIT_CODES = `
Exit codes: 0 done, 2 usage, 3 no key yet, 4 locked or cancelled, 5 key store unavailable, 6 key lost or corrupt,
7 there is a key already, 8 another secllama is changing the keys, 9 refused.`;

const init: Command = {
  path: ["key", "init"],
  summary: "Make the first key, in the key store of the operating system",
  options: {
    ...OPTIONS,
    recover: { type: "boolean", help: "rebuild a lost or damaged keyset.json from the key store" },
    active: { type: "string", value: "KID", help: "with --recover: the key to make active" },
  },
  details: EXIT_CODES,
  async run(context) {
    const manager = await openManager(context, "make");
    const active = stringOption(context, "active");
    if (!flag(context, "recover")) {
      if (active !== undefined) throw new SecLlamaError("usage", "--active needs --recover");
      const { kid } = await manager.init();
      report(context, { kid, backend: manager.store.backend }, [
        `made the key ${kid} in ${BACKEND_NAMES[manager.store.backend]}`,
      ]);
      return 0;
    }
    const done = await manager.rebuild(active === undefined ? {} : { active: kidArgument(active) });
    report(context, done, [
      `rebuilt the keyset from ${BACKEND_NAMES[manager.store.backend]}: ${
        plural(done.kids.length, "key")
      }, active ${done.active}`,
      ...(done.oldManifest === null ? [] : [`the old manifest is kept as ${done.oldManifest}`]),
      ...done.damaged.map((kid) => `damaged, left as it is: ${kid}`),
    ]);
    return 0;
  },
};

const status: Command = {
  path: ["key", "status"],
  summary: "Show where the keys are and whether all is well with them",
  options: {
    ...OPTIONS,
    "max-age-days": { type: "string", value: "N", help: "age that asks for a rotation (90)" },
  },
  details: EXIT_CODES,
  async run(context) {
    const chosen = await choose(context);
    if (chosen.kind === "fixed") {
      const kid = await kidOf(chosen.key);
      chosen.key.fill(0);
      report(context, fixedStatus(chosen.backend, kid), [
        `key ${kid} from ${BACKEND_NAMES[chosen.backend]}; it cannot rotate`,
      ]);
      return 0;
    }
    const maxAgeDays = daysOption(context);
    const found = await managerOf(context, chosen).status(
      maxAgeDays === undefined ? {} : { maxAgeDays },
    );
    if (flag(context, "json")) context.tui.json(found);
    else printStatus(context.tui, found);
    return found.exitCode;
  },
};

const list: Command = {
  path: ["key", "list"],
  summary: "List the keys, the active one first",
  options: OPTIONS,
  async run(context) {
    const keys = await (await openManager(context, "list")).list();
    report(
      context,
      { keys },
      keys.map((key) =>
        `${key.kid}  ${key.state.padEnd(12)}  ${key.created}${
          key.retired ? `  retired ${key.retired}` : ""
        }${key.compromised ? "  compromised" : ""}`
      ),
    );
    return 0;
  },
};

const rotate: Command = {
  path: ["key", "rotate"],
  summary: "Make a new active key; the old ones still open what they sealed",
  options: {
    ...OPTIONS,
    to: { type: "string", value: "KID", help: "make this older key active again" },
    compromised: {
      type: "boolean",
      help: "the old key may be known to others: accept no exchange under it",
    },
  },
  details: "A running gateway takes the new key up without a restart.\n" + EXIT_CODES,
  async run(context) {
    const to = stringOption(context, "to");
    const compromised = flag(context, "compromised");
    if (to !== undefined && compromised) {
      throw new SecLlamaError("usage", "--to and --compromised exclude each other", {
        hint: "after a compromise make a new key: secllama key rotate --compromised",
      });
    }
    const manager = await openManager(context, "rotate");
    const done = to === undefined
      ? await manager.rotate({ compromised })
      : await manager.rotateTo(kidArgument(to));
    report(context, done, [`the active key is ${done.kid}, before it ${done.previous}`]);
    return 0;
  },
};

const remove: Command = {
  path: ["key", "delete"],
  summary: "Destroy a key and with it everything that only it opens",
  arguments: "KID",
  minPositionals: 1,
  maxPositionals: 1,
  options: { ...OPTIONS, yes: { type: "boolean", help: "do not ask" } },
  details: EXIT_CODES,
  async run(context) {
    const kid = kidArgument(context.positionals[0]!);
    const manager = await openManager(context, "delete");
    const found = (await manager.list()).find((key) => key.kid === kid);
    if (found?.state === "decrypt-only" && !flag(context, "yes")) {
      const { wraps } = useOf(await readUsage(manager.file.dataDir), kid);
      context.tui.note(`This destroys the key ${kid} for good. What becomes unreadable:`);
      context.tui.note(
        `  - every saved conversation wrapped under it and not re-wrapped since (${
          wraps === 0 ? "none counted" : `${plural(wraps, "secret")} counted`
        })`,
      );
      context.tui.note(
        "  - backups of conversations from the time it was active, unless an export of the keys has it",
      );
      context.tui.note("Paired clients that still use it have to be paired again.");
      const typed = context.tui.ask("To go on, type the key's id:");
      if (typed === undefined) {
        throw new SecLlamaError("key-refused", "nobody was there to confirm the deletion", {
          hint: `to delete without being asked, run: secllama key delete ${kid} --yes`,
        });
      }
      if (typed.trim() !== kid) {
        throw new SecLlamaError("key-cancelled", "what was typed is not the key's id: kept it");
      }
    }
    const done = await manager.delete(kid);
    report(context, done, [
      done.already ? `the key ${kid} was destroyed before` : `destroyed the key ${kid}`,
    ]);
    return 0;
  },
};

const exportCommand: Command = {
  path: ["key", "export"],
  summary: "Write the keys to a file, wrapped under a passphrase",
  arguments: "FILE",
  minPositionals: 1,
  maxPositionals: 1,
  options: { ...OPTIONS, ...exportPassphraseOption() },
  details: "The file must not exist yet. Keep it and its passphrase apart.\n" + EXIT_CODES,
  async run(context) {
    const path = context.positionals[0]!;
    const manager = await openManager(context, "export");
    (await manager.read()).activeKey.fill(0); // say what is wrong before asking for a passphrase
    const passphrase = await exportPassphrase(context, true);
    try {
      const { file, kids } = await manager.exportTo(passphrase);
      await writeNew(path, file);
      report(context, { path, kids }, [`wrote ${plural(kids.length, "key")} to ${path}`]);
    } finally {
      passphrase.fill(0);
    }
    return 0;
  },
};

const importCommand: Command = {
  path: ["key", "import"],
  summary: "Add the keys of an export",
  arguments: "FILE",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    ...exportPassphraseOption(),
    revive: { type: "boolean", help: "bring back keys that were destroyed here" },
  },
  details:
    "Without a keyset it makes one. Otherwise new keys come in as decrypt-only: to make one\n" +
    "active, run: secllama key rotate --to KID\n" + EXIT_CODES,
  async run(context) {
    const path = context.positionals[0]!;
    let file: Uint8Array;
    try {
      if ((await Deno.stat(path)).size > 1_048_576) {
        throw new SecLlamaError("key-corrupt", `${path} is over 1 MiB: it is no export`);
      }
      file = await Deno.readFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        throw new SecLlamaError("usage", `there is no file ${path}`);
      }
      throw ioError("read", path, error);
    }
    const manager = await openManager(context, "import");
    const passphrase = await exportPassphrase(context, false);
    try {
      const done = await manager.importFrom(file, passphrase, { revive: flag(context, "revive") });
      report(context, done, [
        `added ${done.added.length}, put back ${done.restored.length}, there already ${done.present.length}`,
        `the active key is ${done.active}`,
        ...done.destroyed.map((kid) =>
          `not added, it was destroyed here: ${kid} (--revive brings it back)`
        ),
      ]);
    } finally {
      passphrase.fill(0);
    }
    return 0;
  },
};

/** The commands of `secllama key`. */
export const keyCommands: Command[] = [
  init,
  status,
  list,
  rotate,
  remove,
  exportCommand,
  importCommand,
];

function exportPassphraseOption(): OptionTable {
  return {
    "export-passphrase-fd": {
      type: "string",
      value: "N",
      help: "read the export's passphrase from this file descriptor",
    },
  };
}

async function exportPassphrase(context: CommandContext, confirm: boolean) {
  // Without a key file there is one passphrase only, and either option names it.
  const own = descriptor(context, "export-passphrase-fd") ??
    (stringOption(context, "key-file") === undefined
      ? descriptor(context, "passphrase-fd")
      : undefined);
  const passphrase = await askPassphrase(context, "export", own, confirm);
  if (passphrase !== undefined && passphrase.length > 0) return passphrase;
  throw new SecLlamaError("key-cancelled", "no passphrase was given for the export", {
    hint: "give it on a file descriptor, --export-passphrase-fd N, or run on a terminal",
  });
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await Deno.writeFile(path, bytes, { createNew: true, mode: 0o600 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new SecLlamaError("usage", `${path} exists already`, {
        hint: "give a new file's name",
      });
    }
    await Deno.remove(path).catch(() => {});
    throw ioError("write", path, error);
  }
}

function optionsOf(context: CommandContext) {
  return keySourceOptions(context, dataDirectory(context.env));
}

function choose(context: CommandContext) {
  hardenSelf(); // before a key is in memory
  return chooseBackend(optionsOf(context));
}

function managerOf(
  context: CommandContext,
  chosen: Extract<Awaited<ReturnType<typeof choose>>, { kind: "store" }>,
): KeyManager {
  return new KeyManager({
    file: new ManifestFile(dataDirectory(context.env)),
    store: chosen.store,
    profile: chosen.profile,
    interactive: optionsOf(context).interactive,
  });
}

/** @throws {SecLlamaError} `key-refused` for a key from outside: such a key is changed where it comes from. */
async function openManager(context: CommandContext, action: string): Promise<KeyManager> {
  const chosen = await choose(context);
  if (chosen.kind === "store") return managerOf(context, chosen);
  chosen.key.fill(0);
  throw new SecLlamaError(
    "key-refused",
    `secllama cannot ${action} a key from ${BACKEND_NAMES[chosen.backend]}: it keeps no such keys`,
    { hint: "change the key where it comes from and start secllama again; see docs/keys.md" },
  );
}

function fixedStatus(backend: Backend, kid: string) {
  return { schema: 1, backend, active: kid, fallback: false, canRotate: false, exitCode: 0 };
}

function daysOption(context: CommandContext): number | undefined {
  const text = stringOption(context, "max-age-days");
  if (text === undefined || /^\d{1,5}$/.test(text)) return text === undefined ? text : Number(text);
  throw new SecLlamaError("usage", "--max-age-days must be a whole number of days, 0 for never", {
    field: "--max-age-days",
  });
}

function kidArgument(text: string): string {
  if (isKid(text)) return text;
  throw new SecLlamaError("usage", "a key's id is 16 hexadecimal digits in lower case", {
    hint: "to see them, run: secllama key list",
  });
}

function report(context: CommandContext, json: object, lines: readonly string[]): void {
  if (flag(context, "json")) context.tui.json({ schema: 1, ...json });
  else for (const line of lines) context.tui.out(line);
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
