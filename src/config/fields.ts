/**
 * The settings as a table: one row each, with its name in the config file, its environment variable, its flag, its default
 * and its parser. The parsers, the help and the man page are made from it.
 */
import { FIRM } from "./fields/firm.ts";
import { REACH } from "./fields/reach.ts";
import { SERVING } from "./fields/serving.ts";

export type { Config, Field } from "./fields/field.ts";

export const FIELDS = [...SERVING, ...REACH, ...FIRM] as const;

/** Variables that other parts read: known here so that every other `SECLLAMA_*` is an error. */
export const OTHER_ENV = [
  "SECLLAMA_DATA_DIR",
  "SECLLAMA_CONFIG",
  "SECLLAMA_KEY",
  "SECLLAMA_PROFILE",
] as const;

/** Whether an environment variable is one of ours. */
export function isSetting(variable: string): boolean {
  return FIELDS.some(({ env }) => env === variable);
}
