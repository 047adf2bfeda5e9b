/** `secllama token …`: API tokens of this user's programs. */
import { durationMs } from "../duration.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { type TokenEntry, Tokens } from "../firm/tokens.ts";
import { ensureDataDirectory } from "../config/data_folder.ts";
import { label } from "../log.ts";
import { RECORDING_OPTIONS, recordingAlone } from "./audit/act.ts";
import { padColumns } from "./columns.ts";
import { type Command, flag, JSON_OPTION, stringOption } from "./command.ts";
import { report } from "./key_common.ts";
import { UNUSED_KEY_OPTIONS } from "./key_options.ts";
import { needRole, roleOption } from "./role.ts";
import { reportRows } from "./rows.ts";
import { readSettings } from "./settings.ts";

const create: Command = {
  path: ["token", "create"],
  example: "secllama token create open-webui --expires 90d",
  summary: "Make an API token for a program: prints it, once",
  arguments: "NAME",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...JSON_OPTION,
    ...RECORDING_OPTIONS,
    expires: {
      type: "string",
      value: "AGE",
      help: "how long it lives, as in 90d (default: no end)",
    },
    role: { type: "string", value: "NAME", help: "whose limits it has: secllama role list" },
  },
  details:
    `The proxy asks for tokens with SECLLAMA_REQUIRE_TOKEN=true. A program sends it as Authorization: Bearer, x-api-key,
api-key, or by basic authentication, as the password or the user. Nothing of it is kept but a hash.`,
  async run(context) {
    const lifeMs = readLife(stringOption(context, "expires"));
    const role = roleOption(context);
    const { dataDir } = await readSettings(context);
    await ensureDataDirectory(dataDir);
    const { entry, text } = await recordingAlone(context, async (record, keys) => {
      if (role !== undefined) await needRole(context, role, keys);
      const made = await new Tokens(dataDir).create(context.positionals[0]!, lifeMs, role);
      await record("token-created", tokenFields(made.entry));
      return made;
    });
    if (flag(context, "json")) context.tui.json({ schema: 1, ...shown(entry), token: text });
    else {
      context.tui.note(`This is the token of ${entry.name}. It is shown this once:`);
      context.tui.out(text);
    }
    return EXIT.ok;
  },
};

const list: Command = {
  path: ["token", "list"],
  summary: "List the API tokens, without the tokens themselves",
  options: {
    ...JSON_OPTION,
    ...UNUSED_KEY_OPTIONS,
    all: { type: "boolean", help: "also those that ended" },
  },
  async run(context) {
    const { dataDir } = await readSettings(context);
    const now = Date.now();
    const tokens = (await new Tokens(dataDir).list())
      .filter((entry) => flag(context, "all") || !hasEnded(entry, now));
    reportRows(
      context,
      { tokens: tokens.map(shown) },
      tokens.map((entry) => [
        padColumns(entry.name, 20),
        entry.id,
        `made ${entry.created.slice(0, 10)}`,
        entry.revoked !== null
          ? `revoked ${entry.revoked.slice(0, 10)}`
          : entry.expires === null
          ? "no end"
          : `${hasEnded(entry, now) ? "ended" : "ends"} ${entry.expires.slice(0, 10)}`,
      ]),
      "there is no token; to make one, run: secllama token create NAME",
    );
    return EXIT.ok;
  },
};

const revoke: Command = {
  path: ["token", "revoke"],
  example: "secllama token revoke open-webui",
  summary: "End an API token at once",
  arguments: "NAME",
  minPositionals: 1,
  maxPositionals: 1,
  options: { ...JSON_OPTION, ...RECORDING_OPTIONS },
  details: "NAME may be the token's id as well. A running proxy needs no restart.",
  async run(context) {
    const { dataDir } = await readSettings(context);
    const entry = await recordingAlone(context, async (record) => {
      const entry = await new Tokens(dataDir).revoke(context.positionals[0]!);
      await record("token-revoked", tokenFields(entry));
      return entry;
    });
    report(context, { token: shown(entry) }, [`revoked ${entry.name} (${entry.id})`]);
    return EXIT.ok;
  },
};

/** The commands of `secllama token`. */
export const tokenCommands: readonly Command[] = [create, list, revoke];

function shown({ name, id, created, expires, revoked, role }: TokenEntry) {
  return { name, id, kind: "app", created, expires, revoked, role: role ?? null };
}

function tokenFields({ name, id }: TokenEntry) {
  return { client: label(name), client_id: label(id), kind: label("app") };
}

function hasEnded({ expires, revoked }: TokenEntry, now: number): boolean {
  return revoked !== null || expires !== null && Date.parse(expires) <= now;
}

/** @throws {SecLlamaError} `usage`. */
function readLife(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^[\d.].*[a-z]$/.test(text) ? durationMs(text, { days: true }) : undefined;
  if (ms !== undefined && ms > 0) return ms;
  throw new SecLlamaError("usage", "--expires must be an age such as 90d or 12h", {
    field: "--expires",
    hint: "for instance: --expires 90d; without it the token has no end",
  });
}
