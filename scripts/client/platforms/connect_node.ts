/**
 * How requests reach the gateway, in Node. Node's fetch takes no certificates without a package beside, so with some
 * given the requests go through `node:https`, which trusts these and no others.
 */
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { SecLlamaError } from "../../../src/errors.ts";
import type { Connection } from "../../../src/client/options.ts";

/** See `connect.ts`. */
export function connect(
  caCerts: readonly string[] | undefined,
  underlying?: typeof fetch,
): Connection {
  if (caCerts === undefined) {
    const plain = underlying ?? globalThis.fetch;
    return { fetch: (input, init) => plain(input, init), close() {} };
  }
  if (underlying !== undefined) {
    throw new SecLlamaError("bad-config", "in Node, give either a fetch or certificates", {
      field: "caCerts",
      hint: "the fetch must trust the gateway's certificate itself",
    });
  }
  const agent = new Agent({ ca: [...caCerts], keepAlive: true, rejectUnauthorized: true });
  return {
    fetch: (input, init) => send(agent, input as URL, init ?? {}),
    close: () => agent.destroy(),
  };
}

/** As much of fetch as `options.ts` asks for: a URL, a method, headers, a body of bytes, a signal. */
function send(agent: Agent, url: URL, init: RequestInit): Promise<Response> {
  const { method = "GET", headers, body, signal } = init;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      agent,
      method,
      headers: Object.fromEntries(new Headers(headers)),
      ...(signal && { signal }),
    }, (incoming) => resolve(asResponse(incoming)));
    outgoing.once("error", reject);
    outgoing.end(body as Uint8Array | undefined);
  });
}

function asResponse(incoming: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const one of [value ?? []].flat()) headers.append(name, one);
  }
  const status = incoming.statusCode ?? 0;
  if (status === 204 || status === 304) {
    incoming.resume();
    return new Response(null, { status, headers });
  }
  // Node's own stream types and the web's differ in name only.
  return new Response(Readable.toWeb(incoming) as unknown as ReadableStream, { status, headers });
}
