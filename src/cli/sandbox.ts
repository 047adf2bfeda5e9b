/** INTERIM. */
import type { Command } from "./command.ts";
export const sandboxCommands: readonly Command[] = [];
