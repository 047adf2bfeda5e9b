/** `secllama role …`: what kinds of client may ask, and how much. */
import { CALL_KINDS } from "../api/call_terms.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { durationMs } from "../duration.ts";
import { isAlive, Tokens } from "../firm/tokens.ts";
import {
  canonicalHours,
  type ClientList,
  type ClientSource,
  DEFAULT_ROLE,
  hasExpired,
  isAmount,
  isKinds,
  isRoleName,
  isRolePattern,
  isTimeZone,
  MAX_AMOUNT,
  type Role,
  ROLE_AMOUNTS,
  type RoleAmount,
} from "../keys/mod.ts";
import { label, type LogFields } from "../log.ts";
import { withKeys, withRecord } from "./client_keys.ts";
import { padColumns } from "./columns.ts";
import { type Command, type CommandContext, type OptionTable, stringOption } from "./command.ts";
import { EXIT_CODES, OPTIONS, report } from "./key_common.ts";
import { reportRows } from "./rows.ts";
import { readSettings } from "./settings.ts";
import { plural } from "../plural.ts";

/** Option → the amount that it sets, and what it is called in a line. */
const AMOUNTS: Readonly<Record<RoleAmount, { option: string; per: string; help: string }>> = {
  requestsPerMinute: {
    option: "requests-minute",
    per: " a minute",
    help: "most requests in a minute",
  },
  requestsPerDay: { option: "requests-day", per: " a day", help: "most in a day (UTC)" },
  tokensPerMinute: {
    option: "tokens-minute",
    per: " a minute",
    help: "most tokens of prompts and replies in a minute",
  },
  tokensPerDay: { option: "tokens-day", per: " a day", help: "most in a day (UTC)" },
  atOnce: { option: "at-once", per: " at once", help: "most requests under way at a time" },
};

const set: Command = {
  path: ["role", "set"],
  example:
    "secllama role set staff --models 'demo,llama*' --requests-minute 60 --tokens-day 200000",
  summary: "Make a role, or replace it: what its clients may ask, when, and how much",
  arguments: "NAME",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    models: { type: "string", value: "NAMES", help: "with commas; * for anything (default: all)" },
    kinds: { type: "string", value: "KINDS", help: `with commas, of: ${CALL_KINDS.join(", ")}` },
    "reply-tokens": { type: "string", value: "N", help: "most tokens of one reply" },
    hours: { type: "string", value: "HOURS", help: "when they may ask: 'mon-fri 08:00-18:00'" },
    "time-zone": { type: "string", value: "ZONE", help: "of the hours (default UTC)" },
    ...Object.fromEntries(
      ROLE_AMOUNTS.map((amount) => [AMOUNTS[amount].option, {
        type: "string",
        value: "N",
        help: AMOUNTS[amount].help,
      }]),
    ) as OptionTable,
  },
  details:
    `The role ${DEFAULT_ROLE} is that of clients and tokens without one. This user's own programs have no limit.
Over a limit: 429, with the headers that the clients of OpenAI and Anthropic read. A running gateway needs no restart.
What is not given is without a limit.\n${EXIT_CODES}`,
  run: async (context) => {
    // Before a key store is asked for anything.
    const role = readRole(context);
    return await withRecord(context, async (keys, record) => {
      const before = await keys.clients().setRole(role);
      await record("role-set", {
        role: label(role.name),
        ...Object.fromEntries(ROLE_AMOUNTS.map((amount) => [
          AMOUNTS[amount].option.replace("-", "_"),
          role[amount],
        ])),
        ...labels(role),
      });
      // Another administrator may have set it a moment ago.
      const lines = before === undefined || lineOf(before) === lineOf(role)
        ? []
        : [`replaced: ${lineOf(before)}`];
      report(context, { role, before: before ?? null }, [lineOf(role), ...lines]);
    });
  },
};

const list: Command = {
  path: ["role", "list"],
  summary: "List the roles and their limits",
  options: OPTIONS,
  details: EXIT_CODES,
  run: (context) =>
    withKeys(context, async (keys) => {
      const { roles = [] } = await keys.clients().read();
      reportRows(
        context,
        { roles },
        roles.map(cellsOf),
        "there is no role: nobody has a limit; to make one, run: secllama role set NAME …",
      );
    }),
};

