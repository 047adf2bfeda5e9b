/**
 * The client's side of pairing by ten words (docs/wire.md). Two connections: the first says nothing and learns the gateway's
 * certificates; one of them must have the fingerprint of the words. The second trusts that certificate, and must lead to it.
 * Only then the one-time secret is sent, and what comes back is sealed to a key that was made for it.
 *
 * Deno only: a page cannot see certificates. Why not one connection: who does not verify a certificate does not verify either
 * that the other side has its key, and the chain of a gateway is public.
 */
import { cannotReach, certificateFault } from "./certificate_fault.ts";
import { X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import {
  PAIRING_INFO,
  PAIRING_SUITE,
  pairingAad,
  pairingFingerprint,
  type PairingWords,
} from "../api/pairing_words.ts";
import { collect } from "../api/body.ts";
import { readError } from "../api/errors.ts";
import { JSON_TYPE } from "../api/media_types.ts";
import { ROUTES } from "../api/routes.ts";
import { equalConstantTime, fromBase64Url, toBase64Url, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { toPem } from "../pem.ts";
import { suiteById } from "../sealed/suite.ts";
import { secret } from "../secret.ts";
import type { Pairing } from "./pairing.ts";
import { encodePairing, parsePairing } from "./pairing.ts";

const DEFAULT_PORT = 443;
/** Certificates of a chain that are looked at. */
const MAX_CHAIN = 8;
/** The answer has some 2 KiB, its head less than one. */
const MAX_ANSWER = 64 * 1024;

/**
 * Pairs with the gateway that shows `words`.
 * @param gateway Where it is; https.
 * @param signal Ends it, and both connections.
 * @param authorities Certificates in PEM that are trusted besides those that the runtime brings.
 * @returns The new pairing, as the long string would give it.
 * @throws {SecLlamaError} `pairing-refused` if it is another gateway, or does not know the words; `gateway-unreachable`, also
 * if it answers too late; `cancelled`; `bad-pairing` for an address that cannot be.
 */
export async function pairByWords(
  words: PairingWords,
  gateway: URL,
  signal: AbortSignal,
  authorities: () => Promise<string[]> = () => Promise.resolve([]),
): Promise<Pairing> {
  if (gateway.protocol !== "https:") {
    throw new SecLlamaError("bad-pairing", "ten words pair over https only", {
      hint: "give the address that the host shows, as in: https://gateway.lan:11435",
    });
  }
  try {
    return await pairWith(words, gateway, { signal, authorities });
  } catch (error) {
    throw signal.aborted ? brokenOff(gateway, signal.reason) : error;
  }
}

async function pairWith(
  words: PairingWords,
  gateway: URL,
  { signal, authorities }: { signal: AbortSignal; authorities: () => Promise<string[]> },
): Promise<Pairing> {
  const pinned = await findPinned(words, gateway, signal);
  const own = pinned.subject === pinned.issuer;
  const pem = toPem("CERTIFICATE", new Uint8Array(pinned.raw));
  const ca = own ? [pem] : await authorities();
  const socket = await open(gateway, { signal, rejectUnauthorized: true, ca });
  try {
    // The system's authorities are trusted beside the pinned one: what they vouch for is no gateway of these words.
    const leaf = chainOf(socket)[0];
    if (leaf === undefined || !isOf(leaf, pinned)) throw anotherGateway(gateway);
    const credentials = await exchange(socket, words, gateway);
    return { url: gateway.href, ...credentials, ...(own ? { certificate: pem } : {}) };
  } finally {
    socket.destroy();
  }
}

/** The certificate of the words' fingerprint, of those that the gateway shows. Says nothing to it. */
async function findPinned(
  { fingerprint }: PairingWords,
  gateway: URL,
  signal: AbortSignal,
): Promise<X509Certificate> {
  const socket = await open(gateway, { signal, rejectUnauthorized: false });
  const chain = chainOf(socket);
  socket.destroy();
  for (const certificate of chain) {
    const found = await pairingFingerprint(new Uint8Array(certificate.raw));
    if (equalConstantTime(found, fingerprint)) return certificate;
  }
  throw anotherGateway(gateway);
}

function isOf(leaf: X509Certificate, pinned: X509Certificate): boolean {
  return leaf.fingerprint256 === pinned.fingerprint256 ||
    leaf.checkIssued(pinned) && leaf.verify(pinned.publicKey);
}

function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let at = socket.getPeerCertificate(true);
  while (at?.raw && chain.length < MAX_CHAIN) {
    chain.push(new X509Certificate(at.raw));
    if (at.issuerCertificate === at) break;
    at = at.issuerCertificate;
  }
  return chain;
}

function open(
  gateway: URL,
  // Always said: the default is what NODE_TLS_REJECT_UNAUTHORIZED in the environment says.
  { signal, ...options }: { signal: AbortSignal; ca?: string[]; rejectUnauthorized: boolean },
): Promise<TLSSocket> {
  const host = gateway.hostname.replace(/^\[|\]$/g, "");
  const port = Number(gateway.port) || DEFAULT_PORT;
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect({ host, port, ...options });
  const stop = () => {
    socket.destroy();
    reject(signal.reason);
  };
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  socket.once("secureConnect", () => resolve(socket));
  socket.on("error", (cause: Error & { code?: string }) => {
    // The first connection stood: the second fails for its certificate, or because the network went.
    const isNetwork = !options.rejectUnauthorized ||
      /ECONN|EHOST|ENET|ETIME/.test(cause.code ?? "");
    reject(isNetwork ? unreachable(gateway, cause) : anotherGateway(gateway, cause));
  });
  return promise.finally(() => {
    if (signal.aborted) socket.destroy();
  });
}

/**
 * HTTP by hand: `fetch` opens connections of its own, and this one is the one that was looked at. Version 1.0, so that the answer
 * is not in chunks and ends with the connection.
 */
async function exchange(
  socket: TLSSocket,
  words: PairingWords,
  gateway: URL,
): Promise<Pick<Pairing, "pskId" | "psk" | "hid">> {
  const { hpke } = suiteById(PAIRING_SUITE);
  const pair = await hpke.kem.GenerateKeyPair(false);
  const pk = await hpke.kem.SerializePublicKey(pair.publicKey);
  using body = secret(
    utf8(JSON.stringify({ secret: toBase64Url(words.secret), pk: toBase64Url(pk) })),
  );
  const path = new URL(ROUTES.pairing.path.slice(1), gateway.href.replace(/\/?$/, "/")).pathname;
  socket.write(
    `POST ${path} HTTP/1.0\r\nHost: ${gateway.host}\r\nContent-Type: ${JSON_TYPE}\r\n` +
      `Content-Length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  const response = await readResponse(socket);
  if (!response.ok) throw await readError(response);
  try {
    const { sealed } = await response.json();
    const bytes = fromBase64Url(sealed);
    const length = bytes[0]! << 8 | bytes[1]!;
    const enc = bytes.slice(2, 2 + length);
    const context = await hpke.setupRecipient(pair, enc, { info: PAIRING_INFO });
    using json = secret(await context.open(bytes.slice(2 + length), pairingAad(words)));
    const { psk_id, psk, hid } = JSON.parse(utf8Decode(json));
    // Checked by the one reader of pairings.
    const text = encodePairing({
      url: gateway.href,
      pskId: psk_id,
      psk: fromBase64Url(psk),
      hid: fromBase64Url(hid),
    });
    return parsePairing(text);
  } catch (cause) {
    throw new SecLlamaError("downgrade", "the gateway's answer to the pairing is none", {
      hint: "is secllama of the same version on both machines? Then pair anew: secllama pair NAME",
      cause,
    });
  }
}

/** Reads to the end of the connection. */
async function readResponse(socket: TLSSocket): Promise<Response> {
  const bytes = await collect(socket, MAX_ANSWER);
  const text = new TextDecoder("latin1").decode(bytes);
  const end = text.indexOf("\r\n\r\n");
  const status = /^HTTP\/1\.[01] (200|[45]\d\d)[ \r]/.exec(text)?.[1];
  if (end < 0 || status === undefined) {
    throw new SecLlamaError("truncated", "the gateway did not answer to the pairing");
  }
  return new Response(bytes.slice(end + 4), { status: Number(status) });
}

function anotherGateway(gateway: URL, cause?: unknown): SecLlamaError {
  return new SecLlamaError(
    "pairing-refused",
    `what answers at ${gateway.host} is not the gateway that shows these words; nothing was sent`,
    {
      hint: "compare words and address with what the host shows; if they are right, something " +
        "between the two machines opens TLS: pair by the long string, secllama pair NAME --string",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function unreachable(gateway: URL, cause: unknown): SecLlamaError {
  const fault = certificateFault(cause);
  return new SecLlamaError("gateway-unreachable", cannotReach(gateway.host, fault), {
    hint: fault?.hint ??
      "it must run beyond loopback: on the host, run: secllama serve --host 0.0.0.0",
    cause,
  });
}

/** @param reason Of the signal. */
function brokenOff(gateway: URL, reason: unknown): SecLlamaError {
  return reason instanceof DOMException && reason.name === "TimeoutError"
    ? unreachable(gateway, reason)
    : new SecLlamaError("cancelled", "the pairing was broken off", { cause: reason });
}
