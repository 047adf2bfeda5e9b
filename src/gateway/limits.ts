/** Whose request it is and whether their role lets them: a paired client by its key, a program of this machine by its token's id. */
import type { CallTerms } from "../api/call_terms.ts";
import { readApp, TOKEN_TAKEN_BACK } from "../api/limits.ts";
import { type ErrorCode, SecLlamaError, toSecLlamaError } from "../errors.ts";
import type { Ticket } from "../firm/limiter.ts";
import {
  hasExpired,
  mayAsk,
  mayAskAt,
  type PairedClient,
  type Role,
  ROLE_AMOUNTS,
  termsOf,
} from "../keys/mod.ts";
import { label, type LogFields } from "../log.ts";
import { RunningApps } from "./running_apps.ts";

/** Who asks, as far as limits and the record go. */
interface Asker {
  /** The id of its token, of a program. */
  readonly app?: string;
  /** In the counts; undefined: this machine's own programs, which have no limit. */
  readonly id: string | undefined;
  /** Its role; throws where it may not come. */
  readonly role: () => Role | undefined;
  /** In a line of the record. */
  readonly fields: LogFields;
}

/** What is asked about clients and roles. */
export interface ClientBook {
  client(id: string): PairedClient | undefined;
  role(name?: string): Role | undefined;
}

/** A program's token, as far as the gateway cares. */
interface AppEntry {
  readonly id: string;
  readonly name: string;
  readonly role?: string | undefined;
}

/** Keeps roles and limits; see {@link ClientLimits.admit}. */
interface ClientLimitsOptions {
  readonly book: ClientBook;
  readonly apps: {
    /** The token of this id that lives. */
    byId(id: string): AppEntry | undefined;
    /** The same, if it has this hash. */
    byHash(id: string, hash: string): AppEntry | undefined;
    /**
     * Whether it was taken back, and did not come to its end.
     * @throws {SecLlamaError} `key-corrupt`, `key-io` while that is not known; without a file's name.
     */
    wasRevoked(id: string): boolean;
  };
  /** Opened when the first client with limits comes. */
  readonly limiter: () => {
    check(client: string, role: Role): void;
    admit(client: string, role: Role): Ticket;
  };
  /** Unix ms. */
  readonly now?: () => number;
  /** Told who was refused. */
  readonly onRefused: (code: ErrorCode, who: LogFields) => void;
}

/** A request that was let in. */
export interface Admission {
  readonly fields: LogFields;
  /** Undefined: nothing is counted. */
  readonly ticket: Ticket | undefined;
  /** For its runner; undefined: it may be anything. */
  readonly terms: CallTerms | undefined;
  /** Calls `end` if a program's token is taken back, or is not known any more; what it returns is to be called when the request is over. */
  readonly follow: (end: (error: SecLlamaError) => void) => () => void;
}

/** Results of a request that its runner could not open, did not begin, or did not let be: whoever is named in it need not have sent it. */
const NOT_BEGUN: readonly string[] = [
  "auth",
  "busy",
  "clock",
  "key-mismatch",
  "malformed",
  "replay",
  "replay-window-full",
  "role-refused",
  "too-large",
  "unsupported-suite",
] satisfies ErrorCode[];

/** The limits of whoever asks. */
export class ClientLimits {
  readonly #o: ClientLimitsOptions;
  /** Of programs. */
  readonly running: RunningApps;

  constructor(options: ClientLimitsOptions) {
    this.#o = options;
    this.running = new RunningApps((id) => {
      try {
        return options.apps.wasRevoked(id) ? takenBack() : undefined;
      } catch (error) {
        // It may have been taken back.
        return toSecLlamaError(error);
      }
    });
  }

