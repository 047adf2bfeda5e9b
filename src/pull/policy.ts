/**
 * Which hosts a pull may speak to, and at which addresses. An address is judged after the name was resolved, and the
 * connection is made to the address that was judged, so a name that changes its mind in between gains nothing.
 */
import { BlockList } from "node:net";
import { type HostEntry, parseHosts } from "../config/hosts.ts";
import { isLoopbackHost } from "../loopback.ts";
import { SecLlamaError } from "../errors.ts";

export interface PullPolicy {
  /** Registries to pull from. */
  readonly registries: readonly HostEntry[];
  /** Hosts that a registry may send a pull to for the files. */
  readonly blobHosts: readonly HostEntry[];
}

/** Where a connection may go. */
export interface Destination {
  readonly url: URL;
  readonly privateAddress: boolean;
}

const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/** The address of a registry: TLS, except on loopback. */
export function registryUrl(host: string): URL {
  const scheme = isLoopbackHost(host.toLowerCase().replace(/:\d+$/, "")) ? "http" : "https";
  return new URL(`${scheme}://${host.toLowerCase()}/`);
}

/**
 * The registry as a destination.
 * @throws {SecLlamaError} `registry-not-allowed` with the setting to change.
 */
export function allowRegistry(policy: PullPolicy, host: string): Destination {
  // A model's name allows more than a host's, such as two colons.
  if (parseHosts(host)?.length !== 1) {
    throw new SecLlamaError("bad-model-name", "the name's first part is no host", {
      field: "model",
      hint: "write it as HOST/PATH:TAG: registry.example/me/model:latest",
    });
  }
  const entry = find(policy.registries, host.toLowerCase());
  if (!entry) {
    throw new SecLlamaError("registry-not-allowed", `pulling from ${host} is not allowed`, {
      field: "registries",
      hint:
        `to allow it, add it to SECLLAMA_REGISTRIES, or in config.toml: registries = ["${host}"]`,
    });
  }
  return { url: registryUrl(host), privateAddress: entry.privateAddress };
}

/**
 * Where a registry sends us on to: another host only if it is listed, and a private address only from a registry that is
 * itself at one (CVE-2026-5530).
 * @param target Absolute, or relative to `from`.
 * @param use `blob`: a redirect to a file; `token`: the realm of a challenge, which only registries may be.
 * @throws {SecLlamaError} `pull-refused`, `registry-not-allowed`.
 */
export function allowOnward(
  policy: PullPolicy,
  registry: Destination,
  o: { from: URL; target: string; use: "blob" | "token" },
): Destination {
  const what = o.use === "blob" ? "sends the pull on to" : "wants a token from";
  const url = URL.parse(o.target, o.from);
  const isWeb = url?.protocol === "https:" || url?.protocol === "http:";
  if (!isWeb || url.username !== "" || url.password !== "" || o.target.length > 16_384) {
    throw refused(`the registry ${what} an address that is none of a file's`);
  }
  if (url.host === registry.url.host) {
    if (url.protocol !== registry.url.protocol) throw refused(`the registry ${what} ${url.origin}`);
    return { url, privateAddress: registry.privateAddress };
  }
  const lists = o.use === "blob" ? [policy.registries, policy.blobHosts] : [policy.registries];
  const entry = lists.map((list) => find(list, url.host)).find((found) => found !== undefined);
  if (!entry) {
    const setting = o.use === "blob" ? "SECLLAMA_REGISTRY_BLOB_HOSTS" : "SECLLAMA_REGISTRIES";
    throw new SecLlamaError("registry-not-allowed", `the registry ${what} ${shown(url)}`, {
      field: url.host,
      hint: `that host is not allowed; if you trust it, add it to ${setting}`,
    });
  }
  if (entry.privateAddress && !registry.privateAddress) {
    throw refused(`a public registry ${what} the private address ${shown(url)}`);
  }
  const wanted = registryUrl(url.host).protocol;
  if (url.protocol !== wanted && url.protocol !== "https:") {
    throw refused(`the registry ${what} ${shown(url)} without TLS`);
  }
  return { url, privateAddress: entry.privateAddress };
}

/**
 * The addresses of a name that may be connected to.
 * @throws {SecLlamaError} `pull-refused` if there is none.
 */
export function allowedAddresses(to: Destination, addresses: readonly string[]): string[] {
  const loopback = isLoopbackHost(to.url.hostname);
  const allowed = addresses.filter((address) => {
    const kind = kindOfAddress(address);
    if (loopback) return kind === "loopback";
    return kind === "public" || (to.privateAddress && kind !== "never");
  });
  if (allowed.length > 0) return allowed;
  throw refused(
    `${to.url.hostname} is at an address that is not public`,
    `if it is your own registry, allow it as ${to.url.host}+private`,
  );
}

function list(...subnets: readonly [string, number][]): BlockList {
  const out = new BlockList();
  for (const [net, bits] of subnets) out.addSubnet(net, bits, net.includes(":") ? "ipv6" : "ipv4");
  return out;
}

const LOOPBACK_NETS = list(["127.0.0.0", 8], ["::1", 128]);
/** Nothing that a registry could be: unspecified, link-local (cloud metadata), multicast, reserved, broadcast. */
const NEVER_NETS = list(
  ["0.0.0.0", 8],
  ["169.254.0.0", 16],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
  ["::", 128],
  ["fe80::", 10],
  ["ff00::", 8],
);
/** RFC 6890 and its successors: private, shared, benchmarking, documentation, and v6 that carries v4. */
const PRIVATE_NETS = list(
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fec0::", 10],
);

/** `public`, or why not. A v4 address inside a v6 one is judged as the v4 address. */
export function kindOfAddress(address: string): "public" | "loopback" | "private" | "never" {
  const plain = address.replace(/%.*$/, "").toLowerCase();
  const mapped = mappedV4(plain);
  const text = mapped ?? plain;
  const family = text.includes(":") ? "ipv6" : "ipv4";
  if (family === "ipv4" && !IPV4.test(text)) return "never";
  if (LOOPBACK_NETS.check(text, family)) return "loopback";
  if (NEVER_NETS.check(text, family)) return "never";
  return PRIVATE_NETS.check(text, family) ? "private" : "public";
}

/** The v4 address of `::ffff:1.2.3.4`, `::ffff:102:304` or the retired `::1.2.3.4`. */
function mappedV4(address: string): string | undefined {
  const url = address.includes(":") ? URL.parse(`http://[${address}]/`) : null;
  const match = /^\[::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(url?.hostname ?? "");
  if (!match) return undefined;
  const [high, low] = [parseInt(match[1]!, 16), parseInt(match[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

function find(entries: readonly HostEntry[], host: string): HostEntry | undefined {
  return entries.find((entry) => sameHost(entry.host, host));
}

/** `registry.example` and `registry.example:443` are one. */
function sameHost(a: string, b: string): boolean {
  const full = (host: string) => registryUrl(host).host;
  return full(a) === full(b);
}

/** Scheme and host only: a signed address must not reach a log. */
function shown(url: URL): string {
  return `${url.protocol}//${url.host}`;
}

function refused(message: string, hint?: string): SecLlamaError {
  return new SecLlamaError("pull-refused", message, hint === undefined ? {} : { hint });
}
