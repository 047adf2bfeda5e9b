/** `secllama backup` and `secllama restore`: all that a host keeps but its models, in one sealed file. */
import { dirname } from "node:path";
import type { Bytes } from "../bytes.ts";
import { announcedServes } from "../app/serve_announcement.ts";
import { type BackedUpKeys, makeBackup } from "../backup/make.ts";
import { restoreBackup } from "../backup/restore.ts";
import { ensureDataDirectory } from "../config/data_folder.ts";
import { stateDirectory } from "../config/paths.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { ownFolder } from "../config/folder_lock.ts";
import { FixedSource } from "../keys/fixed_source.ts";
import { kidOf } from "../keys/keyset/kid.ts";
import type { KeyManager } from "../keys/keyset/manager.ts";
import { type ExportedPairings, listPairings, ManifestFile, PairingStore } from "../keys/mod.ts";
import { checkNewPassphrase } from "../keys/stores/new_passphrase.ts";
import { label } from "../log.ts";
import { secret, SecretMap } from "../secret.ts";
import { type RecordAct, recording, recordingWith } from "./audit/act.ts";
import { type Command, type CommandContext, flag, type OptionTable } from "./command.ts";
import { choose, EXIT_CODES, managerOf, OPTIONS, report } from "./key_common.ts";
import { descriptor } from "./key_options.ts";
import { askPassphrase } from "./passphrase.ts";
import { plural } from "../plural.ts";
import { readSettings } from "./settings.ts";

const PASSPHRASE: OptionTable = {
  "backup-passphrase-fd": {
    type: "string",
    value: "N",
    help: "read the backup's passphrase from this file descriptor",
  },
};

const backupCommand: Command = {
  path: ["backup"],
  example: "secllama backup host.backup",
  summary: "Write keys, clients, roles, policy, history and audit log to one sealed file",
  arguments: "FILE",
  minPositionals: 1,
  maxPositionals: 1,
  options: { ...OPTIONS, ...PASSPHRASE },
  details:
    `FILE must not exist yet. It is sealed under a passphrase; keep them apart. Models are not in it, nor is a key that comes from
outside (--key-fd, a credential, SECLLAMA_KEY). serve may run meanwhile.\n${EXIT_CODES}`,
  async run(context) {
    const path = context.positionals[0]!;
    const { config, dataDir } = await readSettings(context);
    await ensureDataDirectory(dataDir);
    // Before anybody thinks up a passphrase for it.
    if (await look(path) === "there") {
      throw new SecLlamaError("usage", `${path} exists already`, { hint: HINTS.newFile });
    }
    if (await look(dirname(path)) === "missing") {
      throw new SecLlamaError("usage", `there is no folder ${dirname(path)}`);
    }
    using passphrase = secret(await passphraseOf(context, true));
    checkNewPassphrase(passphrase);
    await using keys = await openKeys(context, dataDir);
    using pairings = await keys.pairings();
    const index = await keys.recording(async (record) => {
      // Before it is out of hand, and so that it is in the log that is backed up.
      await record("backup-made");
      return await makeBackup(path, {
        file: new ManifestFile(dataDir),
        passphrase,
        keys: await keys.exported(passphrase, pairings),
        policy: config.modelPolicy || undefined,
      });
    });
    const bytes = (await Deno.stat(path)).size;
    const { items, without } = pairings;
    report(
      context,
      { path, bytes, ...index, pairings: items.size, pairings_without_key: without },
      [
        `wrote ${path}: ${plural(index.entries.length, "part")}, ${plural(bytes, "byte")}`,
        index.gen === null
          ? `the key ${index.kid} is not in it: it comes from outside`
          : `keys: generation ${index.gen}, the active one is ${index.kid}`,
        ...(items.size === 0 ? [] : [`pairings with gateways: ${items.size}`]),
        ...(without.length === 0 ? [] : [
          `their key is in another store, so pair them anew after a restore: ${without.join(", ")}`,
        ]),
      ],
    );
    return EXIT.ok;
  },
};

