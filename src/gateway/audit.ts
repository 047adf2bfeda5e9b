/** What the gateway records of the exchanges that it serves, where the settings ask for a record. It knows metadata only. */
import type { CallTerms } from "../api/call_terms.ts";
import type { ErrorCode, SecLlamaError } from "../errors.ts";
import { label, type LogFields } from "../log.ts";
import { settlesWithin } from "../pause.ts";
import type { Exchange } from "../pipe/exchange.ts";
import type { UsedTokens } from "../api/pipe_messages.ts";
import type { ReceiptWord } from "../supervisor/runner_process.ts";
import type { LoadedModel } from "../supervisor/supervisor.ts";
import type { Ending } from "./relay.ts";

/** Where lines go. */
export interface GatewayAudit {
  /** Whether an exchange may begin. @throws {SecLlamaError} `audit-failed`: its line could not be written. */
  admit(): Promise<void>;
  /** Writes a line. @throws {SecLlamaError} `audit-failed`. */
  record(event: GatewayEvent, fields: LogFields): Promise<void>;
  /**
   * Somebody was turned away. Bounded: a stranger cannot fill the log.
   * @param who Fields on who it was, where that is known.
   */
  refused(code: ErrorCode, who?: LogFields): void;
  /** An error was the answer to a request, for who counts. */
  answered?(code: ErrorCode): void;
  /** A line that is still to come, of an exchange that is over: the log is not closed before it. */
  later?(line: Promise<void>): void;
  /** How long a reply took, for who measures. @param model Its name with the tag. */
  timed?(model: string, tokens: UsedTokens): void;
}

/** What the gateway records. */
export type GatewayEvent =
  | "exchange"
  | "client-paired"
  | "client-changed"
  | "client-revoked"
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

/** An exchange, as far as its line goes. */
interface Recorded {
  /** Who it is: fields of the line. */
  readonly who: LogFields;
  readonly model: LoadedModel;
  readonly kind: "sealed" | "plain";
  /** What its runner says of it; grows. */
  readonly used: Readonly<SaidOfExchange>;
}

/** What a runner says of an exchange. */
interface SaidOfExchange extends UsedTokens {
  /** Resolves once it has said what tokens it cost. */
  readonly told: Promise<void>;
  /** Where its client wants one. */
  readonly receipt?: ReceiptWord | undefined;
  /** Why its client's role did not let it; undefined: it did. */
  readonly refused?: ErrorCode | undefined;
}

/** Results of an exchange that was broken off here: its runner says only then what it cost. */
const BROKEN_OFF_HERE: readonly string[] = [
  "client-gone",
  "token-refused",
  "key-corrupt",
  "key-io",
];
/** So long its line waits for that, ms. */
const TOLD_MS = 1_000;

/** A sealed refusal is shorter; a runner that has answered at length did not refuse. */
const MOST_OF_A_REFUSAL = 8 << 10;

/**
 * What the gateway writes down as an exchange's result. A runner's word that it refused is taken for what its reply may be: one
 * that has given an answer cannot say so, which would not count the request.
 */
export function resultOf(used: Readonly<SaidOfExchange>, end: Ending): string {
  return end.bytesOut <= MOST_OF_A_REFUSAL ? used.refused ?? end.result : end.result;
}

/**
 * What the exchange costs, as its runner says; grows.
 * @param terms What the runner was told of the client's role; undefined: there is nothing that it could refuse by.
 * @param told Called with each part.
 */
export function countUsed(
  { audit }: { audit?: GatewayAudit | undefined },
  model: LoadedModel,
  exchange: Exchange,
  terms?: CallTerms,
  told?: (tokens: number) => void,
): Readonly<SaidOfExchange> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const said = {
    told: promise,
    prompt: 0,
    reply: 0,
    receipt: undefined as ReceiptWord | undefined,
    refused: undefined as ErrorCode | undefined,
  };
  model.runner.onSaid(exchange, {
    used(tokens) {
      const { prompt, reply } = tokens;
      said.prompt += prompt;
      said.reply += reply;
      resolve();
      told?.(prompt + reply);
      audit?.timed?.(model.name, tokens);
    },
    receipt: (word) => said.receipt = word,
    refused(code) {
      if (terms?.kinds !== undefined) said.refused = code;
    },
  });
  return said;
}

function receiptFields(word: ReceiptWord | undefined): LogFields {
  if (word === undefined) return {};
  const { id, request, reply } = word;
  return { receipt: label(id), request_mac: label(request), reply_mac: label(reply) };
}

/** What {@link relay} calls before an exchange's last bytes; undefined: nothing is recorded. */
export function recordedExchange(
  { audit }: { audit?: GatewayAudit | undefined },
  { who, model, kind, used }: Recorded,
): { ending?: (ending: Ending) => Promise<void> } {
  if (audit === undefined) return {};
  const started = performance.now();
  return {
    async ending(end) {
      const { bytesIn, bytesOut } = end;
      const result = resultOf(used, end);
      if (used.refused !== undefined && result === used.refused) {
        audit.refused(used.refused, who);
        audit.answered?.(used.refused);
      }
      const ms = Math.round(performance.now() - started);
      const write = () =>
        audit.record("exchange", {
          kind: label(kind),
          ...who,
          model: label(model.name),
          digest: label(model.digest),
          isolation: label(model.isolation.level),
          bytes_in: bytesIn,
          bytes_out: bytesOut,
          tokens_in: used.prompt,
          tokens_out: used.reply,
          ms,
          result: label(result),
          ...receiptFields(used.receipt),
        });
      if (!BROKEN_OFF_HERE.includes(result)) return await write();
      // Nobody waits for it. That it could not be written, the next one is told.
      const line = settlesWithin(used.told, TOLD_MS).then(write).catch(() => {});
      audit.later?.(line);
    },
  };
}
