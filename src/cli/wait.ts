/** `secllama wait`: returns when the proxy answers, for scripts that did not start it themselves. */
import { parseDurationMs } from "../config/duration.ts";
import { ROUTES } from "../api/routes.ts";
import { askLocalProxy, type LocalProxy } from "../app/local_proxy.ts";
import { EXIT, SecLlamaError, toSecLlamaError } from "../errors.ts";
import { type Command, stringOption } from "./command.ts";
import { ASKED_PROXY_OPTION, askedProxy, readSettings } from "./settings.ts";

const DEFAULT_TIMEOUT = "60s";
const POLL_MS = 50;

export const waitCommand: Command = {
  path: ["wait"],
  summary: "Wait until the proxy of a running serve answers",
  options: {
    ...ASKED_PROXY_OPTION,
    timeout: {
      type: "string",
      value: "DURATION",
      help: `how long to wait (default ${DEFAULT_TIMEOUT})`,
    },
  },
  details: `Exit code 0 when it answers, 5 when the time is over. Whoever starts serve itself uses
serve --ready-fd, which needs no polling and also tells a serve that failed.`,
  async run(context) {
    const proxy = askedProxy(await readSettings(context), context);
    const timeoutMs = parseDurationMs(
      stringOption(context, "timeout") ?? DEFAULT_TIMEOUT,
      "--timeout",
    );
    const deadline = performance.now() + timeoutMs;
    let last: unknown;
    while (!context.signal.aborted) {
      const leftMs = Math.max(1, deadline - performance.now());
      try {
        const signal = AbortSignal.any([context.signal, AbortSignal.timeout(leftMs)]);
        const answer = await askLocalProxy(proxy, {
          method: "GET",
          path: ROUTES.version.path,
          signal,
        });
        await answer.body?.cancel();
        if (answer.ok) return EXIT.ok;
      } catch (error) {
        // Not there yet; or another program is in its place, which may go. Which of the two is said in the end.
        // The last try is cut short by the end of the time: the one before it knew why.
        if (last === undefined || toSecLlamaError(error).code !== "cancelled") last = error;
        if (performance.now() >= deadline) throw lastWord(proxy, last);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new SecLlamaError("cancelled", "cancelled");
  },
};

function lastWord({ hostname, port }: LocalProxy, error: unknown): SecLlamaError {
  if (error instanceof SecLlamaError && error.code === "peer-refused") return error;
  return new SecLlamaError("gateway-unreachable", `no proxy answers on ${hostname}:${port}`, {
    hint: "to start one, run: secllama serve",
    cause: error,
  });
}
