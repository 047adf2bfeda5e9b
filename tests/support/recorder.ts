/** A TCP relay on loopback that records every byte, and can hold back what the server sends. */
export class Recorder {
  readonly #listener: Deno.TcpListener;
  readonly #sent: Uint8Array[] = [];
  readonly #received: Uint8Array[] = [];
  #hold: Promise<void> = Promise.resolve();
  #release: () => void = () => {};
  readonly #done: Promise<void>;
  readonly #conns = new Set<Deno.TcpConn>();

  constructor(readonly target: { hostname: string; port: number }) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#done = this.#accept();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Everything that passed, both ways. */
  bytes(): Uint8Array {
    const parts = [...this.#sent, ...this.#received];
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  /** Bytes that the server has sent, held ones included. */
  get receivedBytes(): number {
    return this.#received.reduce((n, p) => n + p.length, 0);
  }

  /** From now on what the server sends is recorded but not passed on, until `release`. */
  hold(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#hold = promise;
    this.#release = resolve;
  }

  release(): void {
    this.#release();
  }

  async close(): Promise<void> {
    this.#release();
    this.#listener.close();
    for (const conn of this.#conns) {
      try {
        conn.close();
      } catch { /* closed by its peer */ }
    }
    await this.#done;
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect(this.target);
      this.#conns.add(client).add(server);
      void this.#copy(client, server, this.#sent, false);
      void this.#copy(server, client, this.#received, true);
    }
  }

  async #copy(
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    log: Uint8Array[],
    held: boolean,
  ): Promise<void> {
    const block = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const n = await from.read(block);
        if (n === null) break;
        const bytes = block.slice(0, n);
        log.push(bytes);
        if (held) await this.#hold;
        for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
      }
      await to.closeWrite();
    } catch {
      /* one side has gone: the other is closed with it */
      for (const conn of [from, to]) {
        try {
          conn.close();
        } catch { /* closed already */ }
      }
    }
  }
}
