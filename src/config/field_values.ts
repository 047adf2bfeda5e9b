/** Parsers of the settings' values. Each takes the text and the setting's name, and throws `bad-config` for what it does not know. */
import { ENGINE_KINDS, type EngineKind } from "../api/engine_kinds.ts";
import { OTLP_LOGS_PATH } from "../api/metrics_paths.ts";
import { isLoopbackHost } from "../loopback.ts";
import { SecLlamaError } from "../errors.ts";
import type { LogLevel } from "../log.ts";
import { parseDurationMs } from "./duration.ts";
import { type HostEntry, parseHosts } from "./hosts.ts";
import { isMeantAsServers, parseNatsServers } from "./nats_servers.ts";

/** Type of the cached values of a context: half of the memory, at a little less exactness, with `q8_0`. */
export type CacheType = "f16" | "q8_0";
export type GpuSetting = "auto" | "off" | "nvidia" | "amd" | "intel" | "metal";

/** `on`: what cannot be recorded is not served. `lenient`: it is. */
export type AuditSetting = "off" | "on" | "lenient";

/** The error for a value that is not what it should be. */
export function bad(field: string, wanted: string): SecLlamaError {
  // The value is not repeated: a variable set by mistake may hold a secret.
  return new SecLlamaError("bad-config", `${field} must be ${wanted}`, {
    field,
    hint: "correct it or remove it; for all settings, run: secllama help config",
  });
}

/** Exactly `true` or `false`: a typing mistake must not switch a protection off. */
export function bool(text: string, name: string): boolean {
  if (text === "true") return true;
  if (text === "false") return false;
  throw bad(name, "true or false");
}

/** A whole number within bounds. */
export function integer(min: number, max: number) {
  return (text: string, name: string): number => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (!(value >= min && value <= max)) throw bad(name, `a whole number from ${min} to ${max}`);
    return value;
  };
}

/** `8G`, `512M` (powers of 1024) or bytes; 0. */
export function size(text: string, name: string): number {
  const [, digits, unit] = /^(\d{1,12})([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
  const value = Number(digits) * 1024 ** " KMGT".indexOf(unit?.toUpperCase() || " ");
  if (!Number.isSafeInteger(value)) throw bad(name, "a size: 8G, 512M or 0");
  return value;
}

/** A host name or address, which of IPv6 may be in brackets. */
export function host(given: string, name: string): string {
  const text = given.replace(/^\[([0-9A-Fa-f:.]+)\]$/, "$1");
  if (/\/|\[.*\]:/.test(text)) {
    throw bad(name, "a host name or address alone, without http://, port or path");
  }
  if (!/^[0-9A-Za-z.:-]{1,253}$/.test(text)) throw bad(name, "a host name or address");
  // With colons it is an address of IPv6, which has two at least.
  if (/^[^:]+:\d*$/.test(text)) throw bad(name, "a host name or address, without a port");
  return text;
}

/** Names and addresses with commas between. */
export function names(text: string, name: string): readonly string[] {
  const list = text.split(",").map((part) => part.trim().toLowerCase());
  // A letter, digit or the colon of an IPv6 address at both ends; the certificate's own check is stricter.
  if (!list.every((part) => /^[a-z0-9:](?:[a-z0-9.:-]{0,251}[a-z0-9:])?$/.test(part))) {
    throw bad(name, "host names or addresses with commas between, without ports");
  }
  return list;
}

/** A duration; `-1` or `forever`: without end. */
export function keepAlive(text: string, name: string): number {
  return text === "-1" || text === "forever"
    ? Infinity
    : text === "0"
    ? 0
    : parseDurationMs(text, name);
}

/** Exact origins only: a `*`, a path or a missing scheme would let in pages that nobody named. */
export function origins(text: string, name: string): readonly string[] {
  if (text === "") return [];
  return text.split(",").map((part) => {
    const origin = part.trim();
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    if (!url || !/^https?:$/.test(url.protocol) || url.origin !== origin) {
      throw bad(name, "origins as browsers write them, such as https://app.example, comma between");
    }
    return origin;
  });
}

/** Each logs what those after it do, and more. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const satisfies readonly LogLevel[];

/** How much is logged. */
export function logLevel(text: string, name: string): LogLevel {
  const value = LOG_LEVELS.find((level) => level === text);
  if (value === undefined) throw bad(name, "debug, info, warn or error");
  return value;
}

/** What the setting `gpu` may be. */
export const GPUS = ["auto", "off", "nvidia", "amd", "intel", "metal"] as const;

/** Which GPU is used. */
export function gpu(text: string, name: string): GpuSetting {
  const value = GPUS.find((word) => word === text);
  if (value === undefined) throw bad(name, "auto, off, nvidia, amd, intel or metal");
  return value;
}

/** What the setting `kv_cache` may be. */
export const CACHE_TYPES = ["f16", "q8_0"] as const;

/** How the values of the cache are kept. */
export function cacheType(text: string, name: string): CacheType {
  const value = CACHE_TYPES.find((word) => word === text);
  if (value === undefined) throw bad(name, "f16 or q8_0");
  return value;
}

/** An engine of somebody else's, or `none`: the own one. */
export type EngineSetting = "none" | EngineKind;

/** What the setting may be. */
export const ENGINES: readonly EngineSetting[] = ["none", ...ENGINE_KINDS];

/** What computes models. */
export function engine(text: string, name: string): EngineSetting {
  const value = ENGINES.find((word) => word === text);
  if (value === undefined) throw bad(name, ENGINES.join(" or "));
  return value;
}

/** Full paths with colons between. */
export function fullPaths(text: string, name: string): readonly string[] {
  const list = text === "" ? [] : text.split(":");
  const good = (path: string) => /^\/[^\0]*[^/\0]$/.test(path) && !path.split("/").includes("..");
  if (!list.every(good)) throw bad(name, "full paths with colons between");
  return list;
}

/** Names of models, with commas between. */
export function modelNames(text: string, name: string): readonly string[] {
  const list = text === "" ? [] : text.split(",").map((part) => part.trim());
  if (!list.every((part) => /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}$/.test(part))) {
    throw bad(name, "names of models with commas between");
  }
  return list;
}

/** What the setting `audit` may be. */
export const AUDITS = ["off", "on", "lenient"] as const satisfies readonly AuditSetting[];

/** Whether there is an audit log. */
export function audit(text: string, name: string): AuditSetting {
  const value = AUDITS.find((word) => word === text);
  if (value === undefined) throw bad(name, "off, on or lenient");
  return value;
}

/** As it is, control tokens among it; or through the model's template. */
export type CompletionsSetting = "raw" | "template";

/** What the setting `completions` may be. */
export const COMPLETIONS = ["raw", "template"] as const satisfies readonly CompletionsSetting[];

/** How the prompts of `/v1/completions` are taken. */
export function completions(text: string, name: string): CompletionsSetting {
  const value = COMPLETIONS.find((word) => word === text);
  if (value === undefined) throw bad(name, "raw or template");
  return value;
}

/** A full path, or nothing. */
export function fullPath(text: string, name: string): string {
  if (text !== "" && !isFullPath(text)) throw bad(name, "a full path");
  return text;
}

function isFullPath(text: string): boolean {
  return text.startsWith("/") || /^[A-Za-z]:/.test(text);
}

/** Where a host has its fleet's records from: a file, or servers of NATS. */
export function fleetSource(text: string, name: string): string {
  if (isMeantAsServers(text)) return parseNatsServers(text, name).join(",");
  if (text === "" || isFullPath(text)) return text;
  throw bad(name, "a full path, or servers of NATS: tls://nats-1:4222,tls://nats-2:4222");
}

/** A syslog server. */
export interface SyslogServer {
  /** Over TLS, or in the clear on loopback. */
  readonly tls: boolean;
  readonly hostname: string;
  readonly port: number;
}

/** `tls://host:6514`, or `tcp://127.0.0.1:514`; empty: null. */
export function syslogServer(text: string, name: string): SyslogServer | null {
  if (text === "") return null;
  const [, scheme, host, port] =
    /^(tls|tcp):\/\/(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]{1,253})(?::(\d{1,5}))?$/
      .exec(text) ?? [];
  const hostname = host?.replace(/^\[|\]$/g, "");
  const number = port === undefined ? scheme === "tls" ? 6514 : 514 : Number(port);
  if (!hostname || number < 1 || number > 65_535) throw bad(name, "tls://HOST:PORT");
  // Who asked which model when is nobody else's to read.
  if (scheme === "tcp" && !isLoopbackHost(hostname)) {
    throw bad(name, "tls://HOST:PORT; tcp:// is for a server of this machine, 127.0.0.1");
  }
  return { tls: scheme === "tls", hostname, port: number };
}

