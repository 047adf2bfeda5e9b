/** Raw sockets and small servers for the listener's tests. */
import { listenerRules } from "../api/listener_rules.ts";
import { type Logger, silentLogger } from "../log.ts";
import { settlesWithin } from "../pause.ts";
import type { HardenedOptions, HardenedServer, Rules } from "./mod.ts";
import { serveHardened } from "./mod.ts";
import { HANG_MS } from "../../tests/support/patience.ts";

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A connection that is written to by hand. */
export class Raw implements Disposable {
  readonly conn: Deno.TcpConn;
  #text = "";
  #ended = false;
  readonly #done: Promise<void>;

  private constructor(conn: Deno.TcpConn) {
    this.conn = conn;
    conn.setNoDelay(true);
    this.#done = this.#pump();
  }

  static async open(port: number): Promise<Raw> {
    return new Raw(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async #pump(): Promise<void> {
    const decoder = new TextDecoder("latin1");
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const n = await this.conn.read(buffer);
        if (n === null) break;
        this.#text += decoder.decode(buffer.subarray(0, n));
      }
    } catch { /* reset: also an end */ }
    this.#ended = true;
  }

  /** Everything the server has said. */
  get text(): string {
    return this.#text;
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.#text)?.[1] ?? 0);
  }

  /** Whether the server has ended the connection. */
  get ended(): boolean {
    return this.#ended;
  }

  async send(text: string | Uint8Array): Promise<this> {
    const bytes = typeof text === "string" ? Uint8Array.from(text, (c) => c.charCodeAt(0)) : text;
    for (let at = 0; at < bytes.length;) at += await this.conn.write(bytes.subarray(at));
    return this;
  }

  /** Waits until what the server said matches, or it ended, or `ms` have passed. */
  async until(pattern: RegExp, ms = HANG_MS): Promise<boolean> {
    for (let waitedMs = 0; waitedMs < ms && !this.#ended; waitedMs += 5) {
      if (pattern.test(this.#text)) return true;
      await pause(5);
    }
    return pattern.test(this.#text);
  }

  /** Waits until the server ends the connection; false if it does not within `ms`. */
  async end(ms = HANG_MS): Promise<boolean> {
    await settlesWithin(this.#done, ms);
    return this.#ended;
  }

  [Symbol.dispose](): void {
    try {
      this.conn.close();
    } catch { /* closed */ }
  }
}

/** Sends `text` to both servers on connections of their own, and gives what each answered. */
export async function ask(port: number, text: string | Uint8Array, waitMs = HANG_MS): Promise<Raw> {
  const raw = await Raw.open(port);
  await raw.send(text).catch(() => {});
  // Until the answer's body or the end.
  await raw.until(/\r\n\r\n[^]*[^\r\n]/, waitMs);
  return raw;
}

type Served = HardenedServer & AsyncDisposable & { stop(): Promise<void>; port: number };

/** The product's rules, but that any path takes a body of `maxBytes`. */
export function testRules(maxBytes = 64 * 1024 * 1024): Rules {
  return { ...listenerRules(), maxBodyBytes: () => maxBytes };
}

/** A hardened listener on a free port. */
export async function hardened(
  options: Partial<HardenedOptions> & Pick<HardenedOptions, "handler">,
): Promise<Served> {
  const controller = new AbortController();
  const logger: Logger = silentLogger;
  const server = await serveHardened({
    hostname: "127.0.0.1",
    port: 0,
    rules: testRules(),
    logger,
    signal: controller.signal,
    ...options,
  });
  const stop = async () => {
    controller.abort();
    await server.finished;
  };
  return {
    ...server,
    port: server.addr.port,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** What Deno's own server does with the same handler: the attack without the protection. */
export function bare(handler: (request: Request) => Response | Promise<Response>) {
  const controller = new AbortController();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    signal: controller.signal,
    onListen() {},
    onError: () => new Response("error", { status: 500 }),
  }, handler);
  return {
    port: server.addr.port,
    async stop() {
      controller.abort();
      await server.finished;
    },
  };
}
