/** What NATS lets each machine of a fleet do: the names that its configuration and the store's connections agree on. */
import { RECORDS, USAGE_PARTS } from "./bundle.ts";

/** Of the fleet's records. */
export const BUCKET = "secllama";
/** In which JetStream keeps it. */
export const STREAM = `KV_${BUCKET}`;

/** What NATS allows a host, or the issuer: a block of `authorization { users = […] }` in its configuration. */
export function natsPermissions(
  user: string,
  who: { readonly hid: string } | "issuer",
): Record<string, unknown> {
  const own = who === "issuer"
    ? [
      `$KV.${BUCKET}.>`,
      ...["CREATE", "UPDATE", "PURGE"].map((what) => `$JS.API.STREAM.${what}.${STREAM}`),
    ]
    : ownRecords(who.hid).map((own) => `$KV.${BUCKET}.${own}`);
  return {
    nkey: user,
    permissions: {
      publish: [
        ...own,
        "$JS.API.INFO",
        `$JS.API.STREAM.INFO.${STREAM}`,
        `$JS.API.STREAM.MSG.GET.${STREAM}`,
        // A watch is a consumer: of this stream, and it can change nothing in it.
        `$JS.API.CONSUMER.CREATE.${STREAM}.>`,
        `$JS.API.CONSUMER.DELETE.${STREAM}.>`,
        `$JS.API.CONSUMER.INFO.${STREAM}.>`,
        `$JS.FC.${STREAM}.>`,
      ],
      // Answers to nobody else.
      subscribe: [`${inboxOf(user)}.>`],
    },
  };
}

/** Each by its name: with a wildcard a host could write so many that the store is full. */
function ownRecords(hid: string): string[] {
  const parts = Array.from({ length: USAGE_PARTS }, (_, part) => RECORDS.usage(hid, part));
  return [RECORDS.report(hid), ...parts];
}

/** Where answers to a machine come, and nobody else hears. */
export function inboxOf(user: string): string {
  return `_INBOX_${user}`;
}
