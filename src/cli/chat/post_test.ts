import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { readChallenge } from "../../api/proxy_identity.ts";
import { ROUTES } from "../../api/routes.ts";
import { toBase64Url } from "../../bytes.ts";
import { PairingStore } from "../../keys/mod.ts";
import { MemoryStore } from "../../keys/stores/testing_memory.ts";
import { ProxyIdentity } from "../../proxy/identity.ts";
import type { Tui } from "../tui.ts";
import { makePost } from "./post.ts";

type Proxy = "ends after the proof" | "is another program" | "is not there";

/** How `run` fails on a machine that is paired with a gateway whose key it cannot open, beside such a proxy. */
async function failure(kind: Proxy): Promise<unknown> {
  const dataDir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const identity = await ProxyIdentity.make();
  const answer: RequestListener = async (request, response) => {
    let text = "";
    for await (const part of request) text += part;
    if (kind === "is another program") return response.end("{}");
    if (request.url !== ROUTES.identity.path) return request.socket.destroy();
    const signature = await identity.sign(readChallenge(JSON.parse(text))!);
    response.end(JSON.stringify({ signature: toBase64Url(signature!) }));
  };
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await identity.announce(dataDir, port);
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  try {
    await new PairingStore(dataDir, new MemoryStore()).add("office", "http://127.0.0.1:9", "text");
    if (kind === "is not there") await close();
    const { signal } = new AbortController();
    const post = await makePost({
      tui: { isTerminal: false } as unknown as Tui,
      values: { "key-file": join(dataDir, "none") },
      positionals: [],
      env: {},
      signal,
    }, { hostname: "127.0.0.1", port, dataDir });
    return await post(ROUTES.chat.path, "{}", signal).then(() => undefined, (error) => error);
  } finally {
    if (kind !== "is not there") await close();
    await Deno.remove(dataDir, { recursive: true });
  }
}

Deno.test("run on a paired machine: the gateway elsewhere is asked where no proxy is, and not where one ends or is slow", async () => {
  for (const kind of ["is not there", "is another program"] as const) {
    // It went for the key of the pairing, which nothing here opens.
    assert.match(String(await failure(kind)), /the pairings of this machine are/, kind);
  }
  assert.match(String(await failure("ends after the proof")), /ended before it answered/);
});
