/**
 * Commands that are named to a user, with the key source that he gave: without it they would look in the key store of the system,
 * where there may be none.
 */
import { lasting } from "../keys/stores/packages.ts";
import type { CommandContext } from "./command.ts";

type Values = CommandContext["values"];

/** What says where the key is. */
const SOURCE = ["key-fd", "key-file", "passphrase-fd", "profile"];

/** The first words of commands that take it. Not read from their table: who is told of an error may load nothing more. */
const KEYED =
  "serve proxy ui run import pull create list ps stop show cp rm history docs key backup restore login pair clients fleet token role audit receipt"
    .split(" ");
/** Commands that a key in memory is of use to. The others want one that is there when they have ended. */
const OF_ONE_TIME = ["serve", "proxy", "ui", "run", "launch", "doctor"];
/** A command's own words: of a group's, two or three. */
const COMMAND =
  /(?<=(?:: |\bor )secllama )(?:fleet audit [a-z]+|(?:history|docs|key|clients|fleet|token|role|audit|receipt) [a-z-]+|[a-z]+)/g;

/** Whether the command takes a key source. @param first Of its words. */
export function takesKey(first: string): boolean {
  return KEYED.includes(first);
}

/**
 * The options that were given, as they are typed, with a space before each: ` --key-file 'my keys.json'`.
 * @param isAsked Of each option's name. Left out: those of the key source.
 */
export function givenOptions(
  values: Values,
  isAsked: (name: string) => boolean = (name) => SOURCE.includes(name),
): string {
  return Object.entries(values).filter(([name]) => isAsked(name)).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) =>
      typeof one === "string" ? ` --${name} ${quoted(one)}` : one === true ? ` --${name}` : ""
    )
  ).join("");
}

/** For a shell. A value that begins with a dash would be taken for an option. */
function quoted(value: string): string {
  return /^[\w@%+:,./][\w@%+=:,./-]*$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}

/** Of a machine that is not this one, or a user who is not this one. */
const ELSEWHERE = /\b(?:on|machines?|there|host|issuer|administrator|gateway)\b/i;

/** The text, and in its commands of this machine the key source that was given here, where they take one and name none. */
export function withGiven(text: string, values: Values): string {
  const given = givenOptions(values);
  if (given === "") return text;
  return text.split(/(; )/).map((clause) => {
    const begin = /(?:: |\bor )secllama /.exec(clause);
    if (begin === null || ELSEWHERE.test(clause.slice(0, begin.index))) return clause;
    if (/--(?:key-fd|key-file|ephemeral|profile|local|gateway)\b/.test(clause)) return clause;
    return clause.replaceAll(
      COMMAND,
      (words) => takesKey(words.split(" ")[0]!) ? words + given : words,
    );
  }).join("");
}

/** What a remark or a hint says to a command's user: as {@link withGiven}, and no key in memory where such a key is refused. */
export function toldOf(first: string, text: string, values: Values): string {
  return withGiven(OF_ONE_TIME.includes(first) ? text : lasting(text), values);
}
