/**
 * Which host of the fleet a client's model is at: one that has it, with room if any has, and for one client and model the same one
 * as long as it is there, since it has the beginning of the conversation in its cache. Never by content, which nobody here sees.
 */
import { isSameModel } from "../api/model_name.ts";
import { concat, toHex, utf8 } from "../bytes.ts";
import { sha256 } from "../sealed/primitives.ts";
import type { HostReport } from "./report.ts";

/** A host that may be chosen. */
export interface Candidate {
  /** 32 hexadecimal digits. */
  readonly hid: string;
  readonly report: HostReport;
}

/** Whether it has something to do for each of its places. */
function isFull({ report: { active, parallel } }: Candidate): boolean {
  return active >= parallel;
}

/**
 * The host for this client and model; undefined: none of them has it.
 * @param model Its canonical name.
 */
export function placeFor(
  hosts: readonly Candidate[],
  { client, model }: { readonly client: string; readonly model: string },
): Candidate | undefined {
  const having = hosts.filter(({ report }) =>
    report.models.some(({ name }) => isSameModel(name, model))
  );
  const free = having.filter((host) => !isFull(host));
  // Rendezvous hashing: a host that comes or goes moves its own clients only.
  const weight = ({ hid }: Candidate) =>
    toHex(sha256(concat(utf8(`${hid} ${client} ${model}`))).subarray(0, 8));
  const ordered = (free.length > 0 ? free : having).map((host) => ({ host, weight: weight(host) }));
  ordered.sort((a, b) => a.weight < b.weight ? -1 : 1);
  return ordered[0]?.host;
}
