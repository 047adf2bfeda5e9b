/**
 * How requests reach the gateway, in Deno. The client's builds for Node and browsers put `connect_node.ts` and
 * `connect_web.ts` of scripts/client/platforms in this file's place.
 */
import type { Connection } from "./options.ts";

/**
 * The fetch underneath, and, where certificates are given, connections that trust them besides the system's.
 * @param underlying Instead of the global fetch.
 * @throws {SecLlamaError} `bad-config` if this runtime's fetch cannot trust certificates of the caller's.
 */
export function connect(
  caCerts: readonly string[] | undefined,
  underlying: typeof fetch = globalThis.fetch,
): Connection {
  if (caCerts === undefined) {
    return { fetch: (input, init) => underlying(input, init), close() {} };
  }
  const client = Deno.createHttpClient({ caCerts: [...caCerts] });
  return {
    // `client` is Deno's own addition to fetch's options.
    fetch: (input, init) => underlying(input, { ...init, ...{ client } }),
    close: () => client.close(),
  };
}
