/**
 * `secllama doctor`: judges the `serve` that runs, by what it measures of itself now, and where none runs does what one would do. Then
 * makes the whole attack list from inside a fresh sandbox of the same kind, and looks at key store, model store and ports. It makes
 * no key and changes nothing.
 */
import { EXIT, SecLlamaError } from "../errors.ts";
import { configured } from "../app/banner.ts";
import {
  type Finding,
  judgeKey,
  judgeRunner,
  judgeSettings,
  type Switches,
  switchesOf,
  type Verdict,
  verdictOf,
} from "../app/findings.ts";
import { findServes, type FoundServe } from "../app/running_serve.ts";
import type { Settings } from "../config/settings.ts";
import { VERSION } from "../version.ts";
import { columnsOfText, wrapColumns } from "./columns.ts";
import { type Command, type CommandContext, flag, JSON_OPTION } from "./command.ts";
import { attackChecks } from "./doctor_attacks.ts";
import { keyCheck, portChecks, storeCheck, versionCheck } from "./doctor_surroundings.ts";
import { runnerChecks } from "./doctor_runner.ts";
import { renderTable } from "./markdown.ts";
import { Progress } from "./progress.ts";
import { listColumns } from "./rows.ts";
import type { Tui } from "./tui.ts";
import { installationFor } from "./installation.ts";
import { ASKED_PROXY_OPTION, readSettings } from "./settings.ts";

export interface Check extends Finding {
  /** Of an attack: what was to come of it. */
  readonly expected?: string;
  /** Of an attack: the layer that it met first. */
  readonly stoppedBy?: string;
  /** Of an attack that no layer stops which every machine has: strict mode does not promise that it is stopped. */
  readonly limit?: boolean;
}

/** What `doctor --json` prints; docs/doctor.md has its fields. */
interface Report {
  readonly schema: 1;
  readonly version: string;
  readonly verdict: Verdict;
  /** Of what was judged: the running serves, or none. */
  readonly serves: readonly { readonly at: string; readonly judged: boolean }[];
  readonly checks: readonly Check[];
  readonly limits: readonly Check[];
}

const EXIT_OF: { readonly [verdict in Verdict]: number } = {
  holds: EXIT.ok,
  fails: EXIT.refused,
  "not judged": EXIT.notJudged,
};

export const doctorCommand: Command = {
  path: ["doctor"],
  summary: "Judge the serve that runs, or this machine: sandbox, attacks, key store, ports",
  options: { ...ASKED_PROXY_OPTION, ...JSON_OPTION },
  details:
    `Where a serve of this data folder runs, that one is judged: its settings, its runners, their layers. Where none
runs, a runner is started as serve would. Then every attack of the list is made from a runner's place in a fresh sandbox of
the same kind. Of each attack it shows what was expected, what was observed, and the layer that the attack met first.
Exit codes: 0 all holds · 9 something does not hold · 10 nothing failed, but something was not run: of that nobody knows`,
  async run(context) {
    const { tui, signal } = context;
    const settings = await readSettings(context);
    const { proxyPort: port } = settings.config;
    const proxy = { hostname: "127.0.0.1", port, dataDir: settings.dataDir };
    const progress = new Progress(tui);
    progress.say("asking the serve that runs…");
    const serves = await findServes(proxy, signal);
    const installation = installationFor(context);
    const switches = switchesInForce(serves, settings);
    const live = serves.some(({ status }) => !(status instanceof Error) && status.runners.length);
    if (!live) progress.say("starting a runner…");
    const checks: Check[] = [
      ...serves.length === 0 ? freshChecks(settings) : serves.flatMap(serveChecks),
      ...live ? [] : await runnerChecks({ installation, settings, switches }),
    ];
    endIfCancelled(context);
    const attacking = "making every attack from a runner's place (some ten seconds)";
    progress.say(`${attacking}…`);
    const onMade = (made: number, all: number) => progress.count(attacking, made, all);
    const attacks = await attackChecks(installation, switches, settings, onMade)
      .finally(() => progress.end());
    // Ctrl-C reaches the attackers too: what then seems to fail says nothing of the sandbox.
    endIfCancelled(context);
    checks.push(
      ...attacks.filter(({ limit }) => limit !== true),
      await storeCheck(settings, installation),
      await keyCheck(context),
      ...await portChecks(settings, serves),
      versionCheck(),
    );
    const limits = attacks.filter(({ limit }) => limit === true);
    const verdict = verdictOf(checks);
    const report: Report = {
      schema: 1,
      version: VERSION,
      verdict,
      serves: serves.map(({ at, status }) => ({ at, judged: !(status instanceof Error) })),
      checks,
      limits,
    };
    if (flag(context, "json")) tui.json(report);
    else {
      const lines = reportLines(report, listColumns(tui));
      for (const line of lines) tui.out(inColour(line, tui));
    }
    return EXIT_OF[verdict];
  },
};

function endIfCancelled({ signal }: CommandContext): void {
  if (signal.aborted) throw new SecLlamaError("cancelled", "cancelled");
}

/** The settings of the serve that runs; of several the weakest. Where none could be asked, those that a new one would have. */
function switchesInForce(serves: readonly FoundServe[], { config }: Settings): Switches {
  const running = serves.flatMap(({ status }) =>
    status instanceof Error ? [] : [switchesOf(status)]
  );
  if (running.length === 0) return configured(config);
  return {
    encryption: running.every(({ encryption }) => encryption),
    sandbox: running.every(({ sandbox }) => sandbox),
    strict: running.every(({ strict }) => strict),
    modelManagement: running.some(({ modelManagement }) => modelManagement),
    lenientAudit: running.some(({ lenientAudit }) => lenientAudit),
    unboundSignIn: running.some(({ unboundSignIn }) => unboundSignIn),
    pages: running.flatMap(({ pages }) => pages ?? []),
    proxyNames: running.flatMap(({ proxyNames }) => proxyNames ?? []),
  };
}

