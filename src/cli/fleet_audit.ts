/** `secllama fleet audit verify`: the audit logs of all hosts, as one. */
import { join } from "node:path";
import { type AuditSourceFile, readExport } from "../audit/mod.ts";
import { EXIT } from "../errors.ts";
import { type HostVerdict, verifyFleet } from "../fleet/heads.ts";
import { fleetHosts } from "../fleet/issuer.ts";
import { readFileUpTo } from "./audit/read.ts";
import type { Command } from "./command.ts";
import { withFleet } from "./fleet_common.ts";
import { OPTIONS, report } from "./key_common.ts";
import { plural } from "../plural.ts";

/** The command. */
export const fleetAuditCommand: Command = {
  path: ["fleet", "audit", "verify"],
  example: "secllama fleet audit verify gpu-1.jsonl gpu-2.jsonl",
  summary: "Check the audit logs of all hosts as one: whole, as long as they were, none missing",
  arguments: "EXPORT…",
  minPositionals: 1,
  maxPositionals: 10_000,
  options: OPTIONS,
  details:
    `On the issuer. EXPORT is a file of secllama audit export, made on a host, or a folder of such files. Each must be
signed by the key that its host was enrolled with. With secllama fleet publish --watch the issuer has kept what each
host said of its log: one that was cut, put back from earlier or begun anew is named, and a host without one.
Exit codes: 0 all are whole, 9 they are not, 2 usage, 3 keys.`,
  async run(context) {
    const files = (await Promise.all(context.positionals.map(exportsAt))).flat();
    let code: number = EXIT.ok;
    const ran = await withFleet(context, async (state) => {
      const { hosts, foreign } = verifyFleet(
        await fleetHosts(state),
        await state.readHeads(),
        files,
      );
      const isWhole = hosts.every(isGood);
      code = isWhole ? EXIT.ok : EXIT.refused;
      report(context, { whole: isWhole, hosts, foreign }, [
        isWhole ? `whole: ${plural(hosts.length, "host")}` : "NOT WHOLE",
        ...hosts.flatMap(linesOf),
        ...foreign.map((log) => `  note: the log ${log} is of no host of this fleet`),
      ]);
    });
    return ran === EXIT.ok ? code : ran;
  },
};

async function exportsAt(path: string): Promise<AuditSourceFile[]> {
  const info = await Deno.stat(path).catch(() => undefined);
  if (!info?.isDirectory) return [await exportIn(path)];
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(path)) if (isFile) names.push(name);
  return await Promise.all(names.sort().map((name) => exportIn(join(path, name))));
}

async function exportIn(path: string): Promise<AuditSourceFile> {
  return readExport(await readFileUpTo(path), path);
}

function isGood({ logs, problems }: HostVerdict): boolean {
  return problems.length === 0 && logs.every((log) => log.problems.length === 0);
}

function linesOf(host: HostVerdict): string[] {
  const { label, logs, problems, heard } = host;
  const lines = logs.reduce((sum, log) => sum + log.lines, 0);
  const said = heard === undefined
    ? "no head of it has come here"
    : `last heard ${new Date(heard).toISOString()}`;
  return [
    `  ${label}: ${isGood(host) ? "whole" : "NOT WHOLE"}, ${plural(lines, "line")}, ${said}`,
    ...problems.map((problem) => `    ${problem}`),
    ...logs.flatMap(({ problems }) =>
      problems.map(({ from, to, what }) =>
        from === to ? `    line ${from}: ${what}` : `    lines ${from} to ${to}: ${what}`
      )
    ),
  ];
}
