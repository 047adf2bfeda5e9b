/** What is published already: no number is given twice, so a newer one than the issuer's folder knows was not given by this folder. */
import { SecLlamaError } from "../errors.ts";
import type { FleetPin } from "../sealed/member.ts";
import { RECORDS } from "./bundle.ts";
import { verifyRecord } from "./record.ts";
import type { FleetStore } from "./store.ts";

/** Heads that are asked for at one time. */
const AT_ONCE = 32;

/** The number of the head that the store has for a host; 0: none that this issuer signed. */
export async function publishedFor(
  store: FleetStore,
  hid: string,
  pin: FleetPin,
): Promise<number> {
  const text = await store.get(RECORDS.head(hid));
  if (text === undefined) return 0;
  try {
    const { clear } = await verifyRecord(text, pin, hid);
    return clear.kind === "head" && Number.isSafeInteger(clear.at) ? clear.at : 0;
  } catch {
    // Whoever carries them may have put anything there; it is written over.
    return 0;
  }
}

/** The greatest of all hosts' that the store has, also of those that this folder does not know. */
export async function newestPublished(store: FleetStore, pin: FleetPin): Promise<number> {
  const names = await store.list(RECORDS.bundles);
  const hids = names.filter(RECORDS.isHead).map((name) => name.split(".")[1]!).values();
  let newest = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const hid of hids) newest = Math.max(newest, await publishedFor(store, hid, pin));
  }));
  return newest;
}

/** What the issuer is told then. */
export function olderFolder(): SecLlamaError {
  return new SecLlamaError(
    "key-refused",
    "this folder is older than what was published: it was put back from a backup, or a copy of it publishes too",
    {
      hint:
        "end the copy; revoke clients and remove hosts once more that were taken away since the backup " +
        "(secllama clients, secllama fleet hosts); then give secllama fleet publish --after-restore once",
    },
  );
}
