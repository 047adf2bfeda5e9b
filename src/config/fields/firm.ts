/** The settings of sign-in, fleets and records. */
import { HOST_LABEL } from "../../api/runner_name.ts";
import { parseDurationMs } from "../duration.ts";
import {
  audit,
  AUDITS,
  bad,
  bool,
  fleetSource,
  fullPath,
  groupName,
  groupRoles,
  issuer,
  notEmpty,
  otlpCollector,
  syslogServer,
} from "../field_values.ts";
import { listenAt, socketMode } from "../listen_at.ts";
import { field } from "./field.ts";

/** A session has to outlast the request for which somebody signed in. */
const MIN_SESSION_MS = 10_000;

export const FIRM = [
  field({
    name: "requireToken",
    env: "SECLLAMA_REQUIRE_TOKEN",
    value: "true|false",
    default: null,
    shown: "false, always true with --listen",
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
    parse: notEmpty,
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
    parse: notEmpty,
  }),
  field({
    name: "oidcSessionMs",
    env: "SECLLAMA_OIDC_SESSION",
    value: "DURATION",
    default: 3_600_000,
    help: "how long who signed in may come without a newer ID token",
    parse: (text, name) => parseDurationMs(text, name, MIN_SESSION_MS),
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
    parse: fleetSource,
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
    shown: "660",
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
