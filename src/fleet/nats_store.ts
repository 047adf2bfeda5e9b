/**
 * A fleet's records in NATS JetStream's key-value store, over TLS. Each machine comes with a key of its own (nkey.ts), and NATS lets
 * it write what is its own to write (nats_permissions.ts). What is in the store it need not be believed.
 */
import type { KV, KvEntry } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { utf8 } from "../bytes.ts";
import { type SecLlamaError, toSecLlamaError } from "../errors.ts";
import { idlePause } from "../pause.ts";
import { firstReached } from "./knock.ts";
import {
  AGAIN_MS,
  ANSWER_MS,
  askStream,
  isSilence,
  type Link,
  linked,
  type Replicas,
  unreachable,
  type Way,
} from "./nats_link.ts";
import { BUCKET } from "./nats_permissions.ts";
import { natsIdentity } from "./nkey.ts";
import { Silence } from "./silence.ts";
import type { FleetStore, OnRecord } from "./store.ts";

/** For a connection, ms: where a network is cut and whole again, the next try is soon. */
const CONNECT_MS = 2_500;
/** A watch that tells nothing for this long, ms, is asked for at NATS. */
const SILENT_MS = 5_000;

/** How the store is reached. */
export interface NatsOptions extends Omit<Way, "identity"> {
  /** What {@link natsIdentity} is made from, 32 bytes; needed until the store is open, and the caller may wipe it then. */
  readonly seed: Uint8Array;
  /** Copies that NATS keeps. Given, the bucket is made, anew too where it was lost. */
  readonly replicas?: Replicas | undefined;
  /** How long nodes that were just started may take to choose who leads, ms; absent: not at all. */
  readonly leaderMs?: number;
  /** Told of a connection that is lost (false) or there again (true). */
  readonly onReached?: (isThere: boolean) => void;
  /** Told why a connection was not made anew; it is tried again. */
  readonly onRefused?: (error: SecLlamaError) => void;
}

/** How each connection is made, and who is told. */
type OwnWay = Way & Pick<NatsOptions, "onReached" | "onRefused" | "replicas">;

/** One connection to it; made anew when it is lost, for as long as this lives. */
export class NatsStore implements FleetStore {
  readonly #way: OwnWay;
  #connection: NatsConnection;
  #kv: KV;
  readonly #ended = new AbortController();
  /** Of each watch: has it made anew. */
  readonly #watches = new Set<() => void>();
  /** Something was not answered: watches may have missed what came meanwhile. */
  #isInDoubt = false;
  /** Of the connection. */
  #silence = new Silence();

  private constructor(way: OwnWay, { connection, kv }: Link) {
    this.#way = way;
    this.#connection = connection;
    this.#kv = kv;
  }

  /** @throws {SecLlamaError} `fleet-unreachable` if no server lets us in. */
  static async open({ seed, replicas, leaderMs, ...rest }: NatsOptions): Promise<NatsStore> {
    const way = { ...rest, replicas, identity: natsIdentity(seed) };
    const link = await linked(way, { replicas, leaderMs });
    // Where it is lost, it is made anew as it was.
    const made = typeof replicas === "object" ? { atFirst: link.copies ?? 1 } : replicas;
    const store = new NatsStore({ ...way, replicas: made }, link);
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
    await this.#reached(askStream(this.#connection, "PURGE", { filter: subjectOf(name) }));
  }

