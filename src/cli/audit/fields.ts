/** What a line of the audit log says of a model. */
import { label, type LogFields } from "../../log.ts";

/** Its name and the digest of its file. */
export function modelFields({ name, digest }: { name: string; digest: string }): LogFields {
  return { model: label(name), digest: label(digest) };
}
