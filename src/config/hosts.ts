/** Hosts as the settings list them: `registry.example`, `registry.corp:5000+private`, `localhost:5000`. */
import { isLoopbackHost } from "../loopback.ts";

export interface HostEntry {
  /** `host` or `host:port`, in lower case. */
  readonly host: string;
  /** It may be at an address that is not public. */
  readonly privateAddress: boolean;
}

const ENTRY = /^([a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?(?::\d{1,5})?)(\+private)?$/;
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/** Reads a list separated by commas. Undefined if an entry is not of the grammar. */
export function parseHosts(text: string): HostEntry[] | undefined {
  const entries: HostEntry[] = [];
  for (const item of text.split(",").map((one) => one.trim()).filter((one) => one !== "")) {
    const match = ENTRY.exec(item.toLowerCase());
    if (!match || !URL.canParse(`https://${match[1]}/`)) return undefined;
    const host = match[1]!;
    const name = host.replace(/:\d+$/, "");
    // Whoever writes an address, or localhost, means that address.
    const explicit = isLoopbackHost(name) || IPV4.test(name);
    entries.push({ host, privateAddress: explicit || match[2] !== undefined });
  }
  return entries;
}
