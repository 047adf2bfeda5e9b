/** Metrics of `serve`, and whether it is well, on a listener of its own: `/metrics`, `/healthz`, `/readyz`. Off by default. */
import { METRICS_TYPE } from "../api/media_types.ts";
import { METRICS_PATHS } from "../api/metrics_paths.ts";
import { listenerRules } from "../api/listener_rules.ts";
import { errorResponse } from "../api/errors.ts";
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import { Counter, gauge, Histogram } from "../firm/metrics.ts";
import type { GatewayAudit } from "../gateway/audit.ts";
import type { Activity } from "../gateway/activity.ts";
import { serveHardened } from "../http/mod.ts";
import type { KeySource } from "../keys/mod.ts";
import type { LogFields, Logger } from "../log.ts";
import type { ModelStore } from "../models/store.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { VERSION } from "../version.ts";
import type { ServeAudit } from "./audit.ts";
import { notReady } from "./readiness.ts";
import type { Shutdown } from "./shutdown.ts";

const SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** What is measured. */
interface Measured {
  readonly supervisor: Supervisor;
  readonly models: ModelStore;
  readonly keys: KeySource;
  readonly activity: Activity;
  readonly audit: ServeAudit | undefined;
  readonly fleet: { readonly isFresh: boolean } | undefined;
}

/** Counts what the gateway records, and passes it on to the audit log, if there is one. */
export class Metrics implements GatewayAudit {
  readonly #next: GatewayAudit | undefined;
  readonly #exchanges = new Counter(
    "secllama_exchanges_total",
    "Requests that ended, by model, kind and result.",
  );
  readonly #seconds = new Histogram(
    "secllama_exchange_seconds",
    "From a request's first byte at the gateway to its reply's last.",
    SECONDS,
  );
  readonly #bytes = new Counter("secllama_bytes_total", "Bytes of requests and replies, sealed.");
  readonly #tokens = new Counter(
    "secllama_tokens_total",
    "Tokens of prompts and replies, as the runners say.",
  );
  readonly #refused = new Counter("secllama_refused_total", "Who was turned away, by code.");

  constructor(next: GatewayAudit | undefined) {
    this.#next = next;
  }

  async admit(): Promise<void> {
    await this.#next?.admit();
  }

  async record(event: Parameters<GatewayAudit["record"]>[0], fields: LogFields): Promise<void> {
    if (event === "exchange") {
      const [model, kind, result] = [fields["model"], fields["kind"], fields["result"]].map(String);
      this.#exchanges.add({ model: model!, kind: kind!, result: result! });
      this.#seconds.observe({ model: model! }, Number(fields["ms"]) / 1000);
      this.#bytes.add({ direction: "in" }, Number(fields["bytes_in"]));
      this.#bytes.add({ direction: "out" }, Number(fields["bytes_out"]));
      this.#tokens.add({ model: model!, direction: "in" }, Number(fields["tokens_in"]));
      this.#tokens.add({ model: model!, direction: "out" }, Number(fields["tokens_out"]));
    }
    await this.#next?.record(event, fields);
  }

  refused(code: ErrorCode, who?: LogFields): void {
    this.#refused.add({ code });
    this.#next?.refused(code, who);
  }

  /** All of it, with what is now. */
  async text(measured: Measured): Promise<string> {
    const { supervisor, keys, activity } = measured;
    const loaded = supervisor.loaded();
    const { createdMs } = keys.active;
    const problems = await notReady(measured);
    return [
      ...this.#exchanges.lines(),
      ...this.#seconds.lines(),
      ...this.#bytes.lines(),
      ...this.#tokens.lines(),
      ...this.#refused.lines(),
      ...gauge("secllama_build_info", "Always 1; the version is its label.", [[{
        version: VERSION,
      }, 1]]),
      ...gauge("secllama_start_time_seconds", "When serve started, unix time.", [[
        {},
        activity.startedMs / 1000,
      ]]),
      ...gauge("secllama_ready", "1 if requests are answered; /readyz says why not.", [[
        {},
        problems.length === 0 ? 1 : 0,
      ]]),
      ...gauge(
        "secllama_active_exchanges",
        "Exchanges under way, by loaded model.",
        loaded.map(({ name, active }) => [{ model: name }, active]),
      ),
      ...gauge(
        "secllama_isolation_strict",
        "1 if a runner's isolation was measured as strict.",
        loaded.map((
          { name, isolation },
        ) => [{ model: name }, isolation.level === "strict" ? 1 : 0]),
      ),
      ...gauge("secllama_clients_paired", "Machines that are paired.", [[{}, supervisor.paired]]),
      ...gauge(
        "secllama_key_age_seconds",
        "Age of the active key, where it is known.",
        createdMs === null ? [] : [[{}, (Date.now() - createdMs) / 1000]],
      ),
      "",
    ].join("\n");
  }
}

/**
 * Listens where the settings say. Loopback only: it asks for no token.
 * @throws {SecLlamaError} `port-in-use`, `address-unavailable`.
 */
export async function openMetrics(
  metrics: Metrics,
  measured: Measured,
  { port, logger, shutdown }: { port: number; logger: Logger; shutdown: Shutdown },
): Promise<string> {
  const server = await serveHardened({
    hostname: "127.0.0.1",
    port,
    rules: listenerRules(),
    logger,
    signal: shutdown.signal,
    async handler(request) {
      const path = new URL(request.url).pathname;
      if (request.method !== "GET") {
        return errorResponse(new SecLlamaError("method-not-allowed", "GET only"), path);
      }
      if (path === METRICS_PATHS.health) return new Response("ok\n");
      if (path === METRICS_PATHS.ready) {
        const problems = await notReady(measured);
        const status = problems.length === 0 ? 200 : 503;
        return new Response([...(status === 200 ? ["ready"] : problems), ""].join("\n"), {
          status,
        });
      }
      if (path === METRICS_PATHS.metrics) {
        return new Response(await metrics.text(measured), {
          headers: { "content-type": METRICS_TYPE },
        });
      }
      return errorResponse(new SecLlamaError("not-found", "not found"), path);
    },
  });
  shutdown.addEntrance(() => server.finished);
  return `http://127.0.0.1:${server.addr.port}/metrics`;
}