  /**
   * Whether whoever comes under this psk id could ask this model now. Counts nothing.
   * @param model Its name with the tag.
   * @throws {SecLlamaError} `role-refused`, `rate-limited`.
   */
  check(pskId: string, model: string): void {
    this.#judged(this.#askerOf(pskId, null), ({ id, role: read }) => {
      const role = read();
      this.#refuse(role, model);
      const limited = limitsOf(role);
      if (id !== undefined && limited) this.#o.limiter().check(id, limited);
    });
  }

  /**
   * Counts a request that begins.
   * @param app The header `Secllama-App`: the word of whoever has this machine's own key, and of nobody else.
   * @throws {SecLlamaError} `role-refused`, `rate-limited`, `token-refused`.
   */
  admit(pskId: string, app: string | null, model: string): Admission {
    return this.#judged(this.#askerOf(pskId, app), ({ id, app, role: read, fields }) => {
      const role = read();
      this.#refuse(role, model);
      const limited = limitsOf(role);
      const ticket = id !== undefined && limited ? this.#o.limiter().admit(id, limited) : undefined;
      const follow: Admission["follow"] = (end) =>
        app === undefined ? () => {} : this.running.follow(app, end);
      return { fields, ticket, terms: role && termsOf(role), follow };
    });
  }

  #refuse(role: Role | undefined, model: string): void {
    if (role === undefined) return;
    refuseModel(role, model);
    if (mayAskAt(role, (this.#o.now ?? Date.now)())) return;
    const { name, hours, timeZone = "UTC" } = role;
    throw new SecLlamaError("role-refused", `the role ${name} may not ask at this time`, {
      hint: `it may ask ${hours} (${timeZone})`,
    });
  }

  #judged<T>(asker: Asker, judge: (asker: Asker) => T): T {
    try {
      return judge(asker);
    } catch (error) {
      if (error instanceof SecLlamaError) this.#o.onRefused(error.code, asker.fields);
      throw error;
    }
  }

  #askerOf(pskId: string, app: string | null): Asker {
    const { book, apps } = this.#o;
    const [kind, , id] = pskId.split(".");
    if (kind === "client" && id !== undefined) {
      const client = book.client(id);
      const fields = {
        client: label(client?.name ?? "revoked"),
        client_id: label(id.slice(0, 8)),
        ...(client?.kind === undefined ? {} : { kind_of_client: label(client.kind) }),
      };
      const role = () => {
        // Its key may still be in a runner.
        if (client !== undefined && hasExpired(client, Date.now())) throw unknown();
        return client && this.#role(client.role);
      };
      return { id: `client ${id}`, role, fields };
    }
    if (app === null) return { id: undefined, role: () => undefined, fields: owner(kind) };
    const named = readApp(app);
    const entry = named &&
      (named.hash === undefined ? apps.byId(named.id) : apps.byHash(named.id, named.hash));
    if (entry === undefined) return { id: undefined, role: endedToken, fields: APP };
    return {
      id: `app ${entry.id}`,
      app: entry.id,
      role: () => this.#role(entry.role),
      fields: { client: label(entry.name), client_id: label(entry.id), ...APP },
    };
  }

  /** A role that is gone lets nobody in: it may have been the one that forbade. */
  #role(name: string | undefined): Role | undefined {
    const role = this.#o.book.role(name);
    if (role !== undefined || name === undefined) return role;
    throw new SecLlamaError("role-refused", `the role ${name} is not there any more`, {
      hint: "ask the administrator: secllama role list, secllama clients set",
    });
  }
}

function refuseModel(role: Role, model: string): void {
  if (mayAsk(role, model)) return;
  throw new SecLlamaError("role-refused", `the role ${role.name} does not let ${model} be asked`, {
    hint: `it may ask: ${role.models!.slice(0, 8).join(", ")}`,
  });
}

/** The role, where it sets an amount. */
function limitsOf(role: Role | undefined): Role | undefined {
  return ROLE_AMOUNTS.some((amount) => role?.[amount] !== undefined) ? role : undefined;
}

const APP: LogFields = { kind_of_client: label("app") };

function owner(kind: string | undefined): LogFields {
  return { client: label(kind ?? "") };
}

function unknown(): SecLlamaError {
  return new SecLlamaError("auth", "the request does not authenticate");
}

function takenBack(): SecLlamaError {
  return new SecLlamaError("token-refused", TOKEN_TAKEN_BACK);
}

function endedToken(): never {
  throw new SecLlamaError("token-refused", "the API token is not valid here, or not any more", {
    hint: "to see those that live: secllama token list; to make one: secllama token create NAME",
  });
}

/** What is to be called when an exchange ends, so that a request which was not this client's does not count. */
export function settle(ticket: Ticket | undefined, result: string): void {
  if (NOT_BEGUN.includes(result)) ticket?.refund();
}