const remove: Command = {
  path: ["role", "remove"],
  summary: "Take a role away that no client has, and say which tokens end with it",
  arguments: "NAME",
  minPositionals: 1,
  maxPositionals: 1,
  options: OPTIONS,
  details:
    `A token that has it is refused from then on; it says which ones those are.\n${EXIT_CODES}`,
  run: (context) =>
    withRecord(context, async (keys, record) => {
      const [name] = context.positionals;
      await keys.clients().removeRole(name!);
      await record("role-removed", { role: label(name!) });
      const { refused, lines } = await cutOffBy(context, name!, keys);
      report(context, { removed: name, refused }, [`the role ${name} is gone`, ...lines]);
    }),
};

/** The commands of `secllama role`. */
export const roleCommands: readonly Command[] = [set, list, remove];

/** Whom it cuts off, or frees, that this role is gone: their names, and the same in lines. */
async function cutOffBy(
  context: CommandContext,
  name: string,
  keys: ClientSource,
): Promise<{ refused: string[]; lines: string[] }> {
  const { config, dataDir } = await readSettings(context);
  const now = Date.now();
  const { clients } = await keys.clients().read();
  const refused = [
    ...clients.filter((one) => one.revoked === null && !hasExpired(one, now)),
    ...(await new Tokens(dataDir).list()).filter((one) => isAlive(one, now)),
  ].filter(({ role }) => role === name).map((one) => one.name);
  const groups = config.oidcRoles.filter(([, role]) => role === name).map(([group]) => group);
  return {
    refused,
    lines: [
      ...refused.map((one) =>
        `refused from now on: ${one}; to give it a role: secllama clients set "${one}" --role NAME`
      ),
      ...(groups.length === 0
        ? []
        : [`refused once they sign in: who is in ${groups.join(", ")} (SECLLAMA_OIDC_ROLES)`]),
      ...(name === DEFAULT_ROLE ? ["clients and tokens without a role have no limit now"] : []),
    ],
  };
}

/** `--role`. @throws {SecLlamaError} `usage` where it is given and empty, as a script's variable may be. */
export function roleOption(context: CommandContext): string | undefined {
  const name = stringOption(context, "role");
  if (name !== "") return name;
  throw new SecLlamaError("usage", "--role must be a role's name", {
    field: "--role",
    hint: HINTS.roles,
  });
}

/**
 * @param open Keys that are open: a passphrase that came on a descriptor cannot be read twice.
 * @throws {SecLlamaError} `not-found` unless there is a role of this name.
 */
export async function needRole(
  context: CommandContext,
  name: string,
  open?: ClientSource,
): Promise<void> {
  let found: ClientList["roles"];
  const read = async (keys: ClientSource) => {
    found = (await keys.clients().read()).roles;
  };
  if (open === undefined) await withKeys(context, read);
  else await read(open);
  if (found?.some((role) => role.name === name)) return;
  throw new SecLlamaError("not-found", `there is no role named ${name.slice(0, 64)}`, {
    hint: HINTS.roles,
  });
}

/** When a client ends, from an age; "never" is null. @throws {SecLlamaError} `usage`. */
export function readEnd(text: string, now: Date = new Date()): string | null {
  if (text === "never") return null;
  const ms = /^[\d.].*[a-z]$/.test(text) ? durationMs(text, { days: true }) : undefined;
  if (ms !== undefined && ms > 0) return new Date(now.getTime() + ms).toISOString();
  throw new SecLlamaError("usage", "--expires must be an age such as 90d, or never", {
    field: "--expires",
    hint: "for instance: --expires 90d",
  });
}

/** What of a role is no amount, in a line of the record. */
function labels({ models, kinds, replyTokens, hours, timeZone }: Role): LogFields {
  return {
    ...(models === undefined ? {} : { models: label(models.join(",")) }),
    ...(kinds === undefined ? {} : { kinds: label(kinds.join(",")) }),
    ...(replyTokens === undefined ? {} : { reply_tokens: replyTokens }),
    ...(hours === undefined
      ? {}
      : { hours: label(hours.replaceAll(", ", ",").replaceAll(" ", "_")) }),
    ...(timeZone === undefined ? {} : { time_zone: label(timeZone) }),
  };
}

