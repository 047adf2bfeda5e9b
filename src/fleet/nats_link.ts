/** One connection to a fleet's NATS, and its bucket. */
import { type KV, Kvm } from "@nats-io/kv";
import { connect, errors, type NatsConnection } from "@nats-io/transport-node";
import { certificateFault } from "../client/certificate_fault.ts";
import { SecLlamaError } from "../errors.ts";
import { BUCKET, inboxOf } from "./nats_permissions.ts";
import type { natsIdentity } from "./nkey.ts";

/** For an answer of NATS, ms. */
export const ANSWER_MS = 10_000;
/** A connection on which two questions have had no answer for this long each, ms, is given up. */
const [PING_MS, PINGS] = [2_000, 2];
/** Between tries of one thing, ms. */
export const AGAIN_MS = 500;
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

/** A connection, and the bucket over it. */
export interface Link {
  readonly connection: NatsConnection;
  readonly kv: KV;
}

/** @throws {SecLlamaError} `fleet-unreachable`. */
export async function linked(
  { servers, ca, identity }: Way,
  { replicas, leaderMs = 0, timeout = ANSWER_MS }: {
    replicas?: number | undefined;
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
        ...{ replicas, history: 1, maxValueSize: MAX_RECORD_BYTES },
        // Else any node might answer, with what was before the change that we were just told of.
        allow_direct: false,
      });
    return { connection, kv: await ledBy(open, leaderMs) };
  } catch (cause) {
    await connection?.close();
    throw unreachable(cause);
  }
}

/** JetStream's own numbers of what it refuses for good, though its status is one of a server's faults; and what helps. */
const REFUSALS: ReadonlyMap<unknown, string> = new Map([
  [10074, "this NATS is one node alone, which keeps one copy: leave out --replicas"],
  ...[10028, 10047].map((code) =>
    [code, "NATS has no room left: give its jetstream a larger max_mem or max_file"] as const
  ),
]);

/** What helps where JetStream has refused. */
function refusalHint(error: unknown): string | undefined {
  return REFUSALS.get((error as { code?: unknown } | undefined)?.code);
}

/** No answer, or a node's word that nobody is there to answer; not: that it is refused. */
export function isSilence(error: unknown): boolean {
  if (!(error instanceof Error) || refusalHint(error) !== undefined) return false;
  return error instanceof errors.TimeoutError || error instanceof errors.NoRespondersError ||
    Number((error as { status?: unknown }).status) >= 500 || isSilence(error.cause);
}

/** What is answered once the nodes have chosen who leads. Before that they answer nothing. */
async function ledBy<T>(ask: () => Promise<T>, leaderMs: number): Promise<T> {
  for (const end = performance.now() + leaderMs;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isSilence(error) || performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

const REFUSED_CERTIFICATE =
  "see what it is: openssl x509 -noout -text -in FILE; after a new one, at NATS: nats-server --signal reload. " +
  "Who vouches for it is named by --ca, for a host by serve --fleet-ca";

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
  return new SecLlamaError("fleet-unreachable", "the fleet's store does not answer, or refuses", {
    hint: refusalHint(cause) ??
      "look whether NATS runs, and has the lines of secllama fleet nats on the issuer",
    cause,
  });
}
