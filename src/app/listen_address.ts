/**
 * How the gateway shows itself to other machines: which names, which certificate, and whether it may. Loopback in plaintext is
 * the default; anything beyond it needs TLS, sealing, and somebody who is paired.
 */
import type { Config } from "../config/config.ts";
import { SecLlamaError } from "../errors.ts";
import { isLoopbackHost } from "../loopback.ts";
import {
  type ClientSource,
  type KeyFacts,
  ManifestFile,
  PairingOffers,
  type RingSource,
  type StorageSource,
} from "../keys/mod.ts";
import { clockWarnings, GatewayAuthority, type TlsCredentials } from "../tls/authority.ts";
import { covers, readCertificate } from "../tls/files.ts";
import { inUrl, isHostName, nameOfUrl } from "../tls/names.ts";

const WILDCARDS = ["0.0.0.0", "::"];

export interface ListenAddress {
  readonly hostname: string;
  /** Reachable from other machines, or said to be by a name. */
  readonly remote: boolean;
  readonly tls: TlsCredentials | undefined;
  /** What clients may call it in Host, besides loopback and `hostname`. */
  readonly names: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Decides how `serve` listens.
 * @throws {SecLlamaError} `remote-refused` if others could reach what is not protected, `bad-config` for bad files or names.
 */
export async function gatewayListenAddress(
  config: Config,
  dataDir: string,
  keys: ClientSource & RingSource & StorageSource & Pick<KeyFacts, "ephemeral">,
): Promise<ListenAddress> {
  const hostname = bare(config.host);
  const beyond = !isLoopbackHost(hostname);
  if (beyond) await refuseUnlessPaired(config, dataDir, keys);
  const own = await ownCertificate(config);
  if (own === undefined && !beyond) {
    return {
      hostname,
      remote: config.names.length > 0,
      tls: undefined,
      names: checked(config),
      warnings: [],
    };
  }
  const address = beyond && !WILDCARDS.includes(hostname) ? [hostname] : [];
  if (own !== undefined) {
    const names = [...new Set([...address, ...checked(config), ...own.names])];
    // On loopback too: nobody brings a certificate for clients of this machine, who have the proxy.
    return { hostname, remote: true, tls: own, names, warnings: own.warnings };
  }
  const authority = authorityOf(dataDir, keys);
  await authority.rewrap();
  const { certificate, names } = await authority.ensure([...address, ...checked(config)]);
  if (names.length === 0) {
    throw new SecLlamaError("bad-config", "the gateway does not know what other machines call it", {
      field: "--name",
      hint: "add its name or address: secllama serve --host 0.0.0.0 --name NAME",
    });
  }
  const tls = await authority.issue([...names, "localhost", "127.0.0.1", "::1"]);
  const warnings = clockWarnings(certificate, new Date());
  return { hostname, remote: true, tls, names, warnings };
}

/**
 * The address that a new client is given, checked by its form alone.
 * @throws {SecLlamaError} `usage`.
 */
export function checkPairingUrl(config: Config, option: string | undefined): URL {
  const parsed = URL.parse(option ?? defaultUrl(config));
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw new SecLlamaError("usage", "--url must be an https address", {
      field: "--url",
      hint: urlExample(config),
    });
  }
  if (parsed.protocol === "https:" || isLoopbackHost(nameOfUrl(parsed.href))) return parsed;
  throw new SecLlamaError("usage", "--url must be https: http is for this machine only", {
    field: "--url",
    hint: `write https: --url https://${parsed.host}`,
  });
}

/**
 * Where a new client is to find the gateway, the certificate that it has to be given, and the one (PEM) that it can know the
 * gateway by: its authority's, or the operator's own. `vouched` is undefined on loopback without TLS.
 */
