/**
 * The proxy's second listener, for programs beyond this user's loopback: over TLS or on a Unix socket, and always with a token. It has
 * the API and nothing that is the owner's: no page, no history, no management.
 */
import type { Config } from "../config/config.ts";
import { SecLlamaError } from "../errors.ts";
import type { HardenedServer, UnixAddress } from "../http/mod.ts";
import { type ProxyAppOptions, startOpenProxy } from "../proxy/mod.ts";
import { readCertificate } from "../tls/files.ts";
import { inUrl } from "../tls/names.ts";

/** Where it is to be reached, and until when. */
interface OpenListener {
  /** `https://192.168.1.5:11434`, `unix:/run/secllama/proxy.sock`. */
  readonly url: string;
  readonly server: HardenedServer;
}

/**
 * Listens where the settings say; undefined: nowhere.
 * @throws {SecLlamaError} `remote-refused` without TLS, `bad-config` for a certificate or a group that is none, `port-in-use`.
 */
export async function openProxyListener(
  config: Config,
  options: ProxyAppOptions & { readonly gate: NonNullable<ProxyAppOptions["gate"]> },
  signal: AbortSignal,
): Promise<OpenListener | undefined> {
  const at = config.proxyListen;
  if (at === null) return undefined;
  const allowedHosts = config.proxyAllowedHosts.map(inUrl);
  const common = {
    allowedHosts,
    allowedOrigins: options.allowedOrigins ?? [],
    drainMs: config.drainMs,
    signal,
  };
  if (at.kind === "unix") {
    await removeStale(at.path);
    const unix: UnixAddress = {
      path: at.path,
      mode: config.proxyListenMode,
      ...(config.proxyListenGroup === "" ? {} : { gid: await groupId(config.proxyListenGroup) }),
    };
    const server = await startOpenProxy(options, {
      ...common,
      hostname: "localhost",
      port: 0,
      unix,
    });
    return { url: `unix:${at.path}`, server };
  }
  checkProxyListen(config);
  const tls = await readCertificate(config.tlsCert, config.tlsKey, new Date());
  const server = await startOpenProxy(options, {
    ...common,
    allowedHosts: [...allowedHosts, ...tls.names.map(inUrl)],
    hostname: at.hostname,
    port: at.port,
    tls,
  });
  return { url: `https://${inUrl(tls.names[0] ?? at.hostname)}:${server.addr.port}`, server };
}

/**
 * Before anything is opened.
 * @throws {SecLlamaError} `remote-refused` for an address without TLS, `bad-config` for one where no token is to be asked for: it is
 * asked for all the same, and who said that it is not would not know.
 */
export function checkProxyListen(
  { proxyListen: at, tlsCert, tlsKey, requireToken }: Config,
): void {
  if (at !== null && requireToken === false) {
    throw new SecLlamaError(
      "bad-config",
      "beyond this user's loopback the proxy always asks for a token",
      {
        field: "SECLLAMA_REQUIRE_TOKEN",
        hint: "take SECLLAMA_REQUIRE_TOKEN=false out, or do not listen there",
      },
    );
  }
  if (at?.kind !== "tcp" || tlsCert !== "" && tlsKey !== "") return;
  throw new SecLlamaError(
    "remote-refused",
    `the proxy does not listen on ${at.hostname} without TLS: prompts and tokens could be read`,
    {
      field: "--listen",
      hint: "give --tls-cert and --tls-key, or use a Unix socket: --listen unix:/path; " +
        "for other machines of yours, secllama pair needs neither",
    },
  );
}

/** A socket that nobody answers on is what a killed proxy left. */
async function removeStale(path: string): Promise<void> {
  try {
    if (!(await Deno.lstat(path)).isSocket) return;
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) await Deno.remove(path);
  }
}

/** @throws {SecLlamaError} `bad-config`. */
async function groupId(name: string): Promise<number> {
  if (/^\d{1,9}$/.test(name)) return Number(name);
  const groups = await Deno.readTextFile("/etc/group").catch(() => "");
  const found = groups.split("\n").map((line) => line.split(":")).find(([group]) => group === name);
  if (found !== undefined) return Number(found[2]);
  throw new SecLlamaError("bad-config", `there is no group ${name}`, {
    field: "--listen-group",
    hint: "name one of /etc/group, or give its number",
  });
}
