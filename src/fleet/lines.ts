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
  const line = joined(text);
  const [, body] = /^secllama-fleet-1\.([A-Za-z0-9_-]{64})$/.exec(line) ?? [];
  if (body === undefined) throw noLine(line, "fleet");
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
  const line = joined(text);
  try {
    const [, body] = /^secllama-host-1\.([A-Za-z0-9_-]{1,4096})$/.exec(line)!;
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
  throw noLine(line, "host");
}

/** A terminal or a mail may have broken the line. */
function joined(text: string): string {
  return text.replace(/\s+/g, "");
}

/** Where each line comes from, and who takes it. */
const LINES = {
  fleet: { comes: "on the issuer, run: secllama fleet init", taker: "secllama fleet join" },
  host: { comes: "on the host, run: secllama fleet join", taker: "secllama fleet enrol" },
} as const;

/** What is wrong with a line that is none: nothing of it is repeated. */
function noLine(line: string, wanted: keyof typeof LINES): SecLlamaError {
  const hint = LINES[wanted].comes;
  const [, kind, version] = /^secllama-(fleet|host)-(\d{1,6})\./.exec(line) ?? [];
  const usage = (message: string, hint: string) => new SecLlamaError("usage", message, { hint });
  if (kind !== wanted) {
    const other = kind === "fleet" || kind === "host" ? `, and that is a ${kind}'s` : "";
    return usage(
      `${
        LINES[wanted].taker
      } takes a ${wanted}'s line, which begins with secllama-${wanted}-1.${other}`,
      other === "" ? hint : `that one is for: ${LINES[kind as keyof typeof LINES].taker}; ${hint}`,
    );
  }
  if (version !== "1") {
    return usage(
      `that ${wanted}'s line is of another version of SecLlama`,
      "use the same version on all machines",
    );
  }
  return usage(
    `that ${wanted}'s line is not whole, or was changed on its way`,
    `copy all of it, in one piece; to have it again, ${hint}`,
  );
}
