/** A certificate and key that the operator brought: `--tls-cert` and `--tls-key`, PEM. */
import { X509Certificate } from "node:crypto";
import { SecLlamaError } from "../errors.ts";
import { FileTooLong, readAtMost } from "../read_up_to.ts";
import type { TlsCredentials } from "./authority.ts";
import { addressOfName, isHostName } from "./names.ts";

/** A chain of some hundred certificates. */
const MAX_BYTES = 2 ** 20;

interface OwnCertificate extends TlsCredentials {
  /** DNS names without wildcards, and addresses, that it is for. */
  readonly names: readonly string[];
  /** Whether it is signed by its own key, so that clients can only trust it by being given it. */
  readonly selfSigned: boolean;
  /** What is worth a warning, one line each. */
  readonly warnings: readonly string[];
}

/** @throws {SecLlamaError} `bad-config` if a file cannot be read, is not PEM, or the two do not belong together. */
export async function readCertificate(
  certPath: string,
  keyPath: string,
  now: Date,
): Promise<OwnCertificate> {
  const [cert, key] = [await text(certPath, "--tls-cert"), await text(keyPath, "--tls-key")];
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(cert);
  } catch (cause) {
    throw bad("--tls-cert", "holds no certificate", cause);
  }
  if (!/-----BEGIN (EC |RSA )?PRIVATE KEY-----/.test(key)) {
    throw bad("--tls-key", "holds no unencrypted private key");
  }
  const from = new Date(x509.validFrom), until = new Date(x509.validTo);
  if (now > until) throw bad("--tls-cert", `ended on ${until.toISOString().slice(0, 10)}`);
  const warnings: string[] = [];
  if (now < from) warnings.push(`the TLS certificate begins on ${from.toISOString().slice(0, 10)}`);
  const info = await Deno.stat(keyPath);
  if (Deno.build.os !== "windows" && (info.mode ?? 0) & 0o077) {
    warnings.push(`others may read the TLS key: run: chmod 600 ${keyPath}`);
  }
  const names = (x509.subjectAltName ?? "").split(", ").flatMap((entry) => {
    const name = /^(?:DNS:|IP Address:)(.+)$/.exec(entry)?.[1]?.toLowerCase();
    return name !== undefined && isHostName(name) ? [name] : [];
  });
  return { cert, key, names, selfSigned: x509.subject === x509.issuer, warnings };
}

/** Whether `name` is among the names, or is an address written in another form. */
export function covers(names: readonly string[], name: string): boolean {
  const address = addressOfName(name)?.toHex();
  return names.some((own) =>
    own === name || (address !== undefined && addressOfName(own)?.toHex() === address)
  );
}

async function text(path: string, option: string): Promise<string> {
  try {
    return new TextDecoder().decode(await readAtMost(path, MAX_BYTES));
  } catch (cause) {
    throw bad(option, cause instanceof FileTooLong ? cause.message : "cannot be read", cause);
  }
}

function bad(option: string, what: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("bad-config", `the file of ${option} ${what}`, {
    field: option,
    hint: "give a certificate (with its chain) and its key as PEM files: --tls-cert and --tls-key",
    ...(cause === undefined ? {} : { cause }),
  });
}
