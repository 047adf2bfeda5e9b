/** Why a request was answered with `misconfigured` or `limits-failed`, for the host's log: who asks is not told. */
import { isHostsFault, type SecLlamaError } from "../errors.ts";
import { label, type Logger, sentence } from "../log.ts";

/** Logs the text of an error that a setting or the file of counts is to blame for; of another one nothing. */
export function logMisconfigured(logger: Logger, error: SecLlamaError): void {
  const { code, field = "", message, hint = "" } = error;
  if (code === "limits-failed") {
    logger.error(code, { why: sentence(message), hint: sentence(hint) });
  }
  if (!isHostsFault(error)) return;
  logger.error("misconfigured", { setting: label(field), why: sentence(message) });
}
