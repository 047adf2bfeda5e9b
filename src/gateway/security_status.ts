/**
 * What a gateway says of itself at `/api/security/status`: the document that clients, `secllama status` and `secllama doctor` read.
 * Everything in it was measured or is a setting in force; nothing is content.
 */
import { SecLlamaError } from "../errors.ts";
import type { GpuStatus } from "../supervisor/gpu.ts";
import type { Measured } from "../supervisor/isolation.ts";
import { type GatewayContext, isolationWord } from "./context.ts";

/** One runner as it is measured now. */
interface RunnerStatus extends Measured {
  readonly model: string;
  readonly state: string;
  readonly gpu: string;
}

/** The document. */
export interface SecurityStatus {
  readonly schema: 1;
  readonly version: string;
  readonly encryption: {
    readonly enabled: boolean;
    readonly format: string;
    readonly plaintext_requests: "refused" | "served";
  };
  readonly isolation: {
    readonly level: string;
    readonly sandbox: boolean;
    readonly strict: boolean;
  };
  readonly model_management: string;
  /** Whether people sign in: `off`, `on`, or `device` where an ID token that names no key of theirs is let in too. */
  readonly sign_in: string;
  /** Whether a record is kept: `on`, `off`, or `lenient` where what cannot be recorded is served all the same. */
  readonly audit: string;
  /** Whom the proxy of this machine lets in besides this machine's programs; null: not told to other machines. */
  readonly proxy: {
    /** Origins of web pages. */
    readonly pages: readonly string[];
    /** What clients may call it besides localhost. */
    readonly names: readonly string[];
  } | null;
  readonly gpu: GpuStatus;
  readonly key: {
    readonly backend: string;
    readonly kid: string;
    /** Unix ms; null for a key that came from outside. */
    readonly created_ms: number | null;
    /** What its user should know, one line each; null: not told to other machines. */
    readonly warnings: readonly string[] | null;
  };
  readonly process: {
    readonly pid: number;
    /** Unix ms. */
    readonly started_ms: number;
  };
  /** Who is paired, and who showed a key since the start, latest first; null: not told to other machines. */
  readonly clients: {
    readonly paired: number;
    readonly seen: readonly {
      /** First 8 digits. */
      readonly id: string;
      readonly name: string;
      readonly last_seen_ms: number;
    }[];
  } | null;
  /** The last warnings and errors of the gateway's log, by their names, the oldest first; null: not told to other machines. */
  readonly recent_warnings:
    | null
    | readonly {
      readonly event: string;
      readonly count: number;
      readonly last_ms: number;
    }[];
  readonly runners: readonly RunnerStatus[];
}

/** Of the settings in force those that let more in, besides encryption and sandbox. */
export function weakenings(
  { audit, oidcIssuer, oidcDevice, proxyAllowedOrigins, proxyAllowedHosts }:
    GatewayContext["config"],
  managed: boolean,
  remote: boolean,
): Pick<SecurityStatus, "audit" | "model_management" | "proxy" | "sign_in"> {
  return {
    model_management: managed ? "on, for this user on loopback" : "off",
    audit,
    sign_in: oidcIssuer === "" ? "off" : oidcDevice ? "device" : "on",
    proxy: remote ? null : { pages: proxyAllowedOrigins, names: proxyAllowedHosts },
  };
}

/** The status now. */
export function securityStatus(context: GatewayContext): SecurityStatus {
  const { config, supervisor, activity } = context;
  return {
    schema: 1,
    version: context.version,
    encryption: {
      enabled: config.enableEncryption,
      format: "sealed/1",
      plaintext_requests: config.enableEncryption ? "refused" : "served",
    },
    isolation: {
      level: isolationWord(context),
      sandbox: config.enableSandbox,
      strict: config.strictNetworkIsolation,
    },
    ...weakenings(config, context.management !== undefined, context.remote),
    gpu: supervisor.gpu.status(),
    key: {
      backend: context.keys.backend,
      kid: context.keys.active.kid,
      created_ms: context.keys.active.createdMs,
      warnings: context.remote ? null : context.keys.warnings,
    },
    process: { pid: Deno.pid, started_ms: activity.startedMs },
    clients: context.remote ? null : clientsOf(context),
    recent_warnings: context.remote ? null : activity.warnings(),
    runners: supervisor.loaded().map((model) => ({
      model: model.name,
      state: model.runner.state,
      gpu: model.gpu,
      ...model.isolation.measureNow(),
    })),
  };
}

function clientsOf({ activity, supervisor }: GatewayContext): SecurityStatus["clients"] {
  return {
    paired: supervisor.keys.paired,
    seen: activity.clients().map(({ id, lastSeenMs }) => ({
      id: id.slice(0, 8),
      name: supervisor.keys.clientName(id) ?? "revoked",
      last_seen_ms: lastSeenMs,
    })),
  };
}

/**
 * Reads the document of a gateway that is this user's own: what is missing is told, nothing else is checked.
 * @throws {SecLlamaError} `not-supported` if it is another version's.
 */
export function readSecurityStatus(value: unknown): SecurityStatus {
  const { schema, encryption, isolation, runners, process } = Object(value) as Record<
    string,
    unknown
  >;
  const known = schema === 1 && Array.isArray(runners) &&
    [encryption, isolation, process].every((part) => part !== null && typeof part === "object");
  if (known) return value as SecurityStatus;
  throw new SecLlamaError(
    "not-supported",
    "the running SecLlama is of another version: its status cannot be read",
    { hint: "end it and start it anew with this program: secllama serve" },
  );
}
