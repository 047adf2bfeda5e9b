/** Why a gateway that is there cannot be used: its certificate. Read from what Deno (rustls) and Node (OpenSSL) say. */

/** What is wrong with it, and how to go on. */
interface CertificateFault {
  readonly what: string;
  readonly hint: string;
  /** Nobody who is trusted vouches for it. */
  readonly isStranger?: true;
}

const FAULTS: readonly (readonly [says: RegExp, CertificateFault])[] = [
  [/CaUsedAsEndEntity/, {
    what: "it is an authority's certificate, not a server's",
    hint:
      "on the host, make one with: openssl req -x509 … -addext basicConstraints=critical,CA:FALSE",
  }],
  [/not ?valid for ?name|ALTNAME_INVALID/i, {
    what: "it is of another name",
    hint: "use the name that the certificate has, or make one that has this name: serve --tls-cert",
  }],
  [/not ?valid ?yet|CERT_NOT_YET_VALID/i, {
    what: "it is not valid yet",
    hint: "compare this machine's clock with the host's",
  }],
  [/certificate:? expired|CERT_HAS_EXPIRED/i, {
    what: "it has expired",
    hint:
      "on the host, renew it; if it has not expired, compare this machine's clock with the host's",
  }],
  [/UnknownIssuer|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)|BadSignature/, {
    what: "nobody who is trusted here vouches for it",
    hint:
      "it may have been renewed: pair this machine anew; if it was not, this is another machine",
    isStranger: true,
  }],
  [/invalid peer certificate|\bCERT_/, {
    what: "it cannot be verified",
    hint: "on the host, see what it is: openssl x509 -noout -text -in FILE",
  }],
];

/** Of the error that a fetch threw, by its messages and codes to the bottom; undefined: that is not what was wrong. */
export function certificateFault(error: unknown): CertificateFault | undefined {
  let text = "";
  for (let at = error, deep = 0; at instanceof Error && deep < 8; at = at.cause, deep++) {
    text += `${at.message} ${(at as { code?: unknown }).code ?? ""}\n`;
  }
  return FAULTS.find(([says]) => says.test(text))?.[1];
}

/** A sentence for an error's message. */
export function cannotReach(gateway: string, fault: CertificateFault | undefined): string {
  return fault === undefined
    ? `cannot reach the gateway at ${gateway}`
    : `the certificate of the gateway at ${gateway} is refused: ${fault.what}`;
}
