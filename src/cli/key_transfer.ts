/** `secllama key export` and `secllama key import`. */
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { secret } from "../secret.ts";
import { recordingWith } from "./audit/act.ts";
import { ENVELOPE_CAP_BYTES } from "../keys/stores/envelope.ts";
import { ioError } from "../keys/keyset/manifest_file.ts";
import {
  type Command,
  type CommandContext,
  flag,
  type OptionTable,
  stringOption,
} from "./command.ts";
import { EXIT_CODES, openManager, OPTIONS, report } from "./key_common.ts";
import { descriptor } from "./key_options.ts";
import { askPassphrase } from "./passphrase.ts";
import { plural } from "../plural.ts";
import { readUpTo } from "../read_up_to.ts";

export const exportCommand: Command = {
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
    await manager.verifiedManifest(); // say what is wrong before asking for a passphrase
    using passphrase = secret(await exportPassphrase(context, true));
    const kids = await recordingWith(context, manager, async (record) => {
      const { file, kids } = await manager.exportTo(passphrase);
      // Before they are out of hand.
      await record("key-exported", { keys: kids.length });
      await writeNew(path, file);
      return kids;
    });
    report(context, { path, kids }, [`wrote ${plural(kids.length, "key")} to ${path}`]);
    return 0;
  },
};

export const importCommand: Command = {
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
      if ((await Deno.stat(path)).isCharDevice) {
        throw new SecLlamaError("usage", `${path} is a device, and no file`);
      }
      file = await readUpTo(path, ENVELOPE_CAP_BYTES);
      if (file.length > ENVELOPE_CAP_BYTES) {
        throw new SecLlamaError("key-corrupt", `${path} is over 1 MiB: it is no export`);
      }
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        throw new SecLlamaError("usage", `there is no file ${path}`);
      }
      throw ioError("read", path, error);
    }
    const manager = await openManager(context, "import");
    using passphrase = secret(await exportPassphrase(context, false));
    const done = await manager.importFrom(file, passphrase, { revive: flag(context, "revive") });
    await recordingWith(
      context,
      manager,
      (record) =>
        record("key-imported", { added: done.added.length, restored: done.restored.length }),
    );
    report(context, done, [
      `added ${done.added.length}, put back ${done.restored.length}, there already ${done.present.length}`,
      `the active key is ${done.active}`,
      ...done.destroyed.map((kid) =>
        `not added, it was destroyed here: ${kid} (--revive brings it back)`
      ),
    ]);
    return 0;
  },
};

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
        hint: HINTS.newFile,
      });
    }
    await Deno.remove(path).catch(() => {});
    throw ioError("write", path, error);
  }
}
