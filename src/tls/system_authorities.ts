/**
 * The authorities that this system trusts. The runtime brings Mozilla's and looks at no others: a firm's own, which signs for its
 * servers, is where its administrator put it for every program.
 */
import { readAtMost } from "../read_up_to.ts";

/** One file has all of them: Debian and Alpine, Fedora and Red Hat, SUSE, the BSDs and macOS (there Apple's own only). */
const FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];
const MAX_BYTES = 4 * 2 ** 20;

/**
 * Where they may be. On Windows these paths are below a drive's root, where every user may make folders: whoever did would be
 * trusted.
 */
export function authorityFiles(os: typeof Deno.build.os = Deno.build.os): readonly string[] {
  return os === "windows" ? [] : FILES;
}

/**
 * Certificates in PEM, for the runtime's `caCerts`; none where the system has no such file. What is no certificate is left out: one of
 * them would spoil every connection.
 * @param files Looked at in this order, the first that is there counts.
 */
export async function systemAuthorities(files = authorityFiles()): Promise<string[]> {
  for (const file of files) {
    try {
      // Between the certificates there may be names, in any encoding.
      const text = new TextDecoder().decode(await readAtMost(file, MAX_BYTES));
      const all = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
      return areTaken(all) ? all : all.filter((one) => areTaken([one]));
    } catch { /* One that cannot be read vouches for nobody. */ }
  }
  return [];
}

/**
 * Who may vouch for a gateway, besides those that the runtime brings: the certificate that came with its pairing, or else those that
 * the system trusts.
 * @param certificate PEM.
 */
export async function gatewayAuthorities(certificate: string | undefined): Promise<string[]> {
  return certificate === undefined ? await systemAuthorities() : [certificate];
}

/** A `fetch` that trusts them as well as those that the runtime brings. */
export async function systemFetch(files?: readonly string[]): Promise<typeof fetch> {
  const caCerts = await systemAuthorities(files);
  const client = Deno.createHttpClient({ caCerts });
  const trusting = (input: string | URL | Request, init?: RequestInit) =>
    fetch(input, { ...init, client });
  return trusting as typeof fetch;
}

/** By the runtime, which is the one that is given them. */
function areTaken(caCerts: string[]): boolean {
  try {
    Deno.createHttpClient({ caCerts }).close();
    return true;
  } catch {
    return false;
  }
}
