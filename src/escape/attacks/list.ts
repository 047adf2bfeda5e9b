/** The whole attack list, in the order in which reports show it. */
import type { Attack } from "./attack.ts";
import { BOMBS } from "./bombs.ts";
import { EXECUTE } from "./execute.ts";
import { FILES } from "./files.ts";
import { KERNEL } from "./kernel.ts";
import { NETWORK } from "./network.ts";
import { PROCESS } from "./process.ts";

export const ATTACKS: readonly Attack[] = [
  ...NETWORK,
  ...PROCESS,
  ...FILES,
  ...KERNEL,
  ...EXECUTE,
  ...BOMBS,
];
