/**
 * The settings as a table: one row each, with its name in the config file, its environment variable, its flag, its default
 * and its parser. Help, the README's table and the parsers are all made from it.
 */
import { HOST_LABEL } from "../api/runner_name.ts";
import type { LogLevel } from "../log.ts";
import { parseDurationMs } from "./duration.ts";
import {
  audit,
  AUDITS,
  type AuditSetting,
  bad,
  bool,
  CACHE_TYPES,
  type CacheType,
  cacheType,
  COMPLETIONS,
  completions,
  type CompletionsSetting,
  engine,
  ENGINES,
  type EngineSetting,
  fullPath,
  fullPaths,
  gpu,
  GPUS,
  type GpuSetting,
  groupName,
  groupRoles,
  host,
  hosts,
  integer,
  issuer,
  keepAlive,
  LOG_LEVELS,
  logLevel,
  modelNames,
  names,
  origins,
  otlpCollector,
  size,
  type SyslogServer,
  syslogServer,
} from "./field_values.ts";
import type { HostEntry } from "./hosts.ts";
import { type ListenAt, listenAt, socketMode } from "./listen_at.ts";

export interface Config {
  readonly host: string;
  readonly port: number;
  readonly proxyPort: number;
  readonly enableEncryption: boolean;
  readonly enableSandbox: boolean;
  readonly strictNetworkIsolation: boolean;
  /** How long an idle model stays loaded, in milliseconds; Infinity: until it is unloaded. */
  readonly keepAliveMs: number;
  readonly maxLoadedModels: number;
  /** Memory of all loaded models together, in bytes; 0: nine tenths of the machine's. */
  readonly maxMemoryBytes: number;
  /** Requests one model works on at once. */
  readonly parallel: number;
  /** Requests that may wait for a slot, per model. */
  readonly maxQueue: number;
  /** Tokens per slot; 0: the model's own, at most 4096. */
  readonly contextLength: number;
  /** Threads of inference; 0: one per core. */
  readonly threads: number;
  /** How the cache of the context is kept. */
  readonly kvCache: CacheType;
  readonly gpu: GpuSetting;
  /** A folder of llama.cpp's libraries with a GPU backend; empty: none. */
  readonly gpuLibraries: string;
  /** What computes models: `none` is the own engine. */
  readonly engine: EngineSetting;
  /** Its program; empty: there is none. */
  readonly enginePath: string;
  /** Files and folders that it reads besides its own libraries. */
  readonly engineFiles: readonly string[];
  /** The models that it computes; none named: all. */
  readonly engineModels: readonly string[];
  readonly loadTimeoutMs: number;
  /** How long a runner may be silent before it is replaced. */
  readonly runnerTimeoutMs: number;
  readonly logLevel: LogLevel;
  /** Age of the active key past which a rotation is asked for. */
  readonly keyMaxAgeDays: number;
  /** Origins of web pages that may send sealed requests, as browsers write them. */
  readonly allowedOrigins: readonly string[];
  /** Origins of web pages that may use the proxy, as browsers write them. */
  readonly proxyAllowedOrigins: readonly string[];
  /** Names that clients may use for the proxy besides the loopback ones. */
  readonly proxyAllowedHosts: readonly string[];
  /** Registries to pull models from; none by default. */
  readonly registries: readonly HostEntry[];
  /** Hosts that a registry may send a pull to for the files. */
  readonly registryBlobHosts: readonly HostEntry[];
  /** A file of certificates, PEM, to trust for registries besides the usual ones; empty: none. */
  readonly registryCa: string;
  /** Of all files of a pulled model, in bytes. */
  readonly maxModelBytes: number;
  /** Nothing is fetched from anywhere. */
  readonly offline: boolean;
  /** Pull, create, copy and delete over the API, for clients on loopback. */
  readonly allowModelManagement: boolean;
  /** Names and addresses that clients use for this gateway, besides the one it listens on. */
  readonly names: readonly string[];
  /** PEM files of a certificate and key of the operator's own; empty: the gateway's own authority. */
  readonly tlsCert: string;
  readonly tlsKey: string;
  /** How long a paired client is accepted under a key that was rotated away. */
  readonly clientGraceMs: number;
  /** An existing Ollama store to read models from, never written; empty: none. */
  readonly ollamaModels: string;
  /** Port of the metrics on loopback; 0: there are none. */
  readonly metricsPort: number;
  /** Whether the proxy lets in only who shows an API token. */
  /** null: nobody said it. */
  readonly requireToken: boolean | null;
  readonly oidcIssuer: string;
  readonly oidcClientId: string;
  readonly oidcRoles: readonly (readonly [group: string, role: string])[];
  readonly oidcDevice: boolean;
  readonly oidcGroupsClaim: string;
  readonly oidcSessionMs: number;
  /** What balancers know this host by, in `Secllama-Runner`; empty: nothing. */
  readonly hostLabel: string;
  /** By what this host serves a fleet's clients: a file, or `tls://` servers of NATS; empty: it belongs to none. */
  readonly fleet: string;
  /** PEM file of the authority of these servers; empty: the system's. */
  readonly fleetCa: string;
  /** Whether the issuer may ask this host to pull models. */
  readonly fleetPulls: boolean;
  /** How long what is under way may take when `serve` is told to end. */
  readonly drainMs: number;
  /** How the prompts of `/v1/completions` are taken. */
  readonly completions: CompletionsSetting;
  /** A file that says which models may be loaded; empty: all. */
  readonly modelPolicy: string;
  /** Where the proxy listens besides loopback. */
  readonly proxyListen: ListenAt | null;
  /** Mode of the proxy's Unix socket. */
  readonly proxyListenMode: number;
  /** Group of the proxy's Unix socket; empty: that of the process. */
  readonly proxyListenGroup: string;
  /** Whether a record is kept of who did what, and whether it must be. */
  readonly audit: AuditSetting;
  /** Where the record's lines go besides. */
  readonly auditSyslog: SyslogServer | null;
  readonly auditOtlp: string;
}

