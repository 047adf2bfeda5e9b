/** `secllama clients …`: the machines that are paired with this gateway. */
import { EXIT, SecLlamaError } from "../errors.ts";
import {
  type ClientSource,
  type KeyRing,
  type KeySource,
  openKeySource,
  type PairedClient,
  type RingSource,
} from "../keys/mod.ts";
import { label, type LogFields } from "../log.ts";
import { hardenSelf } from "../sandbox/mod.ts";
import { type RecordAct, recording } from "./audit/act.ts";
import { padColumns } from "./columns.ts";
import { type Command, type CommandContext, flag } from "./command.ts";
import { EXIT_CODES, OPTIONS, report } from "./key_common.ts";
import { keySourceOptions } from "./key_options.ts";
import { readSettings } from "./settings.ts";

/** What a client's key is worth today. */
type KeyState = "current" | "older" | "ended" | "revoked";

const KEY_WORDS: { readonly [state in KeyState]: string } = {
  current: "key current",
  older: "key of before the rotation: it gets the new one with its next answer",
  ended: "its key was rotated away: pair it anew with --replace",
  revoked: "revoked",
};

const list: Command = {
  path: ["clients", "list"],
  summary: "List the machines that are paired with this gateway",
  options: { ...OPTIONS, all: { type: "boolean", help: "also those that are revoked" } },
  details: EXIT_CODES,
  run: (context) =>
    withKeys(context, async (keys) => {
      const { clients } = await keys.clients().read();
      using ring = await keys.ring();
      const shown = clients.filter((c) => c.revoked === null || flag(context, "all"))
        .map((client) => ({ ...client, key: keyState(client, ring) }));
      report(
        context,
        { clients: shown },
        shown.length === 0
          ? ["no client is paired; to pair one, run: secllama pair NAME"]
          : shown.map((c) =>
            `${padColumns(c.name, 20)}  ${c.id.slice(0, 8)}  paired ${c.created.slice(0, 10)}  ${
              KEY_WORDS[c.key]
            }${c.revoked === null ? "" : ` ${c.revoked.slice(0, 10)}`}`
          ),
      );
    }),
};

const revoke: Command = {
  path: ["clients", "revoke"],
  summary: "End a client for good: at once, with what it is being told just now",
  arguments: "NAME",
  minPositionals: 1,
  maxPositionals: 1,
  options: OPTIONS,
  details:
    `NAME may be the client's id as well. A running gateway needs no restart.\n${EXIT_CODES}`,
  run: (context) =>
    withRecord(context, async (keys, record) => {
      const client = await keys.clients().revoke(context.positionals[0]!);
      await record("client-revoked", clientFields(client));
      report(context, { client }, [`revoked ${client.name} (${client.id.slice(0, 8)})`]);
    }),
};

const rename: Command = {
  path: ["clients", "rename"],
  summary: "Give a client another name; it stays paired",
  arguments: "NAME NEW-NAME",
  minPositionals: 2,
  maxPositionals: 2,
  options: OPTIONS,
  details: EXIT_CODES,
  run: (context) =>
    withRecord(context, async (keys, record) => {
      const [old, name] = context.positionals;
      const client = await keys.clients().rename(old!, name!);
      await record("client-renamed", { ...clientFields(client), before: label(old!) });
      report(context, { client }, [`${old} is now ${client.name}`]);
    }),
};

const reset: Command = {
  path: ["clients", "reset"],
  summary: "Begin an empty list of clients where clients.json is lost or damaged",
  options: { ...OPTIONS, yes: { type: "boolean", help: "do not ask" } },
  details: `Every client is refused from then on and has to be paired anew.\n${EXIT_CODES}`,
  run: (context) =>
    withRecord(context, async (keys, record) => {
      if (!flag(context, "yes")) {
        context.tui.note("This ends every client; each has to be paired anew.");
        if (context.tui.ask("To go on, type: reset")?.trim() !== "reset") {
          throw new SecLlamaError("key-cancelled", "it was not confirmed: nothing was changed", {
            hint: "to do it without being asked, run: secllama clients reset --yes",
          });
        }
      }
      const revision = await keys.clients().reset();
      await record("clients-reset");
      report(context, { revision }, ["the list of clients is empty now"]);
    }),
};

/** The commands of `secllama clients`. */
export const clientCommands: readonly Command[] = [list, revoke, rename, reset];

function keyState(client: PairedClient, ring: KeyRing): KeyState {
  if (client.revoked !== null) return "revoked";
  if (client.kid === ring.activeKid) return "current";
  return ring.idsOf(client.id).length > 1 ? "older" : "ended";
}

/** Who it is, in a line of the audit log. */
function clientFields({ name, id }: PairedClient): LogFields {
  return { client: label(name), client_id: label(id.slice(0, 8)) };
}

/** As {@link withKeys}, for what belongs into the audit log. */
function withRecord(
  context: CommandContext,
  run: (keys: ClientSource & RingSource, record: RecordAct) => Promise<void>,
): Promise<number> {
  return withKeys(
    context,
    (keys) => recording(context, keys, (record) => run(keys, record)),
  );
}

async function withKeys(
  context: CommandContext,
  run: (keys: KeySource) => Promise<void>,
): Promise<number> {
  hardenSelf(); // before a key is in memory
  const { config, dataDir } = await readSettings(context);
  using keys = await openKeySource({
    ...keySourceOptions(context, dataDir),
    clientGraceMs: config.clientGraceMs,
  });
  await run(keys);
  return EXIT.ok;
}
