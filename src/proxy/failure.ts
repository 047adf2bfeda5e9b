/** Why something failed, for the proxy's log: a file of this host's, or a fault of ours. Why a gateway refused is in its own log. */
import type { SecLlamaError } from "../errors.ts";
import { logMisconfigured } from "../http/mod.ts";
import { label, type Logger } from "../log.ts";

/** Logs one line, with the error's code; of what who asked did wrong none. */
export function logFailure(logger: Logger, error: SecLlamaError): void {
  if (error.code === "internal" && !error.isAnswer) {
    logger.error("proxy-error", { cause: label((error.cause as Error)?.name ?? "") });
  }
  logMisconfigured(logger, error);
}
