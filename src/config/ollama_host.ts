/** `OLLAMA_HOST` as Ollama's own `envconfig.Host` reads it: a scheme, a host and a port, each of which may be missing. */

/** What it names. */
interface OllamaHost {
  /** Without brackets; "" where it begins with the port. */
  readonly host: string;
  /** From 0 to 65535. */
  readonly port: number;
  /** What stands in the port's place is none, so this is the scheme's. */
  readonly portIgnored: boolean;
}

const SCHEME_PORTS: { readonly [scheme: string]: number } = { http: 80, https: 443 };
const DEFAULT_PORT = 11434;

/** Go's `net.SplitHostPort`: one colon before the port, or brackets around a host that has more of them. */
const WITH_PORT = /^(?:\[([^\[\]]*)\]|([^:\[\]]*)):([^:\[\]]*)$/;

/**
 * Reads it. Nothing is an error, as there; whether the host can be one is not asked.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseOllamaHost("[::1]:80/path"), { host: "::1", port: 80, portIgnored: false });
 * ```
 */
export function parseOllamaHost(text: string): OllamaHost {
  const [, scheme, rest = ""] = /^(?:([^]*?):\/\/)?([^]*)$/.exec(text.trim()) ?? [];
  const schemePort = scheme !== undefined && Object.hasOwn(SCHEME_PORTS, scheme)
    ? SCHEME_PORTS[scheme]!
    : DEFAULT_PORT;
  const address = rest.split("/")[0]!;
  const [, bracketed, plain, written] = WITH_PORT.exec(address) ?? [];
  if (written === undefined) {
    const bare = address.replace(/^[\[\]]+|[\[\]]+$/g, "");
    const host = address === "" ? "127.0.0.1" : isIPv6(bare) || isIPv4(bare) ? bare : address;
    return { host, port: schemePort, portIgnored: false };
  }
  const value = /^(?:\+?\d+|-0+)$/.test(written) ? Math.abs(Number(written)) : NaN;
  const portIgnored = !(value <= 65535);
  return { host: bracketed ?? plain!, port: portIgnored ? schemePort : value, portIgnored };
}

/** Whether a name or an address can be a host at all: it may have been meant for another variable. */
export function canBeHost(host: string): boolean {
  return host === "" || /^[\w.-]{1,253}$/.test(host) || isIPv6(host.replace(/%[\w.-]+$/, ""));
}

/** Whether a host stands for all addresses of this machine, which Ollama's clients take for loopback: `0.0.0.0`, `::`. */
export function isEverywhere(host: string): boolean {
  if (host === "0.0.0.0") return true;
  // The URL standard has one spelling for each address.
  return isIPv6(host) && /^\[::(?:ffff:0:0)?\]$/.test(new URL(`http://[${host}]/`).hostname);
}

/** As Go reads it: four numbers, none with a zero before it. */
function isIPv4(text: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text);
}

function isIPv6(text: string): boolean {
  return /^[0-9a-fA-F:.]{2,45}$/.test(text) && text.includes(":") &&
    URL.canParse(`http://[${text}]/`);
}