export async function pairingAddress(
  config: Config,
  dataDir: string,
  keys: StorageSource,
  urlOption: string | undefined,
): Promise<{ url: string; certificate?: string; vouched?: string; newName?: string }> {
  const parsed = checkPairingUrl(config, urlOption);
  const name = nameOfUrl(parsed.href);
  if (parsed.protocol === "http:") return { url: parsed.href };
  const own = await ownCertificate(config);
  if (own !== undefined) {
    if (!covers(own.names, name)) {
      throw new SecLlamaError("bad-config", `the TLS certificate is not for ${name}`, {
        field: "--url",
        hint: `it is for ${own.names.join(", ") || "no name"}: use one of these in --url`,
      });
    }
    return {
      url: parsed.href,
      vouched: own.cert,
      ...(own.selfSigned ? { certificate: own.cert } : {}),
    };
  }
  if (!isHostName(name)) {
    throw new SecLlamaError("usage", "--url names no host that a certificate can be made for", {
      field: "--url",
    });
  }
  const authority = authorityOf(dataDir, keys);
  const before = (await authority.ensure([])).names;
  const { certificate } = await authority.ensure([name]);
  return {
    url: parsed.href,
    certificate,
    vouched: certificate,
    ...(before.length === 0 || covers(before, name) ? {} : { newName: name }),
  };
}

/** The gateway's own authority; its file and key are in the data folder. */
export function authorityOf(dataDir: string, keys: StorageSource): GatewayAuthority {
  return new GatewayAuthority(new ManifestFile(dataDir), keys.storage());
}

async function refuseUnlessPaired(
  config: Config,
  dataDir: string,
  keys: ClientSource & RingSource & StorageSource & Pick<KeyFacts, "ephemeral">,
): Promise<void> {
  const refuse = (why: string, hint: string) =>
    new SecLlamaError("remote-refused", `not listening on ${config.host}: ${why}`, {
      field: "host",
      hint,
    });
  if (!config.enableEncryption) {
    throw refuse(
      "encryption is off, and others could read what is said",
      "remove SECLLAMA_ENABLE_ENCRYPTION=false, or listen on loopback: --host 127.0.0.1",
    );
  }
  if (keys.ephemeral) {
    throw refuse(
      "the key is in memory only, and no client can be paired under it",
      "use the key store or another lasting key source: see secllama help keys",
    );
  }
  // Whom the issuer has paired is in its file.
  if (config.fleet !== "") return;
  const { clients } = await keys.clients().read();
  if (clients.some((client) => client.revoked === null)) return;
  // The first client by words needs a gateway to come to.
  if (await new PairingOffers(new ManifestFile(dataDir), keys).anyOpen()) return;
  throw refuse(
    "no client is paired, so nobody could use it",
    `pair one first: secllama pair NAME --url https://HOST:${config.port}`,
  );
}

async function ownCertificate(config: Config) {
  if ((config.tlsCert === "") !== (config.tlsKey === "")) {
    throw new SecLlamaError("bad-config", "--tls-cert and --tls-key go together", {
      field: config.tlsCert === "" ? "--tls-cert" : "--tls-key",
      hint: `give ${config.tlsCert === "" ? "--tls-cert" : "--tls-key"} too, or neither`,
    });
  }
  return config.tlsCert === ""
    ? undefined
    : await readCertificate(config.tlsCert, config.tlsKey, new Date());
}

const urlExample = ({ port }: Config) => `for instance: --url https://gateway.lan:${port}`;

function defaultUrl(config: Config): string {
  const host = bare(config.host);
  const name = config.names[0] ??
    (isLoopbackHost(host) || WILDCARDS.includes(host) ? undefined : host);
  if (name !== undefined) return `https://${inUrl(name)}:${config.port}`;
  throw new SecLlamaError("usage", "--url is needed: where the other machine finds this gateway", {
    field: "--url",
    hint: urlExample(config),
  });
}

function checked(config: Config): readonly string[] {
  const bad = config.names.find((name) => !isHostName(name));
  if (bad === undefined) return config.names;
  throw new SecLlamaError("bad-config", `${bad} is not a host name or address`, {
    field: "--name",
    hint: "as clients write it, without scheme and port: --name gateway.lan,192.0.2.7",
  });
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "").toLowerCase();
}
