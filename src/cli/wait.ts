/** `secllama wait`: returns when the proxy answers, for scripts that did not start it themselves. */
import { parseDurationMs } from "../config/duration.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
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
    const { config } = await readSettings(context);
    const timeoutMs = parseDurationMs(
      stringOption(context, "timeout") ?? DEFAULT_TIMEOUT,
      "--timeout",
    );
    const url = `http://${askedProxy(config)}`;
    const deadline = performance.now() + timeoutMs;
    while (!context.signal.aborted) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        throw new SecLlamaError("gateway-unreachable", `no proxy answers on ${url.slice(7)}`, {
          hint: "to start one, run: secllama serve",
        });
      }
      try {
        const signal = AbortSignal.any([context.signal, AbortSignal.timeout(leftMs)]);
        const response = await fetch(`${url}/api/version`, { signal });
        await response.body?.cancel();
        if (response.ok) return EXIT.ok;
      } catch { /* not there yet */ }
      await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_MS, leftMs)));
    }
    throw new SecLlamaError("cancelled", "cancelled");
  },
};
