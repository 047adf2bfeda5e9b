/** What a host says of its audit log in its reports. */
import type { HeadSince } from "../audit/mod.ts";
import { type Bytes, fromBase64Url, toBase64Url } from "../bytes.ts";
import type { HostReport } from "./report.ts";

/**
 * What the issuer keeps of this host's audit log: the newest head, and that it goes on from the one that was said before it.
 * @returns To be asked before each report, with the head of what the store has from before this process.
 */
export function saidHeads(
  headSince: (before?: Uint8Array) => HeadSince | undefined,
): (before: string | undefined) => Pick<HostReport, "audit" | "auditSince"> {
  let last: Pick<HostReport, "audit" | "auditSince"> = {};
  return (before) => {
    const head = attempted(() => headSince(decoded(last.audit ?? before)));
    if (head === undefined) return {};
    const said = toBase64Url(head.cose);
    // While it is the same one, it is said in the same words: who missed them hears them again.
    if (said === last.audit) return last;
    const since = head.since &&
      { size: head.since.size, path: head.since.path.map((hash) => toBase64Url(hash)) };
    return last = { audit: said, ...(since === undefined ? {} : { auditSince: since }) };
  };
}

/** A host whose log is away and that may serve without is still there, and says so. */
function attempted<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

/** What came from a store may be anything. */
function decoded(text: string | undefined): Bytes | undefined {
  try {
    return text === undefined ? undefined : fromBase64Url(text);
  } catch {
    return undefined;
  }
}
