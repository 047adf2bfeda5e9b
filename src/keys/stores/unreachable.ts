/** What a system's key store is while nobody is logged in, or while it does not answer. */
import { LOG_IN } from "./packages.ts";
import type { StoreStatus } from "./store.ts";

/** The status, with what its program said. */
export function unreachable(reason: string): StoreStatus {
  return {
    reachable: false,
    locked: false,
    writable: false,
    encryptedAtRest: "unknown",
    reason,
    hint: LOG_IN,
  };
}
