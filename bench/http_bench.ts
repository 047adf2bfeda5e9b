/**
 * What the hardened listener costs against bare `Deno.serve`: both run in a process of their own, the client here speaks
 * raw HTTP/1.1, rounds alternate, and the ratios are of medians. Run: `deno run -A bench/http_bench.ts`
 */
import { listenerRules } from "../src/api/listener_rules.ts";
import { serveHardened } from "../src/http/mod.ts";
import { silentLogger } from "../src/log.ts";

const TOKENS = 200;
const encoder = new TextEncoder();
const BIG = 64 * 1024;

async function handler(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/echo") return new Response(String((await request.arrayBuffer()).byteLength));
  if (pathname !== "/stream") return new Response("ok");
  let n = 0;
  return new Response(
    new ReadableStream({
      async pull(controller) {
        await undefined;
        if (n++ < TOKENS) controller.enqueue(encoder.encode(`{"token":${n}}\n`));
        else controller.close();
      },
    }),
  );
}

/** A keep-alive client that knows an answer's end by its framing, and connects again when the server closed. */
class Client {
  #conn: Deno.TcpConn | undefined;
  readonly #buffer = new Uint8Array(256 * 1024);
  constructor(readonly port: number) {}

  async ask(request: Uint8Array): Promise<void> {
    // Bare Deno.serve closes some kept connections after a body; a real client then tries once more.
    while (!(await this.#try(request).catch(() => false))) this.close();
  }

  async #try(request: Uint8Array): Promise<boolean> {
    if (!this.#conn) {
      this.#conn = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
      this.#conn.setNoDelay(true);
    }
    for (let at = 0; at < request.length;) at += await this.#conn.write(request.subarray(at));
    let text = "";
    for (;;) {
      const n = await this.#conn.read(this.#buffer);
      if (n === null) return false;
      text += new TextDecoder().decode(this.#buffer.subarray(0, n));
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) continue;
      const length = /content-length: (\d+)/i.exec(text.slice(0, end));
      if (length ? text.length >= end + 4 + Number(length[1]) : text.endsWith("\r\n0\r\n\r\n")) {
        return true;
      }
    }
  }

  close() {
    this.#conn?.close();
    this.#conn = undefined;
  }
}

const get = encoder.encode("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n");
const stream = encoder.encode("GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
const post = encoder.encode(
  `POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${BIG}\r\n\r\n${
    "x".repeat(BIG)
  }`,
);

const CASES: readonly [name: string, request: Uint8Array, clients: number, rounds: number][] = [
  ["GET, one client", get, 1, 1500],
  ["GET, 16 clients", get, 16, 200],
  ["POST 64 KiB, 4 clients", post, 4, 150],
  [`stream of ${TOKENS} chunks, 4 clients`, stream, 4, 25],
];

if (Deno.args[0] === "serve") {
  const { signal } = new AbortController();
  const addr = Deno.args[1] === "bare"
    ? Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler).addr
    : (await serveHardened({
      rules: listenerRules(),
      hostname: "127.0.0.1",
      port: 0,
      handler,
      signal,
      logger: silentLogger,
      sameUidOnly: Deno.build.os === "linux",
    })).addr;
  console.log(addr.port);
} else {
  const servers = await Promise.all(["bare", "hardened"].map(async (kind) => {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", import.meta.filename!, "serve", kind],
      stdout: "piped",
    }).spawn();
    const reader = process.stdout.getReader();
    const port = Number(new TextDecoder().decode((await reader.read()).value));
    return { kind, process, port, reader };
  }));
  try {
    for (const [name, request, clients, rounds] of CASES) {
      const times: Record<string, number[]> = { bare: [], hardened: [] };
      for (let round = 0; round < 7; round++) {
        for (const { kind, port } of servers) {
          const open = Array.from({ length: clients }, () => new Client(port));
          const started = performance.now();
          await Promise.all(open.map(async (client) => {
            for (let i = 0; i < rounds; i++) await client.ask(request);
          }));
          // The first round warms up.
          if (round > 0) times[kind]!.push((performance.now() - started) / (clients * rounds));
          open.forEach((client) => client.close());
        }
      }
      const median = (kind: string) => times[kind]!.sort((a, b) => a - b)[3]!;
      const [bare, hardened] = [median("bare"), median("hardened")];
      console.log(
        `${name.padEnd(34)} bare ${(bare * 1000).toFixed(0).padStart(6)} µs   hardened ${
          (hardened * 1000).toFixed(0).padStart(6)
        } µs   ratio ${(hardened / bare).toFixed(2)}`,
      );
    }
  } finally {
    for (const { process, reader } of servers) {
      process.kill("SIGTERM");
      await process.status;
      await reader.cancel();
    }
  }
}
