import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { readChallenge } from "../api/proxy_identity.ts";
import { ROUTES } from "../api/routes.ts";
import { toBase64Url } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { ProxyIdentity } from "../proxy/identity.ts";
import { askLocalProxy, NoOwnProxy, refuseTakenPort } from "./local_proxy.ts";

/** A proxy that proves itself, and then does `next` with each request. */
async function withProxy(
  next: "nothing" | "closes",
  use: (ask: (signal: AbortSignal) => Promise<Response>, asked: Promise<void>) => Promise<void>,
): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const identity = await ProxyIdentity.make();
  const asked = Promise.withResolvers<void>();
  const server = createServer(async (request, response) => {
    let text = "";
    try {
      for await (const part of request) text += part;
    } catch {
      return; // whoever asked has given up
    }
    if (request.url !== ROUTES.identity.path) {
      asked.resolve();
      if (next === "closes") request.socket.destroy();
      return;
    }
    const signature = await identity.sign(readChallenge(JSON.parse(text))!);
    response.end(JSON.stringify({ signature: toBase64Url(signature!) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await identity.announce(dataDir, port);
  try {
    const proxy = { hostname: "127.0.0.1", port, dataDir };
    const ask = { method: "POST", path: ROUTES.chat.path, body: "{}" } as const;
    await use((signal) => askLocalProxy(proxy, { ...ask, signal }), asked.promise);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await Deno.remove(dataDir, { recursive: true });
  }
}

Deno.test("local proxy: who gives up while it waits for the answer is told so, again and again, and nothing else ends", async () => {
  await withProxy("nothing", async (ask, asked) => {
    for (let i = 0; i < 20; i++) {
      const stop = new AbortController();
      const answer = ask(stop.signal);
      if (i === 0) await asked;
      // From before the connection to after the request.
      for (let turn = 0; turn < i; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
      stop.abort();
      await assert.rejects(answer, { code: "cancelled" });
    }
  });
});

Deno.test("local proxy: a proven connection that closes is an error, and no second one is made without a proof", async () => {
  await withProxy("closes", async (ask) => {
    await assert.rejects(ask(new AbortController().signal), (error) => {
      assert.ok(error instanceof SecLlamaError && !(error instanceof NoOwnProxy));
      assert.equal(error.code, "gateway-unreachable");
      assert.match(error.message, /ended before it answered/);
      return true;
    });
  });
});

/** As other programs answer whatever they are sent; undefined: not at all. */
const HOLDERS: { readonly [name: string]: ((socket: Socket) => void) | undefined } = {
  "accepts and says nothing": undefined,
  "closes at once": (socket) => socket.destroy(),
  "nginx": (socket) => {
    const page = "<html><head><title>405 Not Allowed</title></head></html>\r\n";
    socket.end(
      "HTTP/1.1 405 Not Allowed\r\nServer: nginx/1.26.3\r\nContent-Type: text/html\r\n" +
        `Content-Length: ${page.length}\r\nConnection: close\r\n\r\n${page}`,
    );
  },
  "leads elsewhere": (socket) =>
    socket.end(
      "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:11434/\r\nContent-Length: 0\r\n\r\n",
    ),
  "ssh": (socket) => socket.end("SSH-2.0-OpenSSH_9.9\r\n"),
  "never ends its answer": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[");
    const more = () => {
      while (socket.write("0,".repeat(2 ** 15)));
    };
    socket.on("drain", more);
    more();
  },
};

Deno.test("local proxy: whatever else holds the port is refused, gets no request, and is read no longer than it must be", async () => {
  const PROMPT = "a prompt that nobody may see";
  const dataDir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const full = Deno.env.get("SECLLAMA_FULL") === "1";
  try {
    await Promise.all(
      Object.entries(HOLDERS).map(async ([name, answer]) => {
        if (answer === undefined && !full) {
          console.log(`skipped: "${name}" is waited for ten seconds: SECLLAMA_FULL=1`);
          return;
        }
        let [got, sent] = ["", 0];
        const sockets = new Set<Socket>();
        const server = createTcpServer((socket) => {
          sockets.add(socket);
          socket.on("error", () => {}); // whoever asked has gone
          socket.on("close", () => sent += socket.bytesWritten);
          socket.on("data", (part) => {
            got += part;
            // Once a request is there whole.
            if (got.includes("\r\n\r\n") && !socket.writableEnded) answer?.(socket);
          });
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const { port } = server.address() as AddressInfo;
        const proxy = { hostname: "127.0.0.1", port, dataDir };
        const { signal } = new AbortController();
        await Promise.all([
          assert.rejects(
            askLocalProxy(proxy, { method: "POST", path: "/api/chat", body: PROMPT, signal }),
            { code: "peer-refused" },
            name,
          ),
          assert.rejects(refuseTakenPort(proxy), { code: "port-in-use" }, name),
        ]);
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
        assert.ok(got.includes("HTTP/1.1") && !got.includes(PROMPT), name);
        // What the sockets' buffers hold is no more than some megabytes.
        assert.ok(sent < 2 ** 26, `${name}: ${sent} bytes`);
      }),
    );
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});
