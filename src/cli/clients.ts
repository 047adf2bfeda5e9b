/** `secllama clients …`: the machines, people and programs that may use this gateway. */
import { type LimitState, SecLlamaError } from "../errors.ts";
import { endToken } from "../hints.ts";
import { standing, type Usage } from "../firm/limiter.ts";
import { isAlive, type TokenEntry, Tokens } from "../firm/tokens.ts";
import { UsageFile } from "../firm/usage_file.ts";
import {
  type ClientList,
  DEFAULT_ROLE,
  hasExpired,
  type KeyRing,
  namedBy,
  type PairedClient,
} from "../keys/mod.ts";
import { label, type LogFields } from "../log.ts";
import { withKeys, withRecord } from "./client_keys.ts";
import { padColumns } from "./columns.ts";
import { type Command, flag, stringOption } from "./command.ts";
import { confirm } from "./confirm.ts";
import { EXIT_CODES, OPTIONS, report } from "./key_common.ts";
import { readEnd, roleOption } from "./role.ts";
import { reportRows } from "./rows.ts";
import { readSettings } from "./settings.ts";

/** What a client's key is worth today. */
type KeyState = "current" | "older" | "ended" | "expired" | "revoked";

const KEY_WORDS: { readonly [state in KeyState]: string } = {
  current: "key current",
  older: "key of before the rotation: it gets the new one with its next answer",
  ended: "its key was rotated away: pair it anew with --replace",
  expired: "it has had its time: secllama clients set NAME --expires AGE",
  revoked: "revoked",
};

const list: Command = {
  path: ["clients", "list"],
  summary:
    "List who may use this gateway: machines, people, programs; their limits and what is left",
  options: { ...OPTIONS, all: { type: "boolean", help: "also those that have ended" } },
  details: EXIT_CODES,
  run: (context) =>
    withKeys(context, async (keys) => {
      const list = await keys.clients().read();
      using ring = await keys.ring();
      const { dataDir } = await readSettings(context);
      const { usage, problem } = usageIn(dataDir);
      const now = Date.now();
      const all = flag(context, "all");
      const paired = list.clients.filter((c) => all || c.revoked === null).map((client) => ({
        ...client,
        kind: client.kind ?? "machine",
        role: client.role ?? null,
        expires: client.expires ?? null,
        key: keyState(client, ring, now),
        limits: limitsOf(list, client.role, usage && { of: usage.get(`client ${client.id}`) }, now),
      }));
      const apps = (await new Tokens(dataDir).list()).filter((t) => all || isAlive(t, now))
        .map(({ hash: _, ...app }) => ({
          ...app,
          kind: "app",
          role: app.role ?? null,
          limits: limitsOf(list, app.role, usage && { of: usage.get(`app ${app.id}`) }, now),
        }));
      reportRows(
        context,
        {
          clients: paired,
          apps,
          ...(problem === undefined ? {} : { limits_problem: problem.code }),
        },
        [
          ...paired.map((c) =>
            cellsOf(c, [
              `paired ${c.created.slice(0, 10)}`,
              KEY_WORDS[c.key] + (c.revoked === null ? "" : ` ${c.revoked.slice(0, 10)}`),
            ])
          ),
          ...apps.map((c) =>
            cellsOf(c, [
              `token of ${c.created.slice(0, 10)}`,
              c.revoked === null ? "" : `revoked ${c.revoked.slice(0, 10)}`,
            ])
          ),
        ],
        "no client is paired; to pair one, run: secllama pair NAME",
      );
      if (problem !== undefined) {
        const { message, hint = "" } = problem;
        context.tui.warn(`what is left of limits is not known: ${message}; ${hint}`);
      }
      return problem?.exitCode;
    }),
};

