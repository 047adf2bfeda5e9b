/**
 * A fleet's records in NATS JetStream's key-value store, over TLS. Each machine comes with a key of its own (nkey.ts), and NATS lets
 * it write what is its own to write: {@link natsPermissions}. What is in the store it need not be believed.
 */
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { RECORDS } from "./bundle.ts";
import { natsIdentity } from "./nkey.ts";
import type { FleetStore } from "./store.ts";

/** Of the bucket. */
const BUCKET = "secllama";
const STREAM = `KV_${BUCKET}`;
/** For an answer of NATS, ms. */
const ANSWER_MS = 5_000;
/** A connection of which nothing is heard for twice this, ms, is made anew. */
const PING_MS = 5_000;
/** Between tries to reach it again, ms. */
const AGAIN_MS = 500;
/** NATS' own default for one record. */
const MAX_RECORD_BYTES = 1024 * 1024;

/** How the store is reached. */
export interface NatsOptions {
  /** `tls://nats-1:4222`; each is a way to the same store. */
  readonly servers: readonly string[];
  /** The authority of their certificates, PEM; absent: the system's. */
  readonly ca?: string;
  /** What {@link natsIdentity} is made from, 32 bytes. */
  readonly seed: Uint8Array;
  /** Copies that NATS keeps, where the bucket is made: on as many nodes. */
  readonly replicas?: number;
  /** Told of a connection that is lost (false) or there again (true). */
  readonly onReached?: (isThere: boolean) => void;
}

/** Whether a setting names such a store, and not a file. */
export function isNatsAddress(text: string): boolean {
  return /^tls:\/\//.test(text);
}

/** Servers of a setting: `tls://nats-1:4222,tls://nats-2:4222`. @throws {SecLlamaError} `bad-config`. */
export function parseNatsServers(text: string, field: string): string[] {
  const servers = text.split(",");
  if (servers.every((one) => /^tls:\/\/[^/,@\s]+$/.test(one))) return servers;
  throw new SecLlamaError("bad-config", `${field} must be a file, or servers of NATS over TLS`, {
    field,
    hint: "write tls://nats-1:4222,tls://nats-2:4222",
  });
}

/** What NATS allows a host, or the issuer: a block of `authorization { users = […] }` in its configuration. */
export function natsPermissions(
  user: string,
  who: { readonly hid: string } | "issuer",
): Record<string, unknown> {
  const own = who === "issuer"
    ? [`$KV.${BUCKET}.>`, `$JS.API.STREAM.CREATE.${STREAM}`]
    : [`$KV.${BUCKET}.${RECORDS.report(who.hid)}`];
  return {
    nkey: user,
    permissions: {
      publish: [
        ...own,
        "$JS.API.INFO",
        `$JS.API.STREAM.INFO.${STREAM}`,
        `$JS.API.STREAM.MSG.GET.${STREAM}`,
        // A watch is a consumer: of this stream, and it can change nothing in it.
        `$JS.API.CONSUMER.CREATE.${STREAM}.>`,
        `$JS.API.CONSUMER.DELETE.${STREAM}.>`,
        `$JS.API.CONSUMER.INFO.${STREAM}.>`,
        `$JS.FC.${STREAM}.>`,
      ],
      // Answers to nobody else.
      subscribe: [`${inboxOf(user)}.>`],
    },
  };
}

function inboxOf(user: string): string {
  return `_INBOX_${user}`;
}

/** One connection to it; made anew when it is lost, for as long as this lives. */
export class NatsStore implements FleetStore {
  readonly #connection: NatsConnection;
  readonly #kv: KV;
  #ended = false;

  private constructor(connection: NatsConnection, kv: KV) {
    this.#connection = connection;
    this.#kv = kv;
  }

  /** @throws {SecLlamaError} `fleet-unreachable` if no server lets us in. */
  static async open(options: NatsOptions): Promise<NatsStore> {
    const { servers, ca, seed, replicas, onReached } = options;
    const { user, authenticator } = natsIdentity(seed);
    let connection: NatsConnection | undefined;
    try {
      connection = await connect({
        ...{ servers: [...servers], authenticator, inboxPrefix: inboxOf(user) },
        ...{ timeout: ANSWER_MS, pingInterval: PING_MS, maxPingOut: 1 },
        ...{ reconnectTimeWait: AGAIN_MS, maxReconnectAttempts: -1, ignoreAuthErrorAbort: true },
        // The addresses are the operator's, not what a server says of its cluster.
        ignoreClusterUpdates: true,
        tls: ca === undefined ? {} : { ca },
      });
      const kvm = new Kvm(connection);
      const kv = replicas === undefined ? await kvm.open(BUCKET) : await kvm.create(BUCKET, {
        ...{ replicas, history: 1, maxValueSize: MAX_RECORD_BYTES },
        // Else any node might answer, with what was before the change that we were just told of.
        allow_direct: false,
      });
      if (onReached !== undefined) void tell(connection, onReached);
      return new NatsStore(connection, kv);
    } catch (cause) {
      await connection?.close();
      throw unreachable(cause);
    }
  }

  async get(name: string): Promise<string | undefined> {
    const entry = await reached(this.#kv.get(name));
    return entry === null || entry.operation !== "PUT" ? undefined : utf8Decode(entry.value);
  }

  async put(name: string, text: string): Promise<void> {
    await reached(this.#kv.put(name, utf8(text)));
  }

  async remove(name: string): Promise<void> {
    await reached(this.#kv.purge(name));
  }

  async list(prefix: string): Promise<string[]> {
    const names: string[] = [];
    await reached((async () => {
      for await (const name of await this.#kv.keys(`${prefix}>`)) names.push(name);
    })());
    return names;
  }

  /** @param prefix A record's whole name, or one that ends in a dot. */
  async watch(prefix: string, onChange: (name: string) => void): Promise<() => void> {
    const key = prefix.endsWith(".") ? `${prefix}>` : prefix;
    const entries = await reached(this.#kv.watch({ key }));
    void (async () => {
      try {
        for await (const { key } of entries) onChange(key);
      } catch {
        // The connection was closed under it.
      }
    })();
    return () => entries.stop();
  }

  /** What was received and sent, bytes. */
  stats(): { inBytes: number; outBytes: number } {
    const { inBytes, outBytes } = this.#connection.stats();
    return { inBytes, outBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#connection.close();
  }
}

async function tell(
  connection: NatsConnection,
  onReached: (isThere: boolean) => void,
): Promise<void> {
  for await (const { type } of connection.status()) {
    if (type === "disconnect") onReached(false);
    if (type === "reconnect") onReached(true);
  }
}

async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw unreachable(cause);
  }
}

function unreachable(cause: unknown): SecLlamaError {
  return new SecLlamaError("fleet-unreachable", "the fleet's store does not answer, or refuses", {
    hint: "look whether NATS runs, and has the lines of secllama fleet nats on the issuer",
    cause,
  });
}
