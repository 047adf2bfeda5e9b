/** What a setting is, and all of them together as a program reads them. */
import type { LogLevel } from "../../log.ts";
import type {
  AuditSetting,
  CacheType,
  CompletionsSetting,
  EngineSetting,
  GpuSetting,
  SyslogServer,
} from "../field_values.ts";
import type { HostEntry } from "../hosts.ts";
import type { ListenAt } from "../listen_at.ts";

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
  /** Tokens of context, the most that a request gets; 0: as model and memory allow. */
  readonly contextLength: number;
  /** Threads of inference; 0: one less than there are cores. */
  readonly threads: number;
  /** How the cache of the context is kept. */
  readonly kvCache: CacheType;
  readonly gpu: GpuSetting;
  /** A folder of llama.cpp's libraries with a GPU backend; empty: none. */
  readonly gpuLibraries: string;
  /** A folder of another release of llama.cpp's libraries for the own engine; empty: those that it carries. */
  readonly engineLibraries: string;
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
  /** Whether the proxy lets in only who shows an API token; null: nobody said it. */
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
  /** The default as a person writes it, where its value does not say it. */
  readonly shown?: string;
  readonly help: string;
  parse(text: string, field: string): Config[K];
}

/** A row, with its types held against the setting that it is. */
export function field<K extends keyof Config>(row: Field<K>): Field<K> {
  return row;
}
