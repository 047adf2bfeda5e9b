/** `secllama history erase`: some conversations, all, or some out of reach of backups too. */
import { join } from "node:path";
import type { ConversationSummary } from "../../api/history.ts";
import { vaultOf } from "../../app/history.ts";
import { authorityOf } from "../../app/listen_address.ts";
import { EXIT, SecLlamaError } from "../../errors.ts";
import { listAll } from "../../history/export.ts";
import { History } from "../../history/history.ts";
import { newVaultKey, type Vault, type VaultKey } from "../../history/vault.ts";
import { removeHistory } from "../../history/remove.ts";
import type { KeyManager } from "../../keys/keyset/manager.ts";
import { wipe } from "../../secret.ts";
import { SealedHistory } from "../chat/sealed_history.ts";
import { type Command, type CommandContext, flag, JSON_OPTION } from "../command.ts";
import { confirm } from "../confirm.ts";
import { openManager } from "../key_common.ts";
import { plural } from "../../plural.ts";
import { printable } from "../models/print.ts";
import { readSettings } from "../settings.ts";
import { findConversation, HISTORY_OPTIONS, openHistory } from "./access.ts";
import { ID_DIGITS, oneLine } from "./texts.ts";

export const eraseCommand: Command = {
  path: ["history", "erase"],
  summary: "Erase conversations for good",
  arguments: "[ID…]",
  example: "secllama history erase 4008a3fd",
  maxPositionals: 1000,
  options: {
    ...HISTORY_OPTIONS,
    ...JSON_OPTION,
    all: { type: "boolean", help: "the whole history, also if no key opens it any more" },
    everywhere: {
      type: "boolean",
      help: "move what stays under new keys and destroy the old ones: backups open no more",
    },
    yes: { type: "boolean", help: "do not ask" },
  },
  details:
    `The conversation's key, title, messages and texts are overwritten in the database, and its log is emptied. Backups that were
made before still hold them, sealed. With --everywhere, alone or with IDs, what stays is sealed under a new key, and all older
master keys are destroyed: no backup of the history opens any more, nor does a paired client that never took up the new key. An
export of the keys that was made before still opens them. It needs the key store, and no proxy that runs.`,
  async run(context) {
    const [all, everywhere] = [flag(context, "all"), flag(context, "everywhere")];
    const ids = context.positionals;
    if (all && (everywhere || ids.length > 0)) {
      throw new SecLlamaError("usage", "--all goes with no ID and not with --everywhere");
    }
    if (!all && !everywhere && ids.length === 0) {
      throw new SecLlamaError("usage", "secllama history erase needs: ID", {
        hint: "to see them: secllama history list; for all of them: --all",
      });
    }
    if (all) return await eraseAll(context);
    return everywhere ? await eraseEverywhere(context) : await eraseSome(context);
  },
};

async function eraseSome(context: CommandContext): Promise<number> {
  using open = await openHistory(context);
  const found = [];
  for (const text of context.positionals) found.push(await findConversation(open.history, text));
  await confirmErasure(context, found.map(lineOf));
  const ids = [...new Set(found.map(({ id }) => id))];
  await open.history.erase(ids);
  report(context, { erased: ids.length }, `erased ${count(ids.length)}`);
  return EXIT.ok;
}

/** Over the proxy that runs, one by one; else the files, whatever is in them. */
async function eraseAll(context: CommandContext): Promise<number> {
  const { dataDir } = await readSettings(context);
  await confirmErasure(context, [
    "the whole history: every conversation, every document, and the prompts",
  ]);
  let erased: number | undefined;
  try {
    using open = await openHistory(context);
    const { history } = open;
    const conversations = await listAll(history);
    await history.erase(conversations.map(({ id }) => id));
    for (const { id } of await history.documents()) await history.removeDocument(id);
    await history.setPrompts([]);
    erased = conversations.length;
  } catch (error) {
    // What cannot be opened is what this is for; what another process writes is not.
    const code = error instanceof SecLlamaError ? error.code : "internal";
    if (["internal", "history-busy", "cancelled"].includes(code)) throw error;
    await removeHistory(dataDir);
  }
  report(
    context,
    { erased: erased ?? null },
    erased === undefined ? "removed the history's files" : `erased ${count(erased)}`,
  );
  return EXIT.ok;
}

