/** `secllama service`: the program under systemd or launchd, by units that it carries. */
import { cacheDirectory } from "../bundle/cache_folder.ts";
import { ownPath } from "../bundle/start_again.ts";
import { baseDirectory } from "../config/paths.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { runProgram } from "../keys/stores/program.ts";
import { Launchd } from "../service/launchd.ts";
import type { Report, ServiceManager } from "../service/manager.ts";
import { type Scope, Systemd } from "../service/systemd.ts";
import { type Command, type CommandContext, flag, JSON_OPTION, stringOption } from "./command.ts";
import { plural } from "../plural.ts";

const SCOPE_OPTIONS = {
  user: { type: "boolean", help: "for this user alone; what it is unless you are root" },
  system: {
    type: "boolean",
    help: "for the machine, in a network of its own; what it is for root",
  },
} as const;

const installCommand: Command = {
  path: ["service", "install"],
  summary: "Start SecLlama with the machine, or when you log in (systemd, launchd)",
  options: {
    ...SCOPE_OPTIONS,
    proxy: { type: "boolean", help: "the proxy alone, for a gateway elsewhere (with --user)" },
    "no-start": { type: "boolean", help: "do not start it now" },
    program: { type: "string", value: "PATH", help: "the program to start (default: this one)" },
  },
  details:
    `As root: a gateway for the machine that has no network at all, and a socket that leads to it. Its key is made, encrypted for
this machine by systemd-creds, and handed to the service alone. As anybody else: gateway and proxy for you, with your key store.
Run it again after an upgrade. What you want otherwise goes into a drop-in: systemctl edit secllama`,
  async run(context) {
    const program = stringOption(context, "program") ?? ownProgram();
    const proxy = flag(context, "proxy");
    if (proxy && scopeOf(context) === "system") {
      throw new SecLlamaError("usage", "--proxy is for one user: it lets in nobody else", {
        field: "--proxy",
        hint: "run it as that user: secllama service install --user --proxy",
      });
    }
    const manager = managerOf(context);
    show(context, await manager.install({ program, proxy, start: !flag(context, "no-start") }));
    return EXIT.ok;
  },
};

const uninstallCommand: Command = {
  path: ["service", "uninstall"],
  summary: "Stop the service and take its units away; keys and models stay",
  options: SCOPE_OPTIONS,
  async run(context) {
    const report = await managerOf(context).uninstall();
    if (report.done.length === 0) context.tui.out("no service is installed");
    show(context, report);
    return EXIT.ok;
  },
};

const statusCommand: Command = {
  path: ["service", "status"],
  summary: "Show whether the service is installed and runs",
  options: { ...SCOPE_OPTIONS, ...JSON_OPTION },
  details: "Exit codes: 0 it runs, 5 it does not.",
  async run(context) {
    const { tui } = context;
    const units = await managerOf(context).status();
    // A socket that waits for a gateway which failed is no service.
    const runs = units.some(({ active, socket }) => active && !socket);
    if (flag(context, "json")) tui.json({ schema: 1, scope: scopeOf(context), runs, units });
    else {
      const installed = units.filter((unit) => unit.installed);
      if (installed.length === 0) tui.out("no service is installed");
      for (const unit of installed) {
        tui.out(`${tui.bold(unit.name)}  ${unit.state}${unit.enabled ? ", starts by itself" : ""}`);
        tui.out(`  ${unit.file}`);
        if (unit.pid !== null) {
          const restarts = unit.restarts ? `, started again ${plural(unit.restarts, "time")}` : "";
          tui.out(`  process ${unit.pid}${restarts}`);
        }
        if (unit.says !== "") tui.out(`  ${unit.says}`);
      }
    }
    return runs ? EXIT.ok : EXIT.unavailable;
  },
};

const runCommand: Command = {
  path: ["service", "run"],
  summary: "Run a command of secllama as the machine's service, with its key and models (root)",
  arguments: "COMMAND…",
  minPositionals: 1,
  maxPositionals: 1000,
  handsOn: true,
  options: { program: installCommand.options["program"]! },
  details: `For instance: secllama service run pair amelie --no-qr --url http://127.0.0.1:11435
The settings are those of secllama.service and its drop-ins. A passphrase can come on standard input:
secllama service run backup /var/lib/secllama/host.backup --backup-passphrase-fd 0 < passphrase.txt`,
  async run(context) {
    const manager = systemd(context, "system");
    const program = stringOption(context, "program") ?? ownProgram();
    const [first, ...rest] = await manager.runAsService(program, context.positionals);
    // Its streams are this process's: what it asks and what it prints, a key for one, pass nobody else.
    const { code } = await new Deno.Command(first!, {
      args: rest,
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      clearEnv: true,
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn().status;
    return code;
  },
};

export const serviceCommands: readonly Command[] = [
  installCommand,
  statusCommand,
  runCommand,
  uninstallCommand,
];

function scopeOf(context: CommandContext): Scope {
  const [user, system] = [flag(context, "user"), flag(context, "system")];
  if (user && system) {
    throw new SecLlamaError("usage", "--user and --system exclude each other", { field: "--user" });
  }
  return system || (!user && Deno.build.os === "linux" && Deno.uid() === 0) ? "system" : "user";
}

function managerOf(context: CommandContext): ServiceManager {
  const { env } = context;
  if (Deno.build.os === "linux") return systemd(context, scopeOf(context));
  if (Deno.build.os === "darwin" && scopeOf(context) === "user") {
    return new Launchd({ env, run: runProgram, uid: Deno.uid()! });
  }
  throw new SecLlamaError(
    "not-supported",
    "a service is offered for systemd, and for one user under launchd",
    {
      hint: Deno.build.os === "windows"
        ? 'make a task that starts it at logon: schtasks /create /sc onlogon /tn secllama /tr "secllama serve"'
        : "for you alone: secllama service install --user",
    },
  );
}

function systemd(context: CommandContext, scope: Scope): Systemd {
  const { env } = context;
  const folders = scope === "user" ? [baseDirectory(env), cacheDirectory(env)] : [];
  return new Systemd({ scope, env, run: runProgram, folders });
}

/** @throws {SecLlamaError} `usage` from source: a service is to start one program, not a folder of sources. */
function ownProgram(): string {
  if (Deno.build.standalone) return Deno.build.os === "linux" ? ownPath() : Deno.execPath();
  throw new SecLlamaError("usage", "from source there is no program that a service could start", {
    field: "--program",
    hint: "run: deno task compile   and then: dist/secllama service install",
  });
}

function show({ tui }: CommandContext, { done, next }: Report): void {
  for (const line of done) tui.out(line);
  for (const line of next) tui.note(line);
}
