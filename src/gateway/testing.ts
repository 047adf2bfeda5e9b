/** For tests of the gateway's parts. */
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