  /**
   * One question, one answer. The library's own list reads a watch to its end; where that watch's node is cut off, it waits for the
   * rest of it for more than a minute.
   */
  async list(prefix: string): Promise<string[]> {
    const names: string[] = [];
    const about = subjectOf(`${prefix}>`);
    for (let [offset, total] = [0, 1]; offset < total;) {
      const got = await this.#reached(
        askStream(this.#connection, "INFO", { subjects_filter: about, offset }),
      );
      const subjects = Object.keys(got.state?.subjects ?? {});
      names.push(...subjects.map((subject) => subject.slice(subjectOf("").length)));
      total = subjects.length === 0 ? 0 : got.total ?? 0;
      offset += subjects.length;
    }
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
      if (!await this.#isHeld(looked) && looked === entries) anew();
    };
    this.#watches.add(anew);
    signal.addEventListener("abort", anew, { once: true });
    const follow = async () => {
      isAsked = false;
      try {
        entries ??= await this.#reached(this.#kv.watch({ key }));
        if (signal.aborted) return entries.stop();
        for await (const entry of entries) {
          heardMs = performance.now();
          try {
            onChange(entry.key, textOf(entry));
          } catch { /* One host's word that cannot be taken hides nobody else's. */ }
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

  /** What was received and sent, bytes, and by which node, `host:port`. */
  stats(): { inBytes: number; outBytes: number; node: string } {
    const { inBytes, outBytes } = this.#connection.stats();
    return { inBytes, outBytes, node: this.#connection.getServer() };
  }

  /**
   * Whether NATS still has a watch. It is at one node; where that one is cut off, nothing else fails, and the library notices
   * after two heartbeats of its own 30 seconds.
   */
  async #isHeld(entries: Awaited<ReturnType<KV["watch"]>>): Promise<boolean> {
    // The library's consumer, which it shows nowhere else.
    const { _data: consumer } = entries as { _data?: { info(): Promise<unknown> } };
    if (consumer === undefined) return true;
    return await this.#reached(consumer.info()).then(() => true, () => false);
  }

  async #reached<T>(answer: Promise<T>): Promise<T> {
    const [asked, silence, at] = [this.#connection, this.#silence, performance.now()];
    try {
      const got = await answer;
      silence.answered(performance.now());
      if (this.#isInDoubt) this.#anew();
      return got;
    } catch (cause) {
      this.#isInDoubt = true;
      if (isSilence(cause) && silence.unanswered(at, performance.now())) {
        // Followed by a new one, elsewhere.
        void asked.close().catch(() => {});
      }
      throw unreachable(cause);
    }
  }

  /** What was written while nothing came through is told again, now and not when NATS notices. */
  #anew(): void {
    this.#isInDoubt = false;
    for (const anew of this.#watches) anew();
  }

  async #follow(): Promise<void> {
    const { onReached = () => {} } = this.#way;
    while (!this.#ended.signal.aborted) {
      for await (const { type } of this.#connection.status()) {
        // Where the network was cut, the library would wait until its last word has gone out, which it never does.
        if (type === "staleConnection") break;
      }
      if (this.#ended.signal.aborted) return;
      onReached(false);
      if (await this.#connectAgain()) onReached(true);
    }
  }

  async #connectAgain(): Promise<boolean> {
    await this.#connection.close().catch(() => {});
    const { signal } = this.#ended;
    const { servers } = this.#way;
    for (let tries = 1;; tries++) {
      // Each time another one, and last the one that was lost: it may take connections, and do nothing else.
      const node = this.stats().node;
      const order = servers.map((server) => ({ server, at: Math.random() }))
        .sort((a, b) => isAt(a.server, node) - isAt(b.server, node) || a.at - b.at);
      const reached = await firstReached(order.map(({ server }) => server), signal);
      if (reached === undefined) return false;
      try {
        // Each third time longer, for a machine that is slow and not cut off.
        const timeout = tries % 3 === 0 ? ANSWER_MS : CONNECT_MS;
        const { replicas } = this.#way;
        const way = { ...this.#way, servers: [reached] };
        const { connection, kv } = await linked(way, { replicas, timeout });
        if (signal.aborted) {
          await connection.close();
          return false;
        }
        [this.#connection, this.#kv] = [connection, kv];
        this.#silence = new Silence();
        this.#anew();
        return true;
      } catch (error) {
        this.#way.onRefused?.(toSecLlamaError(error));
        await idlePause(AGAIN_MS, signal);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    await this.#connection.close();
  }
}

/** 1: the server is that node, `host:port`; 0: it is not. */
function isAt(server: string, node: string): number {
  return Number(server === `tls://${node}` || `${server}:4222` === `tls://${node}`);
}

function subjectOf(name: string): string {
  return `$KV.${BUCKET}.${name}`;
}

/** What is not UTF-8 becomes a text that no key opens: a host may write anything, and none must end a watch by it. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function textOf({ operation, value }: KvEntry): string | undefined {
  return operation === "PUT" ? decoder.decode(value) : undefined;
}
