/** The commands of the model store, in the order of `secllama help`. */
import type { Command } from "../command.ts";
import { copyCommand } from "./cp.ts";
import { createCommand } from "./create.ts";
import { importCommand } from "./import.ts";
import { listCommand } from "./list.ts";
import { psCommand } from "./ps.ts";
import { pullCommand } from "./pull.ts";
import { removeCommand } from "./rm.ts";
import { showCommand } from "./show.ts";
import { stopCommand } from "./stop.ts";
import { signingCommands } from "./signing.ts";
import { verifyCommand } from "./verify.ts";

/** `secllama import`, `pull`, `create` and the others on models. */
export const modelCommands: Command[] = [
  importCommand,
  pullCommand,
  createCommand,
  listCommand,
  psCommand,
  stopCommand,
  showCommand,
  copyCommand,
  removeCommand,
  verifyCommand,
  ...signingCommands,
];
