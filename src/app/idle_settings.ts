/** Settings of sign-in and of the record that do nothing, as the others are: said at the start, so that nobody relies on them. */
import type { Config } from "../config/config.ts";
import type { KeySource } from "../keys/mod.ts";

type Firm = Pick<
  Config,
  "audit" | "auditOtlp" | "auditSyslog" | "oidcDevice" | "oidcIssuer" | "oidcRoles"
>;

/** What is known beside the settings. */
interface Known {
  /** Whether the key is in memory only. */
  readonly ephemeral: boolean;
  /** Names of the roles that there are; undefined: they cannot be read, and nothing is said of them. */
  readonly roles: ReadonlySet<string> | undefined;
}

/** A line for each of them. */
export function idleSettings(config: Firm, { ephemeral, roles }: Known): string[] {
  const { audit, auditOtlp, auditSyslog, oidcDevice, oidcIssuer, oidcRoles } = config;
  const lines: string[] = [];
  const sinks = [
    ...(auditSyslog === null ? [] : ["SECLLAMA_AUDIT_SYSLOG"]),
    ...(auditOtlp === "" ? [] : ["SECLLAMA_AUDIT_OTLP"]),
  ];
  if (audit === "off" && sinks.length > 0) {
    lines.push(
      `nothing is sent by ${sinks.join(" and ")}: nothing is recorded (SECLLAMA_AUDIT=on)`,
    );
  }
  if (oidcIssuer === "") {
    const given = [
      ...(oidcRoles.length === 0 ? [] : ["SECLLAMA_OIDC_ROLES"]),
      ...(oidcDevice ? ["SECLLAMA_OIDC_DEVICE"] : []),
    ];
    if (given.length > 0) {
      lines.push(`nobody can sign in: ${given.join(" and ")} without SECLLAMA_OIDC_ISSUER`);
    }
    return lines;
  }
  if (ephemeral) return [...lines, "nobody can sign in: the key is in memory only"];
  if (oidcRoles.length === 0) {
    return [...lines, "nobody can sign in: SECLLAMA_OIDC_ROLES names no group (*=ROLE: everybody)"];
  }
  const missing = [...new Set(oidcRoles.map(([, role]) => role))].filter((role) =>
    roles?.has(role) === false
  );
  for (const role of missing) {
    lines.push(
      `who is to have the role ${role} by SECLLAMA_OIDC_ROLES cannot sign in: there is no such role (secllama role set ${role})`,
    );
  }
  return lines;
}

/** The names of the roles, as far as they can be read. */
export async function roleNames(keys: KeySource): Promise<ReadonlySet<string> | undefined> {
  if (keys.ephemeral) return new Set();
  try {
    const { roles = [] } = await keys.clients().read();
    return new Set(roles.map(({ name }) => name));
  } catch {
    // The gateway's log says why, and so does each command.
    return undefined;
  }
}