export interface Field<K extends keyof Config = keyof Config> {
  readonly name: K;
  readonly env: string;
  readonly flag?: string;
  /** The flag alone means true. */
  readonly switch?: true;
  readonly value: string;
  /** All that the value may be, where that is a list. */
  readonly choices?: readonly string[];
  readonly default: Config[K];
  readonly help: string;
  parse(text: string, field: string): Config[K];
}

function field<K extends keyof Config>(row: Field<K>): Field<K> {
  return row;
}

export const FIELDS = [
  field({
    name: "enableEncryption",
    env: "SECLLAMA_ENABLE_ENCRYPTION",
    value: "true|false",
    default: true,
    help: "refuse plaintext inference on the gateway's port",
    parse: bool,
  }),
  field({
    name: "enableSandbox",
    env: "SECLLAMA_ENABLE_SANDBOX",
    value: "true|false",
    default: true,
    help: "run models in the sandbox; false is for debugging only",
    parse: bool,
  }),
  field({
    name: "strictNetworkIsolation",
    env: "SECLLAMA_STRICT_NETWORK_ISOLATION",
    value: "true|false",
    default: true,
    help: "refuse to serve unless the isolation is measured as enforced",
    parse: bool,
  }),
  field({
    name: "host",
    env: "SECLLAMA_HOST",
    flag: "host",
    value: "ADDRESS",
    default: "127.0.0.1",
    help: "address the gateway listens on",
    parse: host,
  }),
  field({
    name: "port",
    env: "SECLLAMA_PORT",
    flag: "port",
    value: "PORT",
    default: 11435,
    help: "port of the gateway; 0 takes a free one",
    parse: integer(0, 65535),
  }),
  field({
    name: "proxyPort",
    env: "SECLLAMA_PROXY_PORT",
    flag: "proxy-port",
    value: "PORT",
    default: 11434,
    help: "port of the loopback proxy; 0 takes a free one",
    parse: integer(0, 65535),
  }),
  field({
    name: "keepAliveMs",
    env: "SECLLAMA_KEEP_ALIVE",
    flag: "keep-alive",
    value: "DURATION",
    default: 300_000,
    help: "how long an idle model stays loaded: 5m, 1h, 0, forever",
    parse: keepAlive,
  }),
  field({
    name: "maxLoadedModels",
    env: "SECLLAMA_MAX_LOADED_MODELS",
    flag: "max-loaded-models",
    value: "N",
    default: 3,
    help: "models loaded at once; the least recently used idle one makes room",
    parse: integer(1, 64),
  }),
  field({
    name: "maxMemoryBytes",
    env: "SECLLAMA_MAX_MEMORY",
    flag: "max-memory",
    value: "SIZE",
    default: 0,
    help: "memory of all loaded models, by estimate: 8G, 512M; 0: nine tenths of the machine's",
    parse: size,
  }),
  field({
    name: "parallel",
    env: "SECLLAMA_NUM_PARALLEL",
    flag: "parallel",
    value: "N",
    default: 4,
    help: "requests one model works on at once",
    parse: integer(1, 64),
  }),
  field({
    name: "maxQueue",
    env: "SECLLAMA_MAX_QUEUE",
    flag: "max-queue",
    value: "N",
    default: 512,
    help: "requests that may wait per model before 503",
    parse: integer(0, 4000),
  }),
  field({
    name: "contextLength",
    env: "SECLLAMA_CONTEXT_LENGTH",
    flag: "context-length",
    value: "TOKENS",
    default: 0,
    help: "tokens of context, the most a request gets; 0: as model and memory allow",
    parse: integer(0, 1_048_576),
  }),
  field({
    name: "completions",
    env: "SECLLAMA_COMPLETIONS",
    flag: "completions",
    value: "raw|template",
    choices: COMPLETIONS,
    default: "raw",
    help: "a prompt of /v1/completions: taken as it is, or a user's message, as in Ollama",
    parse: completions,
  }),
  field({
    name: "threads",
    env: "SECLLAMA_THREADS",
    flag: "threads",
    value: "N",
    default: 0,
    help: "threads of inference; 0: one less than there are cores",
    parse: integer(0, 512),
  }),
  field({
    name: "kvCache",
    env: "SECLLAMA_KV_CACHE",
    flag: "kv-cache",
    value: "f16|q8_0",
    choices: CACHE_TYPES,
    default: "f16",
    help:
      "type of the context's cache: q8_0 takes half of the memory, where a model's heads allow it",
    parse: cacheType,
  }),
  field({
    name: "gpu",
    env: "SECLLAMA_GPU",
    flag: "gpu",
    value: "auto|off|VENDOR",
    choices: GPUS,
    default: "auto",
    help:
      "GPU of inference, inside the sandbox: nvidia, amd, intel or metal; one that fails there " +
      "means the processor",
    parse: gpu,
  }),
  field({
    name: "gpuLibraries",
    env: "SECLLAMA_GPU_LIBRARIES",
    flag: "gpu-libraries",
    value: "FOLDER",
    default: "",
    help: "the pinned llama.cpp build with CUDA or Vulkan; see secllama help gpu",
    parse: fullPath,
  }),
  field({
    name: "engine",
    env: "SECLLAMA_ENGINE",
    flag: "engine",
    value: "none|llama-server|vllm",
    choices: ENGINES,
    default: "none",
    help:
      "another engine, inside the models' sandbox; isolation is then `engine`: see secllama help engines",
    parse: engine,
  }),
  field({
    name: "enginePath",
    env: "SECLLAMA_ENGINE_PATH",
    flag: "engine-path",
    value: "FILE",
    default: "",
    help: "that engine's program",
    parse: fullPath,
  }),
  field({
    name: "engineFiles",
    env: "SECLLAMA_ENGINE_FILES",
    flag: "engine-files",
    value: "PATH:PATH",
    default: [],
    help: "what that engine reads besides the libraries that its program names",
    parse: fullPaths,
  }),
  field({
    name: "engineModels",
    env: "SECLLAMA_ENGINE_MODELS",
    flag: "engine-models",
    value: "NAME,NAME",
    default: [],
    help: "models that it computes; the others are the own engine's. Default: all",
    parse: modelNames,
  }),
  field({
    name: "loadTimeoutMs",
    env: "SECLLAMA_LOAD_TIMEOUT",
    value: "DURATION",
    default: 300_000,
    help: "how long a model may take to load",
    parse: parseDurationMs,
  }),
  field({
    name: "runnerTimeoutMs",
    env: "SECLLAMA_RUNNER_TIMEOUT",
    value: "DURATION",
    default: 30_000,
    help: "how long a runner may be silent before it is replaced",
    parse(text, name) {
      const ms = parseDurationMs(text, name);
      if (ms < 100) throw bad(name, "at least 100ms");
      return ms;
    },
  }),
  field({
    name: "keyMaxAgeDays",
    env: "SECLLAMA_KEY_MAX_AGE_DAYS",
    value: "DAYS",
    default: 90,
    help: "age of the key past which serve and key status ask for a rotation; 0: never",
    parse: integer(0, 3650),
  }),
  field({
    name: "logLevel",
    env: "SECLLAMA_LOG_LEVEL",
    flag: "log-level",
    value: "LEVEL",
    choices: LOG_LEVELS,
    default: "warn",
    help: "debug, info, warn or error, as JSON lines on standard error",
    parse: logLevel,
  }),
  field({
    name: "allowedOrigins",
    env: "SECLLAMA_ALLOWED_ORIGINS",
    flag: "allow-origin",
    value: "ORIGIN,…",
    default: [],
    help: "web pages that may send sealed requests to the gateway, each by its exact origin",
    parse: origins,
  }),
  field({
    name: "proxyAllowedOrigins",
    env: "SECLLAMA_PROXY_ALLOWED_ORIGINS",
    flag: "proxy-allow-origin",
    value: "ORIGIN,…",
    default: [],
    help: "web pages that may use the proxy as your programs do, each by its exact origin",
    parse: origins,
  }),
  field({
    name: "proxyAllowedHosts",
    env: "SECLLAMA_PROXY_ALLOWED_HOSTS",
    flag: "proxy-allow-host",
    value: "NAME,…",
    default: [],
    help: "names besides localhost that clients may use for the proxy: host.docker.internal",
    parse: names,
  }),
  field({
    name: "registries",
    env: "SECLLAMA_REGISTRIES",
    value: "HOST,…",
    default: [],
    help: "registries to pull models from; HOST+private may be at a private address",
    parse: hosts,
  }),
  field({
    name: "registryBlobHosts",
    env: "SECLLAMA_REGISTRY_BLOB_HOSTS",
    value: "HOST,…",
    default: [],
    help: "hosts that a registry may send a pull to for the files",
    parse: hosts,
  }),
  field({
    name: "registryCa",
    env: "SECLLAMA_REGISTRY_CA",
    value: "FILE",
    default: "",
    help: "certificates (PEM) to trust for registries besides the usual ones",
    parse: fullPath,
  }),
  field({
    name: "maxModelBytes",
    env: "SECLLAMA_MAX_MODEL_SIZE",
    value: "SIZE",
    default: 2 ** 40,
    help: "largest model that is pulled or uploaded: 40G, 1T",
    parse: size,
  }),
  field({
    name: "offline",
    env: "SECLLAMA_OFFLINE",
    flag: "offline",
    switch: true,
    value: "true|false",
    default: false,
    help: "fetch nothing from anywhere: pull is refused",
    parse: bool,
  }),
  field({
    name: "allowModelManagement",
    env: "SECLLAMA_ALLOW_MODEL_MANAGEMENT",
    flag: "allow-model-management",
    switch: true,
    value: "true|false",
    default: false,
    help: "take pull, create, copy and delete over the API, from this machine's clients",
    parse: bool,
  }),
  field({
    name: "names",
    env: "SECLLAMA_NAMES",
    flag: "name",
    value: "NAME,…",
    default: [],
    help: "names and addresses that other machines use for this gateway",
    parse: names,
  }),
  field({
    name: "tlsCert",
    env: "SECLLAMA_TLS_CERT",
    flag: "tls-cert",
    value: "FILE",
    default: "",
    help: "a PEM certificate of your own; without it the gateway makes one when it needs it",
    parse: fullPath,
  }),
  field({
    name: "tlsKey",
    env: "SECLLAMA_TLS_KEY",
    flag: "tls-key",
    value: "FILE",
    default: "",
    help: "the PEM private key of --tls-cert",
    parse: fullPath,
  }),
  field({
    name: "clientGraceMs",
    env: "SECLLAMA_CLIENT_GRACE",
    value: "DURATION",
    default: 30 * 86_400_000,
    help: "how long a paired client may use its old key after a rotation; 0: not at all",
    parse: (text, name) => text === "0" ? 0 : parseDurationMs(text, name),
  }),
  field({
    name: "ollamaModels",
    env: "OLLAMA_MODELS",
    flag: "ollama-models",
    value: "FOLDER",
    default: "",
    help: "an existing Ollama model store to read from, never written",
    parse: fullPath,
  }),
  field({
    name: "modelPolicy",
    env: "SECLLAMA_MODEL_POLICY",
    value: "FILE",
    default: "",
    help: "a file that says which models may be loaded, by digest or by who signed them",
    parse: fullPath,
  }),
  field({
    name: "metricsPort",
    env: "SECLLAMA_METRICS_PORT",
    value: "PORT",
    default: 0,
    help: "port on loopback of /metrics (Prometheus), /healthz and /readyz; 0: none",
    parse: integer(0, 65535),
  }),
  field({
    name: "requireToken",
    env: "SECLLAMA_REQUIRE_TOKEN",
    value: "true|false",
    default: null,
    help: "the proxy answers programs that show an API token only: secllama token create",
    parse: bool,
  }),
  field({
    name: "oidcIssuer",
    env: "SECLLAMA_OIDC_ISSUER",
    value: "URL",
    default: "",
    help: "the identity provider by which people sign in: secllama login",
    parse: issuer,
  }),
  field({
    name: "oidcClientId",
    env: "SECLLAMA_OIDC_CLIENT_ID",
    value: "ID",
    default: "secllama",
    help: "what SecLlama is called there",
    parse: (text) => text,
  }),
  field({
    name: "oidcRoles",
    env: "SECLLAMA_OIDC_ROLES",
    value: "GROUP=ROLE,…",
    default: [],
    help: "which groups may come, and their roles; the first that fits; * is everybody",
    parse: groupRoles,
  }),
  field({
    name: "oidcDevice",
    env: "SECLLAMA_OIDC_DEVICE",
    value: "true|false",
    default: false,
    help: "people may sign in by a code for another device: such a token names no key of theirs",
    parse: bool,
  }),
  field({
    name: "oidcGroupsClaim",
    env: "SECLLAMA_OIDC_GROUPS_CLAIM",
    value: "NAME",
    default: "groups",
    help: "the claim of an ID token that has the groups",
    parse: (text) => text,
  }),
  field({
    name: "oidcSessionMs",
    env: "SECLLAMA_OIDC_SESSION",
    value: "DURATION",
    default: 3_600_000,
    help: "how long who signed in may come without a newer ID token",
    parse: parseDurationMs,
  }),
  field({
    name: "hostLabel",
    env: "SECLLAMA_HOST_LABEL",
    flag: "host-label",
    value: "LABEL",
    default: "",
    help: "what a balancer knows this host by, in the header Secllama-Runner",
    parse(text, name) {
      if (text !== "" && !HOST_LABEL.test(text)) {
        throw bad(name, "letters, digits and dashes in lower case, at most 63: gpu-1");
      }
      return text;
    },
  }),
  field({
    name: "fleet",
    env: "SECLLAMA_FLEET",
    flag: "fleet",
    value: "FROM",
    default: "",
    help:
      "serve the clients of a fleet: its issuer's file for this host, or tls://SERVER:4222,… of NATS",
    parse: (text, name) => text.startsWith("tls://") ? text : fullPath(text, name),
  }),
  field({
    name: "fleetCa",
    env: "SECLLAMA_FLEET_CA",
    flag: "fleet-ca",
    value: "FILE",
    default: "",
    help: "PEM of the authority of the fleet's NATS servers",
    parse: fullPath,
  }),
  field({
    name: "fleetPulls",
    env: "SECLLAMA_FLEET_PULLS",
    flag: "fleet-pulls",
    switch: true,
    value: "true|false",
    default: false,
    help: "pull what the fleet's issuer asks for, from the registries that this host lists",
    parse: bool,
  }),
  field({
    name: "drainMs",
    env: "SECLLAMA_DRAIN_TIME",
    value: "DURATION",
    default: 3_000,
    help: "how long answers under way may take when serve is told to end",
    parse: (text, name) => text === "0" ? 0 : parseDurationMs(text, name),
  }),
  field({
    name: "proxyListen",
    env: "SECLLAMA_PROXY_LISTEN",
    flag: "listen",
    value: "ADDRESS|unix:PATH",
    default: null,
    help: "where the proxy listens besides loopback, for who shows a token: over TLS, or a socket",
    parse: listenAt,
  }),
  field({
    name: "proxyListenMode",
    env: "SECLLAMA_PROXY_LISTEN_MODE",
    flag: "listen-mode",
    value: "MODE",
    default: 0o660,
    help: "mode of that socket, as chmod has it: 660, or 600 for this user alone",
    parse: socketMode,
  }),
  field({
    name: "proxyListenGroup",
    env: "SECLLAMA_PROXY_LISTEN_GROUP",
    flag: "listen-group",
    value: "GROUP",
    default: "",
    help: "group of that socket, a name or a number",
    parse: groupName,
  }),
  field({
    name: "auditSyslog",
    env: "SECLLAMA_AUDIT_SYSLOG",
    value: "tls://HOST:PORT",
    default: null,
    help: "a syslog server that gets the record's lines too; tcp:// on loopback",
    parse: syslogServer,
  }),
  field({
    name: "auditOtlp",
    env: "SECLLAMA_AUDIT_OTLP",
    value: "https://HOST:4318",
    default: "",
    help: "an OpenTelemetry collector that gets the record's lines too; http:// on loopback",
    parse: otlpCollector,
  }),
  field({
    name: "audit",
    env: "SECLLAMA_AUDIT",
    value: "off|on|lenient",
    choices: AUDITS,
    default: "off",
    help:
      "keep a record of who did what; on: what cannot be recorded is not served; lenient: it is",
    parse: audit,
  }),
] as const;

/** Variables that other parts read: known here so that every other `SECLLAMA_*` is an error. */
export const OTHER_ENV = [
  "SECLLAMA_DATA_DIR",
  "SECLLAMA_CONFIG",
  "SECLLAMA_KEY",
  "SECLLAMA_PROFILE",
] as const;

/** Whether an environment variable is one of ours. */
export function isSetting(variable: string): boolean {
  return FIELDS.some(({ env }) => env === variable);
}
