/** Paths of the metrics listener, which serves nothing else: they are no routes of gateway or proxy. */
export const METRICS_PATHS = { health: "/healthz", ready: "/readyz", metrics: "/metrics" } as const;
/** Where an OpenTelemetry collector takes logs, by OTLP over HTTP. */
export const OTLP_LOGS_PATH = "/v1/logs";
