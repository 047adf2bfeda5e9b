/** For tests of the gateway's parts. */
import { loadConfig } from "../config/config.ts";
import { silentLogger } from "../log.ts";
import { makeProof, type ProvenRequest } from "../sealed/proof.ts";
import { deriveHostPsk, deriveProofKey } from "../sealed/psk.ts";
import { Activity } from "./activity.ts";
import type { GatewayContext } from "./context.ts";
import { ClientLimits } from "./limits.ts";

/** Nobody has a role, and nothing is counted. */
export function noLimits(): ClientLimits {
  return new ClientLimits({
    book: { client: () => undefined, role: () => undefined },
    apps: { byId: () => undefined, byHash: () => undefined, wasRevoked: () => true },
    limiter() {
      throw new Error("nobody has a limit");
    },
    onRefused() {},
  });
}

/** A client that a gateway of {@link contextOf} knows. */
export const PAIRED = {
  pskId: `client.00112233445566ff.${"01".repeat(16)}`,
  psk: new Uint8Array(32).fill(7),
  hid: new Uint8Array(16).fill(1),
};

/** Its proof of a request, a second ahead: one from before the gateway's start is refused. @param psk With another key a stranger's. */
export function proofOf(request: ProvenRequest, psk: Uint8Array = PAIRED.psk): string {
  return makeProof(request, { ...PAIRED, psk, now: Date.now() + 1_000 });
}

/** What a gateway has of which nothing is loaded and that knows that client; what a test asks of it besides is given. */
export function contextOf(
  { supervisor: { keys, ...supervisor } = {}, ...more }: {
    readonly supervisor?: { readonly keys?: object; readonly [part: string]: unknown };
    readonly [part: string]: unknown;
  },
): GatewayContext {
  const { psk, hid } = PAIRED;
  return {
    config: loadConfig({ env: {} }),
    supervisor: {
      loaded: () => [],
      keys: {
        confirm: () => {},
        proofKey: () => Promise.resolve({ hid, key: deriveProofKey(deriveHostPsk(psk, hid)) }),
        ...keys,
      },
      ...supervisor,
    },
    logger: silentLogger,
    version: "0",
    keys: { backend: "memory", active: { kid: "0".repeat(16), createdMs: null }, warnings: [] },
    activity: new Activity(),
    remote: false,
    ...more,
  } as unknown as GatewayContext;
}
