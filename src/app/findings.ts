/**
 * The judge of what protects a SecLlama: one for `serve`'s banner, `secllama status` and `secllama doctor`. It is given settings in
 * force and what was measured, and says of each what it comes to. Prints nothing.
 */
import type { SecurityStatus } from "../gateway/security_status.ts";
import { BACKEND_NAMES } from "../keys/stores/store.ts";
import type { Measured } from "../supervisor/isolation.ts";
import { plural } from "../plural.ts";

/**
 * `holds`: measured, and as it is to be. `fails`: measured, and not. `not run`: nobody knows, since it was not measured; this is
 * neither of the two. `note`: worth knowing, and nothing that strict mode promises.
 */
export type Result = "holds" | "fails" | "not run" | "note";

export interface Finding {
  readonly name: string;
  readonly result: Result;
  readonly observed: string;
  readonly hint?: string;
}

/** The operator's settings in force. */
export interface Switches {
  readonly encryption: boolean;
  readonly sandbox: boolean;
  readonly strict: boolean;
  readonly modelManagement: boolean;
  /** Whether what cannot be recorded is served all the same. */
  readonly lenientAudit?: boolean | undefined;
  /** Whether people may sign in by a token that names no key of theirs. */
  readonly unboundSignIn?: boolean | undefined;
  /** Origins of web pages that may use the proxy. */
  readonly pages?: readonly string[] | undefined;
  /** What the proxy answers as besides localhost. */
  readonly proxyNames?: readonly string[] | undefined;
}

/** Of a status, its settings. */
export function switchesOf(
  status: Pick<
    SecurityStatus,
    "encryption" | "isolation" | "model_management" | "audit" | "sign_in" | "proxy"
  >,
): Switches {
  return {
    encryption: status.encryption.enabled,
    sandbox: status.isolation.sandbox,
    strict: status.isolation.strict,
    modelManagement: status.model_management !== "off",
    lenientAudit: status.audit === "lenient",
    unboundSignIn: status.sign_in === "device",
    pages: status.proxy?.pages,
    proxyNames: status.proxy?.names,
  };
}

/** Each protection that can be switched off, and what it means that it is. `NAME is OBSERVED` is a sentence. */
export function judgeSettings(switches: Switches): Finding[] {
  const { encryption, sandbox, strict, modelManagement, lenientAudit, unboundSignIn } = switches;
  const { pages = [], proxyNames = [] } = switches;
  const off = (variable: string, means: string) => `off (${variable}=false): ${means}`;
  const rows: [name: string, on: boolean, observed: string][] = [
    [
      "encryption",
      encryption,
      off("SECLLAMA_ENABLE_ENCRYPTION", "the gateway serves plaintext"),
    ],
    [
      "the sandbox",
      sandbox,
      off("SECLLAMA_ENABLE_SANDBOX", "models run with your rights and your network"),
    ],
    [
      "strict isolation",
      strict,
      off("SECLLAMA_STRICT_NETWORK_ISOLATION", "a weaker sandbox is accepted"),
    ],
  ];
  const findings = rows.map(([name, on, observed]): Finding => ({
    name,
    result: on ? "holds" : "fails",
    observed: on ? "on" : observed,
  }));
  if (lenientAudit) {
    findings.push({
      name: "the audit log",
      result: "fails",
      observed: "lenient (SECLLAMA_AUDIT=lenient): what cannot be recorded is served all the same",
    });
  }
  if (unboundSignIn) {
    findings.push({
      name: "sign-in by a device's code",
      result: "note",
      observed: "on (SECLLAMA_OIDC_DEVICE=true): such an ID token is good once for whoever has it",
    });
  }
  if (pages.length > 0) {
    findings.push({
      name: "the proxy for web pages",
      result: "note",
      observed: `open to ${pages.join(", ")} (SECLLAMA_PROXY_ALLOWED_ORIGINS)`,
    });
  }
  if (proxyNames.length > 0) {
    findings.push({
      name: "the proxy by other names",
      result: "note",
      observed: `answering as ${proxyNames.join(", ")} (SECLLAMA_PROXY_ALLOWED_HOSTS)`,
    });
  }
  if (!modelManagement) return findings;
  return [...findings, {
    name: "model management",
    result: "note",
    observed:
      "on (SECLLAMA_ALLOW_MODEL_MANAGEMENT=true): this user's programs may pull, create and delete models",
  }];
}

/** The key of a serve, and what its user should know of it. */
export function judgeKey({ backend, kid, warnings }: SecurityStatus["key"]): Finding[] {
  return [
    { name: "key", result: "note", observed: `${kid}, ${backendName(backend)}` },
    ...(warnings ?? []).map((observed): Finding => ({ name: "key", result: "note", observed })),
  ];
}

/** What people call the place of a key; a newer version's is called as it is written. */
export function backendName(backend: string): string {
  return Object.hasOwn(BACKEND_NAMES, backend)
    ? BACKEND_NAMES[backend as keyof typeof BACKEND_NAMES]
    : backend;
}

/** What holds one runner. */
export function judgeRunner(measured: Measured): Finding[] {
  const { level, layers, problems, warnings, attacks } = measured;
  // What an operator put in the own engine's place is held by less, and that is told; it is no failure of what is to hold.
  const strict = level === "strict" || level === "engine";
  return [
    {
      name: "isolation",
      result: level === "engine" ? "note" : strict ? "holds" : "fails",
      observed: problems.length === 0 ? level : `${level}: ${problems.join("; ")}`,
    },
    ...layers.map(({ layer, state, word, observed }): Finding => ({
      name: `layer: ${layer}`,
      result: state === "enforced"
        ? "holds"
        // What this machine cannot have, and strict does not need.
        : state === "not planned"
        ? "note"
        : "fails",
      observed: `${state}${word ? " on the runner's word" : ""}, ${observed}`,
    })),
    ...warnings.map((observed): Finding => ({
      name: "isolation",
      result: strict ? "note" : "fails",
      observed,
    })),
    attacks === null
      ? {
        name: "attack on live listeners",
        result: "not run",
        observed: "not made: the sandbox is off",
      }
      : {
        name: "attack on live listeners",
        result: attacks.held ? "holds" : "fails",
        observed: attacks.held
          ? `${
            plural(attacks.attempted, "way")
          } out tried by native code and each refused (its word), no listener reached`
          : attacks.problems.join("; "),
      },
  ];
}

/** What all of it comes to. Of nothing that was not measured it says that it holds. */
export type Verdict = "holds" | "fails" | "not judged";

/** A failure outweighs what was not run; a note counts for nothing. */
export function verdictOf(findings: readonly Pick<Finding, "result">[]): Verdict {
  if (findings.some(({ result }) => result === "fails")) return "fails";
  return findings.some(({ result }) => result === "not run") ? "not judged" : "holds";
}
