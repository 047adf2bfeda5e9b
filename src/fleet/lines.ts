/** The two lines by which a host and its issuer get to know each other. Neither is a secret. */
import {
  type Bytes,
  concat,
  fromBase64Url,
  fromHex,
  toBase64Url,
  toHex,
  utf8,
  utf8Decode,
} from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { FleetPin } from "../sealed/member.ts";
import { isBundleKey } from "./record.ts";

/** What `secllama fleet init` prints and each host takes: whose word counts. */
export function encodePin({ fid, issuer }: FleetPin): string {
  return `secllama-fleet-1.${toBase64Url(concat(fid, issuer))}`;
}

/** Reads it. @throws {SecLlamaError} `usage`. */
export function parsePin(text: string): FleetPin {
  const [, body] = /^secllama-fleet-1\.([A-Za-z0-9_-]{64})$/.exec(text.trim()) ?? [];
  if (body === undefined) {
    throw new SecLlamaError(
      "usage",
      "that is not a fleet's line: it begins with secllama-fleet-1.",
      {
        hint: "on the issuer, run: secllama fleet init",
      },
    );
  }
  const bytes = fromBase64Url(body);
  return { fid: bytes.slice(0, 16), issuer: bytes.slice(16) };
}

/** What a host asks to be enrolled with. */
export interface Enrolment {
  readonly label: string;
  readonly hid: Bytes;
  /** Records are sealed to it. */
  readonly pk: Bytes;
  /** The public key of its audit log, Ed25519. */
  readonly audit: Bytes;
  /** The public key by which NATS knows it, `U…`. */
  readonly nats: string;
}

const NATS_USER = /^U[A-Z2-7]{55}$/;

/** The line that `secllama fleet join` prints. */
export function encodeEnrolment({ label, hid, pk, audit, nats }: Enrolment): string {
  const bytes = { pk: toBase64Url(pk), audit: toBase64Url(audit) };
  const json = JSON.stringify({ label, hid: toHex(hid), ...bytes, nats });
  return `secllama-host-1.${toBase64Url(utf8(json))}`;
}

/** Reads it. @throws {SecLlamaError} `usage`. */
export async function parseEnrolment(text: string, isLabel: RegExp): Promise<Enrolment> {
  try {
    const [, body] = /^secllama-host-1\.([A-Za-z0-9_-]{1,4096})$/.exec(text.trim())!;
    const { label, hid, pk, audit, nats } = JSON.parse(utf8Decode(fromBase64Url(body!)));
    const enrolment = {
      ...{ label, hid: fromHex(hid), nats },
      ...{ pk: fromBase64Url(pk), audit: fromBase64Url(audit) },
    };
    if (
      isLabel.test(enrolment.label) && enrolment.hid.length === 16 &&
      enrolment.audit.length === 32 && NATS_USER.test(nats) &&
      await isBundleKey(enrolment.pk)
    ) return enrolment;
  } catch { /* said below */ }
  throw new SecLlamaError("usage", "that is not a host's line: it begins with secllama-host-1.", {
    hint: "on the host, run: secllama fleet join",
  });
}
