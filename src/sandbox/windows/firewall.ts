/**
 * Windows firewall rules around one runner: added before, read back, removed after. The commands are data; what runs them is
 * given, so that tests record them. None of this has been run on Windows.
 *
 * The read-back asks PowerShell and not netsh, whose output is in the user's language, and asks the active store, which holds
 * what is in effect: a rule that a group policy overrides is not in it.
 */
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { WINDOWS_POLICY } from "./policy.ts";

export interface FirewallCommands {
  readonly rule: string;
  /** The executable that the rules bind. */
  readonly program: string;
  /** One per direction. */
  readonly add: readonly (readonly string[])[];
  /** Prints `ReadBack` as JSON. */
  readonly readBack: readonly string[];
  /** Removes every rule of that name. */
  readonly remove: readonly string[];
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export type Run = (argv: readonly string[]) => Promise<RunResult>;

/** The commands for one runner. @throws {RangeError} If the rule's name is not letters, digits and dashes. */
export function firewallCommands(
  o: { rule: string; program: string; systemRoot: string },
): FirewallCommands {
  // The name is put into a script.
  if (!/^[A-Za-z0-9-]{1,80}$/.test(o.rule)) throw new RangeError(`${o.rule} cannot name a rule`);
  const netsh = [`${o.systemRoot}\\System32\\netsh.exe`, "advfirewall", "firewall"];
  return {
    rule: o.rule,
    program: o.program,
    add: WINDOWS_POLICY.firewall.directions.map((direction) => [
      ...netsh,
      "add",
      "rule",
      `name=${o.rule}`,
      `dir=${direction}`,
      "action=block",
      `program=${o.program}`,
      "profile=any",
      "enable=yes",
    ]),
    readBack: [
      `${o.systemRoot}\\System32\\WindowsPowerShell\\v1.0\\powershell.exe`,
      "-NoProfile",
      "-NonInteractive",
      "-Command",
      readBackScript(o.rule),
    ],
    remove: [...netsh, "delete", "rule", `name=${o.rule}`],
  };
}

function readBackScript(rule: string): string {
  return [
    "$ErrorActionPreference = 'Stop'",
    `$rules = @(Get-NetFirewallRule -PolicyStore ActiveStore -DisplayName '${rule}' | ForEach-Object { ` +
    "$a = $_ | Get-NetFirewallApplicationFilter; $n = $_ | Get-NetFirewallAddressFilter; " +
    "$p = $_ | Get-NetFirewallPortFilter; @{ direction = [string]$_.Direction; " +
    "action = [string]$_.Action; enabled = [string]$_.Enabled; profile = [string]$_.Profile; " +
    "program = [Environment]::ExpandEnvironmentVariables($a.Program); " +
    "remote = [string]$n.RemoteAddress; protocol = [string]$p.Protocol } })",
    "$profiles = @(Get-NetFirewallProfile -PolicyStore ActiveStore | ForEach-Object { " +
    "@{ name = [string]$_.Name; enabled = [string]$_.Enabled } })",
    "ConvertTo-Json -Compress -Depth 4 @{ rules = $rules; profiles = $profiles }",
  ].join("; ");
}

/** What the read-back command prints. */
interface ReadBack {
  readonly rules: readonly { readonly [property: string]: string }[];
  readonly profiles: readonly { readonly name: string; readonly enabled: string }[];
}

/** What speaks against the rules being in effect, one line each; empty if they are. `output` is untrusted text. */
export function firewallShortcomings(commands: FirewallCommands, output: string): string[] {
  let seen: ReadBack;
  try {
    seen = JSON.parse(output) as ReadBack;
    if (!Array.isArray(seen.rules) || !Array.isArray(seen.profiles)) throw new TypeError();
  } catch {
    return ["the read-back is not the JSON that was asked for"];
  }
  const problems: string[] = [];
  for (const direction of ["Outbound", "Inbound"]) {
    const holds = seen.rules.some((rule) =>
      rule?.direction === direction && rule.action === "Block" && rule.enabled === "True" &&
      rule.profile === "Any" && rule.remote === "Any" && rule.protocol === "Any" &&
      String(rule.program).toLowerCase() === commands.program.toLowerCase()
    );
    if (!holds) problems.push(`no ${direction} rule in effect that blocks ${commands.program}`);
  }
  for (const name of ["Domain", "Private", "Public"]) {
    if (!seen.profiles.some((p) => p?.name === name && p.enabled === "True")) {
      problems.push(`the firewall is not on for the ${name} profile`);
    }
  }
  return problems;
}

/**
 * Adds the rules and checks that they are in effect; else there are none left. Rules of that name which a killed gateway left
 * are removed first.
 * @throws {SecLlamaError} `sandbox-unavailable` if a rule cannot be added, `sandbox-failed` if it is not in effect.
 */
export async function addFirewallRules(commands: FirewallCommands, run: Run): Promise<void> {
  await run(commands.remove); // fails if there are none
  try {
    for (const argv of commands.add) await add(argv, run);
    const seen = await run(commands.readBack);
    const problems = seen.code === 0
      ? firewallShortcomings(commands, seen.stdout)
      : [`the rules could not be read back (exit ${seen.code})`];
    if (problems.length > 0) {
      throw new SecLlamaError("sandbox-failed", `firewall: ${problems.join("; ")}`, {
        hint: "a group policy may override local rules; turn the Windows firewall on",
      });
    }
  } catch (error) {
    await run(commands.remove).catch(() => {}); // the first error is the one to report
    throw error;
  }
}

/** @throws {SecLlamaError} `sandbox-failed` if they cannot be removed; the hint has the command. */
export async function removeFirewallRules(commands: FirewallCommands, run: Run): Promise<void> {
  const removed = await run(commands.remove);
  if (removed.code !== 0) {
    throw new SecLlamaError(
      "sandbox-failed",
      `the firewall rule ${commands.rule} was not removed`,
      {
        hint: `as Administrator, run: netsh advfirewall firewall delete rule name=${commands.rule}`,
      },
    );
  }
}

/** Runs a program of System32 with no environment but what Windows itself needs. */
export async function runProgram(argv: readonly string[]): Promise<RunResult> {
  const [program, ...args] = argv;
  const { code, stdout, stderr } = await new Deno.Command(program!, {
    args,
    clearEnv: true,
    env: { SystemRoot: "C:\\Windows" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

async function add(argv: readonly string[], run: Run): Promise<void> {
  const { code } = await run(argv);
  // netsh exits with 1 for every reason and words it in the user's language; missing rights is the usual one.
  if (code !== 0) {
    throw new SecLlamaError(
      "sandbox-unavailable",
      `Access denied when creating firewall rules (netsh exited with ${code})`,
      { hint: HINTS.administrator },
    );
  }
}