function lineOf(role: Role): string {
  return cellsOf(role).join("  ");
}

function cellsOf(role: Role): string[] {
  const { kinds, replyTokens, hours, timeZone = "UTC" } = role;
  const amounts = ROLE_AMOUNTS.filter((amount) => role[amount] !== undefined)
    .map((amount) => {
      const noun = amount.startsWith("tokens") ? "token" : "request";
      return plural(role[amount]!, noun) + AMOUNTS[amount].per;
    });
  if (replyTokens !== undefined) amounts.push(`${plural(replyTokens, "token")} a reply`);
  if (kinds !== undefined) amounts.push(`only ${kinds.join(", ")}`);
  if (hours !== undefined) amounts.push(`${hours} (${timeZone})`);
  return [
    padColumns(role.name, 20),
    amounts.join(", ") || "no limit",
    `models: ${role.models?.join(", ") ?? "all"}`,
  ];
}

/** @throws {SecLlamaError} `usage`. */
function readRole(context: CommandContext): Role {
  const [name] = context.positionals;
  if (!isRoleName(name!)) {
    throw new SecLlamaError("usage", "a role's name is 1 to 64 letters, digits and ._-", {
      hint: "for instance: secllama role set staff --requests-minute 60",
    });
  }
  const models = stringOption(context, "models")?.split(",").map((one) => one.trim());
  const wrong = models?.find((pattern) => !isRolePattern(pattern));
  if (wrong !== undefined) {
    throw new SecLlamaError("usage", "--models must be names of models with commas between", {
      field: "--models",
      hint: "for instance: --models 'demo,llama*'",
    });
  }
  const amounts = ROLE_AMOUNTS.flatMap((amount) => {
    const value = readAmount(context, AMOUNTS[amount].option);
    return value === undefined ? [] : [[amount, value] as const];
  });
  const kinds = readKinds(context);
  const replyTokens = readAmount(context, "reply-tokens");
  return {
    name: name!,
    ...(models === undefined ? {} : { models }),
    ...(kinds === undefined ? {} : { kinds }),
    ...(replyTokens === undefined ? {} : { replyTokens }),
    ...readHours(context),
    ...Object.fromEntries(amounts),
  };
}

function readAmount(context: CommandContext, option: string): number | undefined {
  const text = stringOption(context, option);
  if (text === undefined) return undefined;
  const value = /^\d{1,13}$/.test(text) ? Number(text) : NaN;
  if (isAmount(value)) return value;
  const most = MAX_AMOUNT.toLocaleString("en");
  throw new SecLlamaError("usage", `--${option} must be a whole number from 1 to ${most}`, {
    field: `--${option}`,
    hint: "without it there is no such limit",
  });
}

function readKinds(context: CommandContext): Role["kinds"] {
  const kinds = stringOption(context, "kinds")?.split(",").map((one) => one.trim());
  if (kinds === undefined || isKinds(kinds)) return kinds;
  throw new SecLlamaError("usage", "--kinds must be kinds of call with commas between, each once", {
    field: "--kinds",
    hint: `they are: ${CALL_KINDS.join(", ")}`,
  });
}

function readHours(context: CommandContext): Pick<Role, "hours" | "timeZone"> {
  const [given, timeZone] = [stringOption(context, "hours"), stringOption(context, "time-zone")];
  const hours = given === undefined ? undefined : canonicalHours(given);
  if (given !== undefined && hours === undefined) {
    throw new SecLlamaError("usage", "--hours must be days and hours, with commas between", {
      field: "--hours",
      hint: "for instance: --hours 'mon-fri 08:00-18:00, sat 09:00-12:00'",
    });
  }
  if (timeZone !== undefined && (hours === undefined || !isTimeZone(timeZone))) {
    throw new SecLlamaError(
      "usage",
      "--time-zone must be one that is known, and goes with --hours",
      {
        field: "--time-zone",
        hint: "for instance: --time-zone Europe/Berlin",
      },
    );
  }
  return {
    ...(hours === undefined ? {} : { hours }),
    ...(timeZone === undefined ? {} : { timeZone }),
  };
}
