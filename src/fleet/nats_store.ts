/**
 * A fleet's records in NATS JetStream's key-value store, over TLS. Each machine comes with a key of its own (nkey.ts), and NATS lets
 * it write what is its own to write: {@link natsPermissions}. What is in the store it need not be believed.
 */
import { type KV, type KvEntry, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { idlePause } from "../pause.ts";
import { RECORDS, USAGE_PARTS } from "./bundle.ts";
import { natsIdentity } from "./nkey.ts";
import type { FleetStore, OnRecord } from "./store.ts";

/** Of the bucket. */
const BUCKET = "secllama";
const STREAM = `KV_${BUCKET}`;
/** For an answer of NATS, ms. */
const ANSWER_MS = 10_000;
/** For a connection, ms: where a network is cut and whole again, the next try is soon. */
const CONNECT_MS = 2_500;
/** A connection on which two questions have had no answer for this long each, ms, is made anew. */
const [PING_MS, PINGS] = [2_000, 2];
/** A watch that tells nothing for this long, ms, is asked for at NATS. */
const SILENT_MS = 5_000;
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
  readonly replicas?: number | undefined;
  /** Told of a connection that is lost (false) or there again (true). */
  readonly onReached?: (isThere: boolean) => void;
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
    ? [`$KV.${BUCKET}.>`, ...["CREATE", "PURGE"].map((what) => `$JS.API.STREAM.${what}.${STREAM}`)]
    : ownRecords(who.hid).map((own) => `$KV.${BUCKET}.${own}`);
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

/** Each by its name: with a wildcard a host could write so many that the store is full. */
function ownRecords(hid: string): string[] {
  const parts = Array.from({ length: USAGE_PARTS }, (_, part) => RECORDS.usage(hid, part));
  return [RECORDS.report(hid), ...parts];
}

function inboxOf(user: string): string {
  return `_INBOX_${user}`;
}

/** One connection to it; made anew when it is lost, for as long as this lives. */
export class NatsStore implements FleetStore {
  readonly #options: NatsOptions;
  #connection: NatsConnection;
  #kv: KV;
  readonly #ended = new AbortController();
  /** Of each watch: has it made anew. */
  readonly #watches = new Set<() => void>();
  /** Something was not answered: watches may have missed what came meanwhile. */
  #isInDoubt = false;

  private constructor(options: NatsOptions, { connection, kv }: Link) {
    this.#options = options;
    this.#connection = connection;
    this.#kv = kv;
  }

  /** @throws {SecLlamaError} `fleet-unreachable` if no server lets us in. */
  static async open(options: NatsOptions): Promise<NatsStore> {
    const store = new NatsStore(options, await linked(options));
    void store.#follow();
    return store;
  }

  async get(name: string): Promise<string | undefined> {
    const entry = await this.#reached(this.#kv.get(name));
    return entry === null ? undefined : textOf(entry);
  }

  async put(name: string, text: string): Promise<void> {
    await this.#reached(this.#kv.put(name, utf8(text)));
  }

  /** Without the mark that the library's deletion leaves, for each name that there ever was, for ever. */
  async remove(name: string): Promise<void> {
    const filter = JSON.stringify({ filter: `$KV.${BUCKET}.${name}` });
    const asked = this.#connection.request(`$JS.API.STREAM.PURGE.${STREAM}`, filter, {
      timeout: ANSWER_MS,
    });
    const { error } = (await this.#reached(asked)).json<{ error?: { description?: string } }>();
    if (error !== undefined) throw unreachable(new Error(error.description));
  }

  async list(prefix: string): Promise<string[]> {
    const names: string[] = [];
    await this.#reached((async () => {
      for await (const name of await this.#kv.keys(`${prefix}>`)) names.push(name);
    })());
    return names;
  }

  /** @param prefix A record's whole name, or one that ends in a dot. A watch that NATS ends is made anew. */
  async watch(prefix: string, onChange: OnRecord): Promise<() => void> {
    const key = prefix.endsWith(".") ? `${prefix}>` : prefix;
    const stopped = new AbortController();
    const signal = AbortSignal.any([stopped.signal, this.#ended.signal]);
    let entries: Awaited<ReturnType<KV["watch"]>> | undefined = await this.#reached(
      this.#kv.watch({ key }),
    );
    let [isAsked, heardMs] = [false, performance.now()];
    const anew = () => {
      isAsked = true;
      entries?.stop();
    };
    const look = async () => {
      const looked = entries;
      if (looked === undefined || performance.now() - heardMs < SILENT_MS) return;
      if (!await isHeld(looked) && looked === entries) anew();
    };
    this.#watches.add(anew);
    signal.addEventListener("abort", anew, { once: true });
    const follow = async () => {
      isAsked = false;
      try {
        entries ??= await this.#kv.watch({ key });
        if (signal.aborted) return entries.stop();
        for await (const entry of entries) {
          heardMs = performance.now();
          onChange(entry.key, textOf(entry));
        }
      } catch { /* It is made anew. */ }
      entries = undefined;
      if (!isAsked) await idlePause(AGAIN_MS, signal);
    };
    void (async () => {
      while (!signal.aborted) await follow();
      this.#watches.delete(anew);
    })();
    void (async () => {
      for (; !signal.aborted; await idlePause(SILENT_MS, signal)) await look();
    })();
    return () => stopped.abort();
  }

  /** What was received and sent, bytes. */
  stats(): { inBytes: number; outBytes: number } {
    const { inBytes, outBytes } = this.#connection.stats();
    return { inBytes, outBytes };
  }

  async #reached<T>(answer: Promise<T>): Promise<T> {
    try {
      const got = await answer;
      if (this.#isInDoubt) this.#anew();
      return got;
    } catch (cause) {
      this.#isInDoubt = true;
      throw unreachable(cause);
    }
  }

  /** What was written while nothing came through is told again, now and not when NATS notices. */
  #anew(): void {
    this.#isInDoubt = false;
    for (const anew of this.#watches) anew();
  }

  async #follow(): Promise<void> {
    const { onReached = () => {} } = this.#options;
    while (!this.#ended.signal.aborted) {
      for await (const { type } of this.#connection.status()) {
        // Where the network was cut, the library would wait until its last word has gone out, which it never does.
        if (type === "staleConnection") break;
        if (type === "disconnect") onReached(false);
        if (type !== "reconnect") continue;
        this.#anew();
        onReached(true);
      }
      if (this.#ended.signal.aborted) return;
      onReached(false);
      if (await this.#connectAgain()) onReached(true);
    }
  }

  async #connectAgain(): Promise<boolean> {
    await this.#connection.close().catch(() => {});
    for (let tries = 1; !this.#ended.signal.aborted; tries++) {
      try {
        // Each third time longer, for a machine that is slow and not cut off.
        const timeout = tries % 3 === 0 ? ANSWER_MS : CONNECT_MS;
        const { connection, kv } = await linked({ ...this.#options, replicas: undefined }, timeout);
        if (this.#ended.signal.aborted) {
          await connection.close();
          return false;
        }
        [this.#connection, this.#kv] = [connection, kv];
        this.#anew();
        return true;
      } catch {
        await idlePause(AGAIN_MS, this.#ended.signal);
      }
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    await this.#connection.close();
  }
}

/** A connection, and the bucket over it. */
interface Link {
  readonly connection: NatsConnection;
  readonly kv: KV;
}

/** @throws {SecLlamaError} `fleet-unreachable`. */
async function linked(
  { servers, ca, seed, replicas }: NatsOptions,
  timeout = ANSWER_MS,
): Promise<Link> {
  const { user, authenticator } = natsIdentity(seed);
  let connection: NatsConnection | undefined;
  try {
    connection = await connect({
      ...{ servers: [...servers], authenticator, inboxPrefix: inboxOf(user) },
      ...{ timeout, pingInterval: PING_MS, maxPingOut: PINGS },
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
    return { connection, kv };
  } catch (cause) {
    await connection?.close();
    throw unreachable(cause);
  }
}

function textOf({ operation, value }: KvEntry): string | undefined {
  return operation === "PUT" ? utf8Decode(value) : undefined;
}

/**
 * Whether NATS still has a watch. It is at one node; where that one is cut off, nothing else fails, and the library notices
 * after two heartbeats of its own 30 seconds.
 */
async function isHeld(entries: Awaited<ReturnType<KV["watch"]>>): Promise<boolean> {
  // The library's consumer, which it shows nowhere else.
  const { _data: consumer } = entries as { _data?: { info(): Promise<unknown> } };
  return await consumer?.info().then(() => true, () => false) ?? true;
}

function unreachable(cause: unknown): SecLlamaError {
  return new SecLlamaError("fleet-unreachable", "the fleet's store does not answer, or refuses", {
    hint: "look whether NATS runs, and has the lines of secllama fleet nats on the issuer",
    cause,
  });
}
