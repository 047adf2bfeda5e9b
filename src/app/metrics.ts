/** Metrics of `serve`, and whether it is well, on a listener of its own: `/metrics`, `/healthz`, `/readyz`. Off by default. */
import { METRICS_TYPE } from "../api/media_types.ts";
import { METRICS_PATHS } from "../api/metrics_paths.ts";
import type { UsedTokens } from "../api/pipe_messages.ts";
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
import type { LoadedModel } from "../supervisor/loaded_model.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { VERSION } from "../version.ts";
import type { AuditLag, ServeAudit } from "./audit.ts";
import type { ServeLimits } from "./limits.ts";
import { notReady } from "./readiness.ts";
import type { Shutdown } from "./shutdown.ts";

const SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const TOKEN_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** What is measured. */
interface Measured {
  readonly supervisor: Supervisor;
  readonly models: ModelStore;
  readonly keys: KeySource;
  readonly activity: Activity;
  readonly audit: ServeAudit | undefined;
  readonly limits: ServeLimits;
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
  readonly #first = new Histogram(
    "secllama_first_token_seconds",
    "From a request's opening in its runner to the first token of its reply, as the runners say.",
    SECONDS,
  );
  readonly #token = new Histogram(
    "secllama_token_seconds",
    "Between two tokens of a reply, the mean of each reply, as the runners say.",
    TOKEN_SECONDS,
  );
  readonly #loads = new Counter(
    "secllama_model_loads_total",
    "Runners that were started, by model and result: loaded, or the code of what failed.",
  );
  readonly #loadSeconds = new Histogram(
    "secllama_model_load_seconds",
    "From the start of a runner until it answers.",
    SECONDS,
  );
  readonly #refused = new Counter(
    "secllama_refused_total",
    "Requests that were answered with an error, by its code.",
  );

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
    this.#next?.refused(code, who);
  }

  answered(code: ErrorCode): void {
    this.#refused.add({ code });
  }

  later(line: Promise<void>): void {
    this.#next?.later?.(line);
  }

  timed(model: string, { reply, firstMs, restMs }: UsedTokens): void {
    if (firstMs !== undefined) this.#first.observe({ model }, firstMs / 1000);
    if (restMs !== undefined && reply > 1) {
      this.#token.observe({ model }, restMs / (reply - 1) / 1000);
    }
  }

  /** A model was loaded, or was not. */
  loaded(event: "model-loaded" | "model-refused" | "isolation-failed", fields: LogFields): void {
    const model = String(fields["model"]);
    const failed = event === "model-loaded" ? undefined : String(fields["code"] ?? event);
    this.#loads.add({ model, result: failed ?? "loaded" });
    if (failed === undefined) {
      this.#loadSeconds.observe({ model }, Number(fields["load_ms"]) / 1000);
    }
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
      ...this.#first.lines(),
      ...this.#token.lines(),
      ...this.#loads.lines(),
      ...this.#loadSeconds.lines(),
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
        joined(loaded, ({ name, active }) => [{ model: name }, active], sum),
      ),
      ...gauge(
        "secllama_queued_exchanges",
        "Exchanges that wait for a place, by loaded model.",
        joined(loaded, ({ name, queued }) => [{ model: name }, queued], sum),
      ),
      ...gauge(
        "secllama_load_waiting",
        "Loads of a model that wait for room or for another load.",
        [[{}, supervisor.waiting]],
      ),
      ...gauge(
        "secllama_isolation_level",
        "Always 1; the level that was measured of a loaded model's runner is a label.",
        joined(
          loaded,
          ({ name, isolation }) => [{ model: name, level: isolation.level }, 1],
          Math.max,
        ),
      ),
      ...auditLines(measured.audit?.lag()),
      ...gauge(
        "secllama_isolation_strict",
        "1 if a runner's isolation was measured as strict.",
        joined(
          loaded,
          ({ name, isolation }) => [{ model: name }, isolation.level === "strict" ? 1 : 0],
          Math.min,
        ),
      ),
      ...gauge("secllama_clients_paired", "Machines that are paired.", [[
        {},
        supervisor.keys.paired,
      ]]),
      ...gauge(
        "secllama_key_age_seconds",
        "Age of the active key, where it is known.",
        createdMs === null ? [] : [[{}, (Date.now() - createdMs) / 1000]],
      ),
      "",
    ].join("\n");
  }
}

const sum = (a: number, b: number) => a + b;

/** One sample for each set of labels: a model may be loaded anew while its runner of before ends what it has begun. */
function joined(
  loaded: readonly LoadedModel[],
  sample: (model: LoadedModel) => readonly [{ readonly [label: string]: string }, number],
  join: (a: number, b: number) => number,
): (readonly [{ readonly [label: string]: string }, number])[] {
  const samples = new Map<string, ReturnType<typeof sample>>();
  for (const model of loaded) {
    const [labels, value] = sample(model);
    const key = JSON.stringify(labels);
    const before = samples.get(key);
    samples.set(key, [labels, before === undefined ? value : join(before[1], value)]);
  }
  return [...samples.values()];
}

function* auditLines(lag: AuditLag | undefined): Generator<string> {
  if (lag === undefined) return;
  yield* gauge("secllama_audit_lines", "Lines of the audit log.", [[{}, lag.lines]]);
  yield* gauge(
    "secllama_audit_lag_lines",
    "Lines that wait: to be signed, or to be sent to a sink.",
    [
      [{ to: "head" }, lag.unsigned],
      ...lag.sinks.map(({ name, waiting }) => [{ to: name }, waiting] as const),
    ],
  );
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