/** Where an OpenTelemetry collector takes logs: `https://host:4318/v1/logs`, or http on loopback; empty: nowhere. */
export function otlpCollector(text: string, name: string): string {
  if (text === "") return "";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url?.protocol === "http:" &&
    isLoopbackHost(url.hostname.replace(/^\[|\]$/g, ""));
  // What is in a URL is in logs on the way.
  const bare = url?.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (url === undefined || !bare || url.protocol !== "https:" && !plain) {
    throw bad(name, "https://HOST:4318/v1/logs; http:// is for a collector of this machine");
  }
  if (url.pathname === "/") url.pathname = OTLP_LOGS_PATH;
  return url.href;
}

/** An identity provider: https, or http on loopback; empty: none. */
export function issuer(text: string, name: string): string {
  if (text === "") return "";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const own = url?.protocol === "http:" && isLoopbackHost(url.hostname.replace(/^\[|\]$/g, ""));
  if (
    url === undefined || url.search !== "" || url.hash !== "" || url.username !== "" ||
    url.password !== "" || url.protocol !== "https:" && !own
  ) throw bad(name, "the issuer's address, https://…");
  // As it is in its tokens, letter by letter.
  return text;
}

/** Any text but none. */
export function notEmpty(text: string, name: string): string {
  if (text.trim() !== "") return text;
  throw bad(name, "a text that is not empty");
}

/** `ml=staff,*=guest`; in order. */
export function groupRoles(text: string, name: string): readonly (readonly [string, string])[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "").map((part) => {
    const [, group, role] = /^(.{1,256})=([A-Za-z0-9._-]{1,64})$/.exec(part) ?? [];
    if (group === undefined) throw bad(name, "groups with their roles: ml=staff,*=guest");
    return [group, role!] as const;
  });
}

/** A group of the system: a name or a number, or nothing. */
export function groupName(text: string, name: string): string {
  if (!/^(?:|\d{1,9}|[a-z_][a-z0-9_-]{0,31})$/.test(text)) {
    throw bad(name, "a group's name or number");
  }
  return text;
}

/** Hosts with commas between. */
export function hosts(text: string, name: string): readonly HostEntry[] {
  const entries = parseHosts(text);
  if (!entries) throw bad(name, "hosts such as registry.example, localhost:5000");
  return entries;
}
