/** Why a request was answered with `misconfigured`, for the host's log: who asks is not told. */
import { isHostsFault, type SecLlamaError } from "../errors.ts";
import { label, type Logger, sentence } from "../log.ts";

/** Logs the text of an error that a setting is to blame for; of another one nothing. */
export function logMisconfigured(logger: Logger, error: SecLlamaError): void {
  if (!isHostsFault(error)) return;
  const { field = "", message } = error;
  logger.error("misconfigured", { setting: label(field), why: sentence(message) });
}