const restoreCommand: Command = {
  path: ["restore"],
  example: "secllama restore host.backup",
  summary: "Put a backup back, or a host's keys and clients on another machine",
  arguments: "FILE",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    ...PASSPHRASE,
    replace: { type: "boolean", help: "also where something is: it is kept in a folder beside" },
  },
  details:
    `Everything is checked before anything is changed. Where something is there already, it says what would be superseded, and
does it with --replace only; so it is where the key store has a host's keys. serve and proxy must not run. A restore that was killed is to be run again; nothing else runs before.
\n${EXIT_CODES}`,
  async run(context) {
    const path = context.positionals[0]!;
    const { dataDir } = await readSettings(context);
    await ensureDataDirectory(dataDir);
    const running = await announcedServes(dataDir);
    if (running.length > 0) {
      throw new SecLlamaError("key-lock-busy", `a serve runs here, process ${running[0]!.pid}`, {
        hint: HINTS.endFirst,
      });
    }
    // Until it is done: while the passphrase is asked for, too, none starts.
    using _alone = await ownFolder(dataDir);
    if (await look(path) === "missing") {
      throw new SecLlamaError("usage", `there is no file ${path}`);
    }
    using passphrase = secret(await passphraseOf(context, false));
    await using keys = await openKeys(context, dataDir);
    const done = await restoreBackup(path, {
      passphrase,
      keys: keys.place,
      dataDir,
      stateDir: stateDirectory(context.env),
      replace: flag(context, "replace"),
      withLock: (change) => new ManifestFile(dataDir).withLock(change),
    });
    const { index, superseded, kept, policy, otherPolicy, pairings } = done;
    await keys.recording((record) =>
      record("backup-restored", {
        made: label(index.made),
        ...(superseded.length > 0 && { superseded: true }),
      })
    );
    report(context, { ...done }, [
      `restored what was backed up ${index.made}, ${plural(index.entries.length, "part")}`,
      ...superseded.map((line) => `  ${line}`),
      ...(kept === undefined ? [] : [`what was here is in ${kept}; remove it when all is well`]),
      ...(policy === undefined ? [] : [`the model policy is ${policy}`]),
      ...(otherPolicy === undefined
        ? []
        : [`the model policy ${otherPolicy} is another one than the backup's, and stayed`]),
      ...(pairings === 0 ? [] : [`pairings with gateways: ${pairings}`]),
      "models are not in a backup: secllama import or pull them",
    ]);
    return EXIT.ok;
  },
};

/** `secllama backup`, `secllama restore`. */
export const backupCommands: readonly Command[] = [backupCommand, restoreCommand];

interface Keys extends AsyncDisposable {
  readonly place: KeyManager | { readonly kid: string };
  exported(passphrase: Bytes, pairings: ExportedPairings): Promise<BackedUpKeys>;
  pairings(): Promise<ExportedPairings>;
  recording<T>(act: (record: RecordAct) => Promise<T>): Promise<T>;
}

/** The keys that the options name, opened once: what comes from a file descriptor can be read once only. */
async function openKeys(context: CommandContext, dataDir: string): Promise<Keys> {
  const chosen = await choose(context);
  if (chosen.kind === "store") {
    const manager = managerOf(context, chosen);
    return {
      place: manager,
      async exported(passphrase, pairings) {
        const { gen, active: kid } = await manager.verifiedManifest();
        const { file: box } = await manager.exportTo(passphrase, pairings.items);
        return { kid, gen, box, pairings };
      },
      pairings: () => new PairingStore(dataDir, manager.store).exported(),
      recording: (act) => recordingWith(context, manager, act),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const { backend } = chosen;
  using key = secret(chosen.key);
  const kid = await kidOf(key);
  const copy = secret(key.slice());
  return {
    place: { kid },
    exported: () => Promise.resolve({ kid, gen: null }),
    async pairings() {
      const without = (await listPairings(dataDir)).map(({ name }) => name);
      return { items: new SecretMap(), without, [Symbol.dispose]() {} };
    },
    async recording(act) {
      const stateDir = stateDirectory(context.env);
      const from = { backend, key: copy.slice() };
      using source = await FixedSource.make(from, { dataDir, stateDir });
      return await recording(context, source, act);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(copy[Symbol.dispose]()),
  };
}

async function passphraseOf(context: CommandContext, confirm: boolean) {
  const fd = descriptor(context, "backup-passphrase-fd");
  const passphrase = await askPassphrase(context, "backup", fd, confirm);
  if (passphrase !== undefined && passphrase.length > 0) return passphrase;
  throw new SecLlamaError("key-cancelled", "no passphrase was given for the backup", {
    hint: "give it on a file descriptor, --backup-passphrase-fd N, or run on a terminal",
  });
}

/** Where it cannot be looked, whoever opens it says why. */
function look(path: string): Promise<"there" | "missing" | "unknown"> {
  return Deno.lstat(path).then(
    () => "there",
    (error) => error instanceof Deno.errors.NotFound ? "missing" : "unknown",
  );
}
