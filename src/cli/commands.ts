/** All commands, in the order of `secllama help`. */
import type { Command } from "./command.ts";
import { auditCommands } from "./audit/commands.ts";
import { backupCommands } from "./backup.ts";
import { clientCommands } from "./clients.ts";
import { completionCommand } from "./completion/completion.ts";
import { docsCommands } from "./docs/commands.ts";
import { doctorCommand } from "./doctor.ts";
import { fleetCommands } from "./fleet.ts";
import { helpCommand } from "./help.ts";
import { historyCommands } from "./history/commands.ts";
import { keyCommands } from "./key.ts";
import { loginCommand } from "./login.ts";
import { launchCommand } from "./launch/command.ts";
import { launchRunnerCommand } from "./launch_runner.ts";
import { modelCommands } from "./models/commands.ts";
import { pairCommand } from "./pair.ts";
import { pathsCommand } from "./paths.ts";
import { proxyCommand } from "./proxy.ts";
import { receiptCommands } from "./receipt.ts";
import { runCommand } from "./run.ts";
import { sandboxCommands } from "./sandbox.ts";
import { serveCommand } from "./serve.ts";
import { serviceCommands } from "./service.ts";
import { statusCommand } from "./status.ts";
import { roleCommands } from "./role.ts";
import { tokenCommands } from "./token.ts";
import { uiCommand } from "./ui.ts";
import { uninstallCommand } from "./uninstall.ts";
import { versionCommand } from "./version.ts";
import { waitCommand } from "./wait.ts";

export const COMMANDS: readonly Command[] = [
  serveCommand,
  proxyCommand,
  uiCommand,
  runCommand,
  launchCommand,
  waitCommand,
  ...modelCommands,
  ...historyCommands,
  ...docsCommands,
  ...keyCommands,
  ...backupCommands,
  loginCommand,
  pairCommand,
  ...clientCommands,
  ...fleetCommands,
  ...tokenCommands,
  ...roleCommands,
  ...auditCommands,
  ...receiptCommands,
  ...sandboxCommands,
  launchRunnerCommand,
  ...serviceCommands,
  statusCommand,
  doctorCommand,
  pathsCommand,
  uninstallCommand,
  versionCommand,
  completionCommand,
  helpCommand,
];
