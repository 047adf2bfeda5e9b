/**
 * `secllama key …`: init, status, list, rotate, delete, export, import. Thin over src/keys: options in, lines or one JSON
 * document out, and the exit code of the error table. Nothing here prints key bytes.
 */
import { SecLlamaError } from "../errors.ts";
import { label } from "../log.ts";
import { secret } from "../secret.ts";
import { recordingWith } from "./audit/act.ts";
import { destroyAll } from "../keys/keyset/destroy_all.ts";
import { kidOf } from "../keys/keyset/kid.ts";
import { outsideStatus } from "../keys/keyset/status.ts";
import { BACKEND_NAMES } from "../keys/stores/store.ts";
import { readUsage, useOf } from "../keys/keyset/usage.ts";
import { type Command, type CommandContext, flag, stringOption } from "./command.ts";
import { confirm } from "./confirm.ts";
import {
  choose,
  EXIT_CODES,
  kidArgument,
  managerOf,
  openManager,
  OPTIONS,
  report,
} from "./key_common.ts";
import { KEY_OPTIONS } from "./key_options.ts";
import { printStatus } from "./key_status.ts";
import { vaultOf } from "../app/history.ts";
import { authorityOf } from "../app/listen_address.ts";
import { announcedServes } from "../app/serve_announcement.ts";
import { countHistory } from "../history/remove.ts";
import { humanBytes } from "./models/print.ts";
import { readSettings } from "./settings.ts";
import { exportCommand, importCommand } from "./key_transfer.ts";
import { plural } from "../plural.ts";

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
      await recordingWith(context, manager, (record) => record("key-made", { kid: label(kid) }));
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
    ...KEY_OPTIONS,
    "max-age-days": { type: "string", value: "N", help: "age that asks for a rotation (90)" },
  },
  details: EXIT_CODES,
  async run(context) {
    const chosen = await choose(context);
    if (chosen.kind === "fixed") {
      using key = secret(chosen.key);
      const kid = await kidOf(key);
      report(context, outsideStatus(chosen.backend, kid), [
        `key ${kid} from ${BACKEND_NAMES[chosen.backend]}; it cannot rotate`,
      ]);
      return 0;
    }
    const maxAgeDays = daysOption(context) ?? (await readSettings(context)).config.keyMaxAgeDays;
    const found = await managerOf(context, chosen).status({ maxAgeDays });
    if (flag(context, "json")) context.tui.json(found);
    else printStatus(context.tui, found);
    const { dataDir } = await readSettings(context);
    if (found.problem && (await announcedServes(dataDir)).length > 0) {
      context.tui.note("a serve runs with a key of its own, which it shows: secllama status");
    }
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
      help: "the old keys may be known to others: accept no exchange under them",
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
    const done = await recordingWith(context, manager, async (record) => {
      const done = to === undefined
        ? await manager.rotate({ compromised })
        : await manager.rotateTo(kidArgument(to));
      const { kid, previous } = done;
      await record("key-rotated", { kid: label(kid), previous: label(previous), compromised });
      return done;
    });
    // So that the older key can be destroyed; if it fails, serve and key delete do it.
    await authorityOf(manager.file.dataDir, manager).rewrap().catch(() => {});
    await vaultOf(manager.file.dataDir, manager).rewrap().catch(() => {});
    report(context, done, [`the active key is ${done.kid}, before it ${done.previous}`]);
    return 0;
  },
};

const remove: Command = {
  path: ["key", "delete"],
  summary: "Destroy a key and with it everything that only it opens",
  arguments: "[KID]",
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    yes: { type: "boolean", help: "do not ask" },
    all: { type: "boolean", help: "every key of the profile, the active one too" },
  },
  details: EXIT_CODES,
  async run(context) {
    if (flag(context, "all")) return await deleteAll(context);
    if (context.positionals.length === 0) {
      throw new SecLlamaError("usage", "secllama key delete needs: KID", {
        hint: "to see them: secllama key list; to end all of them: secllama key delete --all",
      });
    }
    const kid = kidArgument(context.positionals[0]!);
    const manager = await openManager(context, "delete");
    const found = (await manager.list()).find((key) => key.kid === kid);
    if (found?.state === "decrypt-only" && !flag(context, "yes")) {
      const { wraps } = useOf(await readUsage(manager.file.dataDir), kid);
      context.tui.note(`This destroys the key ${kid} for good. What becomes unreadable:`);
      context.tui.note(
        `  - what was wrapped under it and not since: lines that secllama run kept for you (${
          wraps === 0 ? "none counted" : `${plural(wraps, "time")} counted`
        })`,
      );
      const history = historyText(manager.file.dataDir);
      context.tui.note(
        `  - backups of these${
          history === undefined ? "" : " and of the history"
        } from the time it was active, unless an export of the keys has it`,
      );
      if (history !== undefined) {
        context.tui.note(`The history (${history}) is moved to the active key first, and stays.`);
      }
      context.tui.note("Paired clients that still use it have to be paired again.");
      const unasked = `secllama key delete ${kid} --yes`;
      await confirm(context, { word: kid, called: "the key's id", kept: "kept it", unasked });
    }
    await authorityOf(manager.file.dataDir, manager).rewrap();
    await vaultOf(manager.file.dataDir, manager).rewrap().catch((error) => {
      // Under a key that is gone there is nothing left to lose; anything else is in the way.
      if (!(error instanceof SecLlamaError) || error.code !== "decrypt-failed") throw error;
    });
    const done = await recordingWith(context, manager, async (record) => {
      const done = await manager.delete(kid);
      if (!done.already) await record("key-destroyed", { kid: label(kid) });
      return done;
    });
    report(context, done, [
      done.already ? `the key ${kid} was destroyed before` : `destroyed the key ${kid}`,
    ]);
    return 0;
  },
};

/** Ends a keyset: for a machine that is given away, or a profile that is not needed any more. */
async function deleteAll(context: CommandContext): Promise<number> {
  const { tui } = context;
  if (context.positionals.length > 0) {
    throw new SecLlamaError("usage", "secllama key delete takes a key's id or --all, not both");
  }
  const manager = await openManager(context, "delete");
  const count = (await manager.store.list()).length;
  if (count > 0 && !flag(context, "yes")) {
    tui.note(
      `This destroys every key of profile ${manager.profile} for good, and pairings with gateways:`,
    );
    tui.note("nothing that was sealed under them opens again, and each paired client is shut out.");
    const history = historyText(manager.file.dataDir);
    if (history !== undefined) tui.note(`The history is lost with them: ${history}.`);
    const unasked = "secllama key delete --all --yes";
    await confirm(context, { word: "all", kept: "kept all keys", unasked });
  }
  await destroyAll(manager.store, manager.file.dataDir);
  report(context, { destroyed: count }, [
    count === 0 ? "there was no key" : `destroyed ${plural(count, "item")} of the key store`,
  ]);
  return 0;
}

/** "12 conversations, 1.2 MB"; undefined: there is no history. */
function historyText(dataDir: string): string | undefined {
  const found = countHistory(dataDir);
  return found && `${plural(found.conversations, "conversation")}, ${humanBytes(found.bytes)}`;
}

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

function daysOption(context: CommandContext): number | undefined {
  const text = stringOption(context, "max-age-days");
  if (text === undefined || /^\d{1,5}$/.test(text)) return text === undefined ? text : Number(text);
  throw new SecLlamaError("usage", "--max-age-days must be a whole number of days, 0 for never", {
    field: "--max-age-days",
  });
}
