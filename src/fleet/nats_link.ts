/** One connection to a fleet's NATS, and its bucket. */
import { type KV, Kvm } from "@nats-io/kv";
import { connect, errors, type NatsConnection } from "@nats-io/transport-node";
import { certificateFault } from "../client/certificate_fault.ts";
import { SecLlamaError } from "../errors.ts";
import { BUCKET, inboxOf, STREAM } from "./nats_permissions.ts";
import type { natsIdentity } from "./nkey.ts";

/** For an answer of NATS, ms. */
export const ANSWER_MS = 10_000;
/** A connection on which two questions have had no answer for this long each, ms, is given up. */
const [PING_MS, PINGS] = [2_000, 2];
/** Between tries of one thing, ms. */
export const AGAIN_MS = 500;
/** In which nodes that have just started come to know each other. */
const FORMING_MS = 5_000;
/** NATS' own default for one record. */
const MAX_RECORD_BYTES = 1024 * 1024;

/** How each connection is made. */
export interface Way {
  /** `tls://nats-1:4222`; each is a way to the same store. */
  readonly servers: readonly string[];
  /** The authority of their certificates, PEM; absent: the system's. */
  readonly ca?: string;
  readonly identity: ReturnType<typeof natsIdentity>;
}

/**
 * Copies that NATS keeps of the bucket, each on a node of its own: made with so many where it is not there, and changed to so many
 * where it has others. `atFirst`: so many where it is made, else as many as it has.
 */
export type Replicas = number | { readonly atFirst: number };

/** A connection, and the bucket over it. */
export interface Link {
  readonly connection: NatsConnection;
  readonly kv: KV;
  /** Copies that it has; undefined: they were not asked for. */
  readonly copies: number | undefined;
}

/** @throws {SecLlamaError} `fleet-unreachable`. */
export async function linked(
  { servers, ca, identity }: Way,
  { replicas, leaderMs = 0, timeout = ANSWER_MS }: {
    /** Absent: the bucket is not made. */
    replicas?: Replicas | undefined;
    leaderMs?: number | undefined;
    timeout?: number;
  },
): Promise<Link> {
  const { user, authenticator } = identity;
  let connection: NatsConnection | undefined;
  try {
    connection = await connect({
      ...{ servers: [...servers], authenticator, inboxPrefix: inboxOf(user) },
      ...{ timeout, pingInterval: PING_MS, maxPingOut: PINGS },
      // One that is lost is made anew by us.
      reconnect: false,
      // The addresses are the operator's, not what a server says of its cluster.
      ignoreClusterUpdates: true,
      tls: ca === undefined ? {} : { ca },
    });
    const kvm = new Kvm(connection);
    const open = () =>
      replicas === undefined ? kvm.open(BUCKET) : kvm.create(BUCKET, {
        ...{ replicas: typeof replicas === "number" ? replicas : replicas.atFirst },
        ...{ history: 1, maxValueSize: MAX_RECORD_BYTES },
        // Else any node might answer, with what was before the change that we were just told of.
        allow_direct: false,
      });
    const kv = await ledBy(open, leaderMs);
    const copies = replicas && await keepCopies(connection, replicas, leaderMs, timeout);
    return { connection, kv, copies };
  } catch (cause) {
    await connection?.close();
    throw unreachable(cause);
  }
}

/** What JetStream says of a stream, as far as it is asked here. */
interface StreamAnswer {
  readonly error?: {
    readonly code?: number;
    readonly err_code?: number;
    readonly description?: string;
  };
  /** Of all subjects that were asked for; an answer has so many of them at most. */
  readonly total?: number;
  readonly state?: { readonly subjects?: Readonly<Record<string, number>> };
  readonly config?: { readonly num_replicas?: number };
  /** Absent at a node alone. */
  readonly cluster?: { readonly leader?: string };
}

/**
 * Asks JetStream about the bucket's stream. @param timeout For its answer, ms. @throws {Error} With its `status` and `code`, if it
 * refuses.
 */
export async function askStream(
  connection: NatsConnection,
  what: "INFO" | "PURGE" | "UPDATE",
  body: object,
  timeout = ANSWER_MS,
): Promise<StreamAnswer> {
  const asked = await connection.request(
    `$JS.API.STREAM.${what}.${STREAM}`,
    JSON.stringify(body),
    { timeout },
  );
  const answer = asked.json<StreamAnswer>();
  if (answer.error !== undefined) {
    const { code: status, err_code: code, description } = answer.error;
    throw Object.assign(new Error(description), { status, code });
  }
  return answer;
}

