/** A grammar that a client wrote in GBNF, made a part of ours: its rules under names of their own, its counts bounded. */
import { Inexpressible } from "./refusal.ts";

/** Tunables. */
const LIMITS = {
  bytes: 256 * 1024,
  /** One repetition's count, and all of them together: llama.cpp writes each copy out. */
  repetition: 1000,
  repetitions: 20_000,
} as const;

/** What stands in GBNF: comments, literals, classes, counts, names with what makes them a definition, and the rest. */
const TOKEN =
  /#[^\n]*|"(?:[^"\\\n]|\\[^\n])*"|\[(?:[^\]\\\n]|\\[^\n])*\]|\{\s*(\d*)\s*(,?)\s*(\d*)\s*\}|([A-Za-z0-9-]+)(\s*::=)?|[^]/g;

/**
 * Whether it can be parsed otherwise is llama.cpp's word.
 * @param prefix What no other rule's name begins with.
 * @returns Lines of rules; `${prefix}root` is where they begin.
 * @throws {Inexpressible} when it has no `root`, or is too large.
 */
export function renameRules(source: string, prefix: string): string {
  if (source.length > LIMITS.bytes) throw new Inexpressible("it is too large");
  if (source.includes("\0")) throw new Inexpressible("it holds a NUL");
  let repetitions = 0;
  let hasRoot = false;
  const text = source.replace(TOKEN, (token, least, _comma, most, name, defines) => {
    if (token.startsWith("#")) return "";
    if (token.startsWith("{") && least !== undefined) {
      const count = Math.max(Number(least), Number(most));
      repetitions += count;
      if (!(count <= LIMITS.repetition)) {
        throw new Inexpressible(`it repeats more than ${LIMITS.repetition} times`);
      }
    }
    if (name === undefined) return token;
    hasRoot ||= name === "root" && defines !== undefined;
    return `${prefix}${name}${defines ?? ""}`;
  });
  if (repetitions > LIMITS.repetitions) {
    throw new Inexpressible(`it repeats more than ${LIMITS.repetitions} times in all`);
  }
  if (!hasRoot) throw new Inexpressible("it has no rule root");
  return `${text.trim()}\n`;
}