const set: Command = {
  path: ["clients", "set"],
  example: "secllama clients set laptop --role staff --expires 90d",
  summary: "Give a client, or a program's token, a role; or a client an end",
  arguments: "NAME",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    role: { type: "string", value: "NAME", help: "whose limits it has; none: no role of its own" },
    expires: { type: "string", value: "AGE", help: "from now, as in 90d; never: no end" },
  },
  details: `A running gateway needs no restart. NAME may be an id.\n${EXIT_CODES}`,
  run: async (context) => {
    const [which] = context.positionals;
    const [role, end] = [roleOption(context), stringOption(context, "expires")];
    const until = end === undefined ? undefined : readEnd(end);
    if (role === undefined && end === undefined) {
      throw new SecLlamaError("usage", "nothing to set", {
        hint: "give --role NAME, --expires AGE, or both",
      });
    }
    return await withRecord(context, async (keys, record) => {
      const wanted = role === "none" ? null : role;
      const { dataDir } = await readSettings(context);
      const list = await keys.clients().read();
      const tokens = new Tokens(dataDir);
      const token = await tokenAlone(list, dataDir, which!);
      if (token !== undefined) {
        if (end !== undefined) {
          throw new SecLlamaError("usage", "a token's end is set when it is made", {
            field: "--expires",
            hint: `make another: secllama token create NAME --expires ${end}`,
          });
        }
        if (typeof wanted === "string") needRoleIn(list, wanted);
        const { name, id } = await tokens.assign(token.id, wanted ?? null);
        await record("token-changed", {
          client: label(name),
          client_id: label(id),
          role: label(wanted ?? "none"),
        });
        return report(context, { token: { name, id, role: wanted } }, [
          `${name} has ${wanted === null ? "no role of its own" : `the role ${wanted}`}`,
        ]);
      }
      const client = await keys.clients().assign(which!, {
        ...(wanted === undefined ? {} : { role: wanted }),
        ...(until === undefined ? {} : { expires: until }),
      });
      await record("client-changed", {
        ...clientFields(client),
        role: label(client.role ?? "none"),
        expires: label(client.expires ?? "never"),
      });
      report(context, { client }, [
        `${client.name} has ${
          client.role === undefined ? "no role of its own" : `the role ${client.role}`
        }, and ${client.expires === undefined ? "no end" : `ends ${client.expires.slice(0, 10)}`}`,
      ]);
    });
  },
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
      const which = context.positionals[0]!;
      const { dataDir } = await readSettings(context);
      const token = await tokenAlone(await keys.clients().read(), dataDir, which);
      if (token !== undefined) {
        throw new SecLlamaError("not-found", `${token.name} is a program's token, and no client`, {
          hint: endToken(token.name),
        });
      }
      const client = await keys.clients().revoke(which);
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
      const { dataDir } = await readSettings(context);
      const token = await tokenAlone(await keys.clients().read(), dataDir, old!);
      if (token !== undefined) {
        throw new SecLlamaError("not-found", `${token.name} is a program's token, and no client`, {
          hint: `a token keeps its name; to make another: secllama token create ${name}`,
        });
      }
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
        const unasked = "secllama clients reset --yes";
        await confirm(context, { word: "reset", kept: "nothing was changed", unasked });
      }
      const revision = await keys.clients().reset();
      await record("clients-reset");
      report(context, { revision }, ["the list of clients is empty now"]);
    }),
};

/** The commands of `secllama clients`. */
export const clientCommands: readonly Command[] = [list, set, revoke, rename, reset];

/** The living token that is meant, where no client is. */
async function tokenAlone(
  { clients }: ClientList,
  dataDir: string,
  which: string,
): Promise<TokenEntry | undefined> {
  const isClient = namedBy(clients.filter((c) => c.revoked === null), which) !== undefined;
  if (isClient) return undefined;
  return namedBy((await new Tokens(dataDir).list()).filter((t) => t.revoked === null), which);
}

function keyState(client: PairedClient, ring: KeyRing, now: number): KeyState {
  if (client.revoked !== null) return "revoked";
  if (hasExpired(client, now)) return "expired";
  if (client.kid === ring.activeKid) return "current";
  return ring.idsOf(client.id).length > 1 ? "older" : "ended";
}

/** Who it is, in a line of the audit log. */
function clientFields({ name, id }: PairedClient): LogFields {
  return { client: label(name), client_id: label(id.slice(0, 8)) };
}

/** What was counted; or why nobody can tell. */
function usageIn(
  dataDir: string,
): { readonly usage?: ReadonlyMap<string, Usage>; readonly problem?: SecLlamaError } {
  try {
    return { usage: UsageFile.read(dataDir) };
  } catch (error) {
    if (error instanceof SecLlamaError && error.code === "limits-failed") return { problem: error };
    throw error;
  }
}

/**
 * How a client stands, by its role or by the one for those without; null: it has limits, and nobody knows what is left of them.
 * @param counted `of`: of this client. undefined: nothing can be read.
 */
function limitsOf(
  { roles = [] }: ClientList,
  name: string | undefined,
  counted: { readonly of: Usage | undefined } | undefined,
  now: number,
): LimitState[] | null {
  const role = roles.find((one) => one.name === (name ?? DEFAULT_ROLE));
  const limits = role === undefined ? [] : standing(role, counted?.of, now);
  return counted === undefined && limits.length > 0 ? null : limits;
}

function cellsOf(
  c: {
    name: string;
    id: string;
    kind: string;
    role: string | null;
    expires: string | null;
    limits: readonly LimitState[] | null;
  },
  since: readonly string[],
): string[] {
  const left = c.limits?.filter(({ of }) => of !== "at-once")
    .map(({ of, per, limit, remaining }) => `${remaining} of ${limit} ${of} left this ${per}`);
  return [
    padColumns(c.name, 20),
    c.id.slice(0, 8),
    padColumns(c.kind, 7),
    c.role === null ? "" : `role ${c.role}`,
    ...since,
    c.expires === null ? "" : `ends ${c.expires.slice(0, 10)}`,
    left?.join(", ") ?? "what is left is not known",
  ];
}

/** @throws {SecLlamaError} `not-found`. */
function needRoleIn({ roles = [] }: ClientList, name: string): void {
  if (roles.some((role) => role.name === name)) return;
  throw new SecLlamaError("not-found", `there is no role named ${name.slice(0, 64)}`, {
    hint: "to see the roles: secllama role list",
  });
}
