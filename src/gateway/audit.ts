/** What the gateway records of the exchanges that it serves, where the settings ask for a record. It knows metadata only. */
import type { ErrorCode, SecLlamaError } from "../errors.ts";
import { label, type LogFields } from "../log.ts";
import type { LoadedModel, Supervisor } from "../supervisor/supervisor.ts";
import type { Ending } from "./relay.ts";

/** Where lines go. */
export interface GatewayAudit {
  /** Whether an exchange may begin. @throws {SecLlamaError} `audit-failed`: its line could not be written. */
  admit(): Promise<void>;
  /** Writes a line. @throws {SecLlamaError} `audit-failed`. */
  record(event: GatewayEvent, fields: LogFields): Promise<void>;
  /** Somebody was turned away. Bounded: a stranger cannot fill the log. */
  refused(code: ErrorCode): void;
}

/** What the gateway records. */
export type GatewayEvent =
  | "exchange"
  | "client-paired"
  | "model-pulled"
  | "model-created"
  | "model-copied"
  | "model-removed";

/** Refusals that say who tried to get in. */
const REFUSALS: readonly ErrorCode[] = [
  "auth",
  "plaintext-refused",
  "origin-refused",
  "host-refused",
  "peer-refused",
  "management-refused",
  "remote-refused",
  "pairing-refused",
];

/** Notes an error that turned somebody away. */
export function noteRefusal(audit: GatewayAudit | undefined, { code }: SecLlamaError): void {
  if (REFUSALS.includes(code)) audit?.refused(code);
}

/** What {@link relay} calls before an exchange's last bytes; undefined: nothing is recorded. */
export function recordedExchange(
  { audit, supervisor }: { audit?: GatewayAudit | undefined; supervisor: Supervisor },
  { pskId, model, kind }: { pskId: string; model: LoadedModel; kind: "sealed" | "plain" },
): { ending?: (ending: Ending) => Promise<void> } {
  if (audit === undefined) return {};
  const started = performance.now();
  return {
    ending: ({ result, bytesIn, bytesOut }) =>
      audit.record("exchange", {
        kind: label(kind),
        ...clientFields(pskId, supervisor),
        model: label(model.name),
        digest: label(model.digest),
        isolation: label(model.isolation.level),
        bytes_in: bytesIn,
        bytes_out: bytesOut,
        ms: Math.round(performance.now() - started),
        result: label(result),
      }),
  };
}

/** Who it is: `client.KID.ID` of a paired one, else this machine's own programs. */
function clientFields(pskId: string, supervisor: Supervisor): LogFields {
  const [kind, , id] = pskId.split(".");
  if (kind !== "client" || id === undefined) return { client: label(kind ?? "") };
  return {
    client: label(supervisor.clientName(id) ?? "revoked"),
    client_id: label(id.slice(0, 8)),
  };
}
