/** What a system's key store is while nobody is logged in, or while it does not answer. */
import { LOG_IN } from "./packages.ts";
import type { StoreStatus } from "./store.ts";

/** The status. @param reason Why, one line. @param hint What to do about it. */
export function unreachable(reason: string, hint: string = LOG_IN): StoreStatus {
  return {
    reachable: false,
    locked: false,
    writable: false,
    encryptedAtRest: "unknown",
    reason,
    hint,
  };
}
