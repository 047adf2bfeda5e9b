/** How requests reach the gateway, in a web page: by the browser's fetch, which trusts whom the browser trusts. */
import { SecLlamaError } from "../../../src/errors.ts";
import type { Connection } from "../../../src/client/options.ts";

/** See `connect.ts`. */
export function connect(
  caCerts: readonly string[] | undefined,
  underlying: typeof fetch = globalThis.fetch,
): Connection {
  if (caCerts !== undefined) {
    throw new SecLlamaError("bad-config", "a web page cannot trust a certificate by itself", {
      field: "caCerts",
      hint: "give the gateway a certificate that browsers trust: serve --tls-cert, --tls-key",
    });
  }
  return { fetch: (input, init) => underlying(input, init), close() {} };
}
