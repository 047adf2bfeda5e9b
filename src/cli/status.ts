/**
 * `secllama status`: one screen on the serve that runs: what serves, who is here, what is enforced, the key's age, what was warned
 * of.
 */
import { configured, gpuLine, isolationLine } from "../app/banner.ts";
import {
  backendName,
  type Finding,
  judgeRunner,
  judgeSettings,
  switchesOf,
} from "../app/findings.ts";
import { findServes, type FoundServe } from "../app/running_serve.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import type { SecurityStatus } from "../gateway/security_status.ts";
import { type Command, flag, JSON_OPTION } from "./command.ts";
import { wrapColumns } from "./columns.ts";
import { spanOf } from "./spans.ts";
import { ASKED_PROXY_OPTION, readSettings } from "./settings.ts";

/** Columns of a row's name. */
const NAME_COLUMNS = 12;

export const statusCommand: Command = {
  path: ["status"],
  summary: "Show what serves, who is here, what is enforced, the key's age, the last warnings",
  options: { ...ASKED_PROXY_OPTION, ...JSON_OPTION },
  details:
    `Of every serve of this data folder, and of the one on the proxy's port. Exit code 0 if one runs and could be asked,
5 if none runs. To have its protections judged: secllama doctor`,
  async run(context) {
    const { tui, signal } = context;
    const settings = await readSettings(context);
    const { config, dataDir } = settings;
    const serves = await findServes(
      { hostname: "127.0.0.1", port: config.proxyPort, dataDir },
      signal,
    );
    if (flag(context, "json")) {
      tui.json({ schema: 1, serves: serves.map(toJson) });
    } else if (serves.length > 0) {
      for (const serve of serves) {
        for (const line of statusLines(serve, { now: Date.now(), columns: tui.columns() })) {
          tui.out(line);
        }
      }
    } else {
      throw new SecLlamaError("gateway-unreachable", `no serve runs from ${dataDir}`, {
        hint: judgeSettings(configured(config)).some(({ result }) => result === "fails")
          ? "to start one: secllama serve (a protection is switched off in its settings)"
          : "to start one: secllama serve",
      });
    }
    return serves.some(({ status }) => !(status instanceof Error)) ? EXIT.ok : EXIT.unavailable;
  },
};

function toJson({ at, pid, proxy, gateway, status }: FoundServe): object {
  return {
    at,
    pid,
    proxy,
    gateway,
    ...(status instanceof SecLlamaError
      ? { error: { code: status.code, message: status.message } }
      : { status }),
  };
}

/** The screen of one serve; `now` in unix ms. */
export function statusLines(
  { at, pid, proxy, gateway, status }: FoundServe,
  { now, columns }: { now: number; columns: number },
): string[] {
  const row = (name: string, value: string) =>
    wrapColumns(value, Math.max(20, columns - NAME_COLUMNS - 2)).map((line, i) =>
      `  ${(i === 0 ? name : "").padEnd(NAME_COLUMNS)}${line}`
    );
  if (status instanceof SecLlamaError) {
    return [
      ...wrapColumns(`A serve at ${at} could not be asked`, columns),
      ...row("why", status.message),
      ...(status.hint ? row("hint", status.hint) : []),
    ];
  }
  const { process, key, clients, runners, encryption } = status;
  const since = spanOf(now - process.started_ms);
  const served = encryption.enabled ? "sealed requests only" : "PLAINTEXT IS SERVED";
  const age = key.created_ms === null
    ? "its age is not known"
    : `${spanOf(now - key.created_ms)} old`;
  const warnings = warningsOf(status, now);
  return [
    ...wrapColumns(
      `SecLlama ${status.version} serves for ${since}, pid ${pid ?? process.pid}`,
      columns,
    ),
    ...row("proxy", proxy ?? "none"),
    ...row("gateway", `${gateway ?? "address not known"}  (${served})`),
    ...(runners.length === 0 ? row("model", "none loaded") : runners.flatMap((runner) => [
      ...row("model", `${runner.model}, ${runner.state}, runner ${runner.pid}`),
      ...row("isolation", isolationLine(runner)),
    ])),
    ...(status.gpu.setting === "off" ? [] : row("gpu", gpuLine(status.gpu))),
    ...row("key", `${key.kid} in ${backendName(key.backend)}, ${age}`),
    ...(clients === null ? [] : row("clients", clientsLine(clients, now))),
    ...(warnings.length === 0
      ? row("warnings", "none")
      : warnings.flatMap((warning, i) => row(i === 0 ? "warnings" : "", warning))),
  ];
}

function clientsLine(
  { paired, seen }: NonNullable<SecurityStatus["clients"]>,
  now: number,
): string {
  const here = seen.slice(0, 5).map(({ name, last_seen_ms }) =>
    `${name} ${spanOf(now - last_seen_ms)} ago`
  );
  const more = seen.length > 5 ? [`${seen.length - 5} more`] : [];
  return `${paired} paired` +
    (seen.length === 0 ? "" : `; showed their key: ${[...here, ...more].join(", ")}`);
}

/** What the judge finds wrong, what the key's user should know, and what the log warned of. */
function warningsOf(status: SecurityStatus, now: number): string[] {
  const weak = ({ result }: Finding) => result === "fails";
  return [
    ...judgeSettings(switchesOf(status)).filter(({ result }) => result !== "holds")
      .map(({ name, observed }) => `${name} is ${observed}`),
    ...status.runners.flatMap((runner) =>
      judgeRunner(runner).filter(weak).map(({ name, observed }) =>
        `${runner.model}: ${name}: ${observed}`
      )
    ),
    ...(status.key.warnings ?? []),
    ...(status.recent_warnings ?? []).slice(-5).map(({ event, count, last_ms }) =>
      `log: ${event}${count > 1 ? `, ${count} times` : ""}, ${spanOf(now - last_ms)} ago`
    ),
  ];
}