function freshChecks({ config, dataDir }: Settings): Check[] {
  return [
    {
      name: "serve",
      result: "note",
      observed: `none runs from ${dataDir}; what follows is what one would be`,
    },
    ...judgeSettings(configured(config)).map((finding) => named("setting", finding)),
  ];
}

function serveChecks({ at, pid, status }: FoundServe): Check[] {
  const name = `serve at ${at}`;
  if (status instanceof SecLlamaError) {
    const { message, hint } = status;
    return [{
      name,
      result: "not run",
      observed: `it could not be asked, so nobody knows what it enforces: ${message}`,
      ...(hint ? { hint } : {}),
    }];
  }
  return [
    {
      name,
      result: "note",
      observed: `pid ${pid ?? status.process.pid}, version ${status.version}; it is what is judged`,
    },
    ...[...judgeSettings(switchesOf(status)), ...judgeKey(status.key)]
      .map((finding) => named(name, finding)),
    ...status.runners.flatMap((runner) =>
      judgeRunner(runner).map((finding) => named(`${name}: ${runner.model}`, finding))
    ),
  ];
}

function named(prefix: string, finding: Finding): Check {
  return { ...finding, name: `${prefix}: ${finding.name}` };
}

/** The word that a line of the report begins with, in its verdict's colour. */
export function inColour(line: string, { judged }: Pick<Tui, "judged">): string {
  return line.replace(
    /^(?:(holds|all holds)|(fails|not everything holds|does not hold)|(not run|nothing failed))(?=\b)/,
    (word, good, bad) => judged(good ? "good" : bad ? "bad" : "unknown", word),
  );
}

/**
 * One line a check, attacks in columns under a heading; then what it comes to, and last what no layer here stops. No line is wider
 * than `columns`, unless a word is.
 */
export function reportLines(
  { checks, limits, verdict }: Omit<Report, "schema">,
  columns = Infinity,
): string[] {
  const attacks = checks.filter((check) => check.stoppedBy !== undefined);
  const line = (check: Check): string[] => {
    const { name, result, observed, hint } = check;
    if (check.stoppedBy !== undefined) return check === attacks[0] ? table(attacks, columns) : [];
    const lead = " ".repeat(columns < NARROW ? 2 : RESULT_COLUMNS + 2);
    const hints = hint === undefined ? [] : broken(`hint: ${hint}`, columns, lead, lead);
    return [
      ...broken(`${name}: ${observed}`, columns, `${result.padEnd(RESULT_COLUMNS)}  `, lead),
      ...hints,
    ];
  };
  return [
    ...checks.flatMap(line),
    ...lastLines(checks, verdict).flatMap((text) => broken(text, columns, "", "  ")),
    ...(limits.length === 0 ? [] : [
      "",
      ...broken("limits of this machine (strict mode does not promise these):", columns, "", "  "),
      ...limits.flatMap(({ name, observed, stoppedBy }) =>
        broken(`${name}: ${observed}; ${stoppedBy}`, columns, "  ", "    ")
      ),
    ]),
  ];
}

const RESULT_COLUMNS = 7;
/** Below it a line's beginning takes no more than it must. */
const NARROW = 60;

/** The attacks, which all stand together. */
function table(attacks: readonly Check[], columns: number): string[] {
  const rows = attacks.map(({ result, name, expected = "", observed, stoppedBy = "" }) => [
    result,
    name,
    expected,
    observed,
    stoppedBy,
  ]);
  const heading = ["", "attack", "expected", "observed", "stopped by"];
  const widths = heading.map((word, i) =>
    Math.max(i === 0 ? RESULT_COLUMNS : word.length, ...rows.map((row) => row[i]!.length))
  );
  const lines = [heading, ...rows].map((row) =>
    row.map((cell, i) => i === 4 ? cell : cell.padEnd(widths[i]!)).join("  ").trimEnd()
  );
  if (lines.every((text) => columnsOfText(text) <= columns)) return lines;
  const named = rows.map(([result, name, ...rest]) => [
    result!,
    name!.replace(/^attack: /, ""),
    ...rest,
  ]);
  return renderTable([heading, ...named], { width: columns, bold: (text) => text });
}

/** A line's text after its lead, and what does not fit below it. */
function broken(text: string, columns: number, lead: string, next: string): string[] {
  if (columnsOfText(lead + text) <= columns) return [lead + text];
  const words = wrapColumns(text, Math.max(1, columns - Math.max(lead.length, next.length)));
  return words.map((part, i) => (i === 0 ? lead : next) + part);
}

function lastLines(checks: readonly Check[], verdict: Verdict): string[] {
  const names = (result: Finding["result"]) =>
    checks.filter((check) => check.result === result).map(({ name }) => name);
  const few = (list: readonly string[]) =>
    list.slice(0, 5).join(", ") + (list.length > 5 ? ` and ${list.length - 5} more` : "");
  const failed = names("fails");
  const unknown = names("not run");
  return [
    ...(failed.length > 0 ? [`does not hold: ${few(failed)}`] : []),
    ...(unknown.length > 0 ? [`not run: ${few(unknown)}`] : []),
    {
      holds: "all holds",
      fails: "not everything holds",
      "not judged": 'nothing failed, but not everything was run: that is no "holds"',
    }[verdict],
  ];
}
