import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { readChallenge } from "../api/proxy_identity.ts";
import { ROUTES } from "../api/routes.ts";
import { toBase64Url } from "../bytes.ts";
import { ProxyIdentity } from "../proxy/identity.ts";
import { askLocalProxy } from "./local_proxy.ts";

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
    await assert.rejects(ask(new AbortController().signal), { code: "gateway-unreachable" });
  });
});