/** Has NATS keep so many copies of what it has, and waits until a node leads them. @returns How many it keeps. */
async function keepCopies(
  connection: NatsConnection,
  replicas: Replicas,
  leaderMs: number,
  timeout: number,
): Promise<number | undefined> {
  const ask = () => askStream(connection, "INFO", {}, timeout);
  const { config } = await ledBy(ask, leaderMs);
  const has = config?.num_replicas;
  if (typeof replicas !== "number" || has === replicas) return has;
  const change = { ...config, num_replicas: replicas };
  await ledBy(() => askStream(connection, "UPDATE", change, timeout), leaderMs);
  for (const end = performance.now() + leaderMs; performance.now() < end;) {
    const { cluster } = await ledBy(ask, leaderMs);
    if (cluster === undefined || cluster.leader) break;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
  return replicas;
}

/** What is wrong, and what helps. */
type Refusal = readonly [message: string, hint: string];

const NO_NODES = "the fleet's store cannot keep so many copies";
const TOO_FEW_NODES = 10005;
const FEWER = "give --replicas no more than there are nodes, or leave it out: it stays as it is";
/** JetStream's own numbers of what it refuses for good, though its status may be one of a server's faults. */
const REFUSALS: ReadonlyMap<unknown, Refusal> = new Map<unknown, Refusal>([
  [10074, [
    NO_NODES,
    "this NATS is one node alone, which keeps one copy: leave out --replicas",
  ]],
  [TOO_FEW_NODES, [`${NO_NODES}: its NATS has fewer nodes than that`, FEWER]],
  [10059, [
    "the fleet's store has nothing in it yet",
    "write the hosts' records, on the issuer: secllama fleet publish SERVERS --watch",
  ]],
  ...[10028, 10047].map((code) =>
    [code, [
      "the fleet's store has no room left",
      "give the jetstream of NATS a larger max_mem or max_file",
    ]] as const
  ),
]);

/** What JetStream has refused for good. */
function refusalOf(error: unknown): Refusal | undefined {
  return REFUSALS.get((error as { code?: unknown } | undefined)?.code);
}

/** No answer, or a node's word that nobody is there to answer; not: that it is refused. */
export function isSilence(error: unknown): boolean {
  if (!(error instanceof Error) || refusalOf(error) !== undefined) return false;
  return error instanceof errors.TimeoutError || error instanceof errors.NoRespondersError ||
    Number((error as { status?: unknown }).status) >= 500 || isSilence(error.cause);
}

/**
 * What is answered once the nodes have chosen who leads. Before that they answer nothing, and for a moment after it the one that leads
 * knows of fewer nodes than there are.
 */
async function ledBy<T>(ask: () => Promise<T>, leaderMs: number): Promise<T> {
  let formsUntil: number | undefined;
  for (const end = performance.now() + leaderMs;;) {
    try {
      return await ask();
    } catch (error) {
      const now = performance.now();
      const isForming = (error as { code?: unknown }).code === TOO_FEW_NODES &&
        now < (formsUntil ??= now + FORMING_MS);
      if (!(isSilence(error) || isForming) || now > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

const REFUSED_CERTIFICATE =
  "see what it is: openssl x509 -noout -text -in FILE; after a new one, at NATS: nats-server --signal reload. " +
  "Who vouches for it is named by --ca, for a host by serve --fleet-ca";

/** Whether NATS has no such user: its lines are older than this machine, or it was taken out. */
export function isNotLetIn(error: unknown): boolean {
  return isCausedBy(error, (one) => one instanceof errors.AuthorizationError);
}

function isCausedBy(error: unknown, is: (one: Error) => boolean): boolean {
  return error instanceof Error && (is(error) || isCausedBy(error.cause, is));
}

/** What every failure of NATS is to the fleet. */
export function unreachable(cause: unknown): SecLlamaError {
  if (certificateFault(cause) !== undefined) {
    // Deno's TLS for Node has one word for all that is wrong with one.
    const why =
      "it may have expired, be of another name, or nobody who is trusted here vouches for it";
    return new SecLlamaError(
      "fleet-unreachable",
      `the certificate of the fleet's store is refused: ${why}`,
      { hint: REFUSED_CERTIFICATE, cause },
    );
  }
  const [message, hint] = refusalOf(cause) ?? whyUnreachable(cause);
  return new SecLlamaError("fleet-unreachable", message, { hint, cause });
}

function whyUnreachable(cause: unknown): Refusal {
  if (isNotLetIn(cause)) {
    return [
      "the fleet's store does not know this machine",
      "give NATS what this prints on the issuer: secllama fleet nats; then: nats-server --signal reload",
    ];
  }
  if (isCausedBy(cause, (one) => one instanceof errors.PermissionViolationError)) {
    return [
      "the fleet's store does not let this machine do that",
      "give NATS the newest lines, on the issuer: secllama fleet nats; then: nats-server --signal reload",
    ];
  }
  return [
    "the fleet's store does not answer, or refuses",
    "look whether NATS runs, and has the lines of secllama fleet nats on the issuer",
  ];
}
