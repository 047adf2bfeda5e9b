/** Why a request was answered with what says no more than a code, for the host's log: who asks is not told. */
import { isHostsFault, isOfThisHost, type SecLlamaError } from "../errors.ts";
import { label, type Logger, sentence } from "../log.ts";

/** Logs the text of an error that a setting, a file or a disk of this host is to blame for; of another one nothing. */
export function logMisconfigured(logger: Logger, error: SecLlamaError): void {
  const { code, field = "", message, hint = "" } = error;
  if (!isOfThisHost(error)) return;
  if (isHostsFault(error)) {
    logger.error("misconfigured", { setting: label(field), why: sentence(message) });
  } else {
    logger.error(code, { why: sentence(message), hint: sentence(hint) });
  }
}