async function eraseEverywhere(context: CommandContext): Promise<number> {
  const { dataDir } = await readSettings(context);
  const manager = await openManager(context, "destroy");
  const vault = vaultOf(dataDir, manager);
  const old = await vault.open();
  const next = newVaultKey();
  try {
    const { erased, moved } = await moveTo(context, dataDir, vault, [old, next]);
    await vault.replace([next]);
    const destroyed = await destroyOlder(manager, dataDir);
    report(
      context,
      { erased, moved, destroyed },
      [
        `erased ${count(erased)}, moved ${count(moved)} under a new key`,
        `destroyed ${
          plural(destroyed, "older master key")
        }: no backup of the history opens any more`,
      ].join("\n"),
    );
    context.tui.note(
      "An export of the keys that was made before still opens backups: remove it too.",
    );
    return EXIT.ok;
  } finally {
    wipe(next.key, ...old.map(({ key }) => key));
  }
}

async function moveTo(
  context: CommandContext,
  dataDir: string,
  vault: Vault,
  [old, next]: readonly [old: readonly VaultKey[], next: VaultKey],
): Promise<{ erased: number; moved: number }> {
  const copies = (keys: readonly VaultKey[]) =>
    keys.map(({ id, key }) => ({ id, key: key.slice() }));
  using history = new History({ dataDir, vault: copies(old) });
  const asked = {
    list: (o?: Parameters<History["list"]>[0]) => Promise.try(() => history.list(o)),
  };
  const found = [];
  for (const text of context.positionals) found.push(await findConversation(asked, text));
  await confirmErasure(context, [
    ...found.map(lineOf),
    "and every older key: backups of the history open no more, nor anything else under those keys",
  ]);
  history.erase([...new Set(found.map(({ id }) => id))]);
  // From here on a process that dies leaves both keys, and the next --everywhere goes on.
  await vault.replace([next, ...old]);
  return { erased: found.length, moved: history.rekey(next) };
}

/** A new master key, everything of ours under it, and the end of all others. */
async function destroyOlder(manager: KeyManager, dataDir: string): Promise<number> {
  await manager.rotate();
  const { file } = manager;
  await authorityOf(file.dataDir, manager).rewrap();
  await vaultOf(dataDir, manager).rewrap();
  const lines = new SealedHistory(
    join(dataDir, "run-history"),
    () => Promise.resolve(manager.storage()),
  );
  const kept = await lines.read().catch(() => []);
  if (kept.length > 0) await lines.write(kept);
  const older = (await manager.list()).filter(({ state }) => state === "decrypt-only");
  for (const { kid } of older) await manager.delete(kid);
  return older.length;
}

function lineOf({ id, title, messages }: ConversationSummary): string {
  return `${id.slice(0, ID_DIGITS)}  ${plural(messages, "message")}  ${printable(oneLine(title))}`;
}

/** @throws {SecLlamaError} `usage` if nobody is there, `cancelled`. */
async function confirmErasure(context: CommandContext, lines: readonly string[]): Promise<void> {
  if (flag(context, "yes")) return;
  for (const line of lines) context.tui.note(line);
  await confirm(context, {
    word: "erase",
    kept: "nothing was erased",
    unasked: "secllama history erase … --yes",
    nobody: "usage",
    cancelled: "cancelled",
  });
}

function report(context: CommandContext, json: object, line: string): void {
  if (flag(context, "json")) context.tui.json(json);
  else context.tui.out(line);
}

function count(n: number): string {
  return plural(n, "conversation");
}
