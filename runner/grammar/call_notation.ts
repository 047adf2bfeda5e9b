/** How a family of models writes a call's arguments, as a notation for the rules of schemas. */
import type { ArgumentsForm, MarkupArguments } from "../../src/replies/call_forms.ts";
import type { Reading, Tools } from "../../src/replies/tools.ts";
import { accepts, type Automaton, Budget } from "./automaton.ts";
import { bareTexts } from "./bare_rules.ts";
import { codeSet, complement, TRIMMED } from "./code_set.ts";
import { literal } from "./gbnf.ts";
import { JSON_NOTATION, type Notation, type TextNotation } from "./notation.ts";
import {
  all,
  ANY_TEXT,
  automatonOf,
  codes,
  DIGIT,
  either,
  not,
  plain,
  type Regular,
  repeat,
  sequence,
} from "./regular.ts";

/** What is made of a form, which never changes: once. */
const MADE = new Map<string, Automaton>();
const MAX_STEPS = 1_000_000;

function made(key: string, make: () => Regular): Automaton {
  let automaton = MADE.get(key);
  if (automaton === undefined) {
    MADE.set(key, automaton = automatonOf(make(), new Budget(MAX_STEPS)));
  }
  return automaton;
}

/** A form's text in GBNF: its signs are those of `call_forms.ts`. */
export function formText(text: string): string {
  const parts = text.split(/([~^#@])/).filter((part) => part !== "");
  return parts.map((part) => SIGNS[part] ?? literal(part)).join(" ") || '""';
}

const SIGNS: Readonly<Record<string, string>> = {
  "~": "gap",
  "^": '" "?',
  "#": "[0-9] [0-9]? [0-9]?",
  "@": "[0-9A-Za-z_-]{1,40}",
};

/** @param tool One of `tools`, whose arguments they are. */
export function argumentsNotation(form: ArgumentsForm, tools: Tools, tool: string): Notation {
  switch (form.kind) {
    case "json":
      return JSON_NOTATION;
    case "python":
      return {
        ...PYTHON,
        id: "python-arguments",
        object: ["", "", `"," ws`],
        member: ["", `"="`, ""],
        // No identifiers of Python's only: tools' parameters have names of JSON's.
        names: made(
          "identifiers",
          () => sequence(LETTER, repeat(either(LETTER, DIGIT, plain("."), plain("-")), 0)),
        ),
        inner: () => PYTHON,
      };
    case "gemma":
      return gemma(form.quote);
    case "markup": {
      const wanted = form.orJson === undefined ? [] : tools.required(tool);
      const fits = wanted.every((name) => accepts(WORDS(), name));
      return fits ? markup(form, tools, tool) : JSON_NOTATION;
    }
  }
}

const LETTER = codes(codeSet([[0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]));

/** Python's values, of which the texts and the rest are JSON's. */
const PYTHON: Notation = {
  ...JSON_NOTATION,
  id: "python",
  isJson: false,
  words: [`("True" | "False" | "true" | "false")`, `("None" | "null")`],
  constants: (value) => value ? `("True" | "true")` : `("False" | "false")`,
};

/** No name is told from what stands around it by a quote. */
function gemma(quote: string): Notation {
  return {
    ...JSON_NOTATION,
    id: `gemma ${quote}`,
    isJson: false,
    names: WORDS(),
    member: ["", `":" ws`, ""],
    // Gemma 4's template sorts.
    sorted: quote === '<|"|>',
    words: ["boolean", `("null" | "None")`],
    text: {
      around: [literal(quote), literal(quote)],
      way: "plain",
      texts: made(`without ${quote}`, () => not(sequence(ANY_TEXT, plain(quote), ANY_TEXT))),
      character: PLAIN,
    },
  };
}

/** What a name in markup does not hold: white space, quotes, and what tags and objects are made of. */
const NO_WORD = [
  ...TRIMMED,
  ...[...`"'<>{}[],:=&`].map((char) => [char.codePointAt(0)!, char.codePointAt(0)!] as const),
  [0, 0x20],
] as const;

const WORDS = () => made("words", () => repeat(codes(complement(codeSet(NO_WORD))), 1));

/** A character with which no tag begins. */
const PLAIN = "[^<\\x00]";

function markup(form: MarkupArguments, tools: Tools, tool: string): Notation {
  const [before, after, end] = form.name.map(formText) as [string, string, string];
  const key = JSON.stringify(form.name);
  const space = repeat(codes(TRIMMED), 0);
  const ends = either(
    sequence(plain(form.close), space, either(...form.next.map(plain)), ANY_TEXT),
    ...(form.endsByLine
      ? [sequence(plain(form.close), space, plain("\n"), space, plain("</"), ANY_TEXT)]
      : []),
  );
  const within = made(`within ${key}`, () => not(sequence(ANY_TEXT, ends)));
  // A closing tag at a text's end, and the line break before the value's own: that would end it.
  const line = form.name[2].startsWith("\n") ? [] : [plain("\n"), space];
  const apart = made(
    `apart ${key}`,
    () =>
      form.endsByLine === undefined ? not(sequence(ANY_TEXT, ends)) : all(
        not(sequence(ANY_TEXT, ends)),
        not(sequence(ANY_TEXT, plain(form.close), space, ...line)),
      ),
  );
  const text: TextNotation = {
    ...JSON_NOTATION.text,
    texts: within,
    character: '([^"\\\\<\\x00-\\x1F] | escape)',
  };
  const json: Notation = { ...JSON_NOTATION, id: `json in ${key}`, isJson: false, text };
  const [asText, asOther] = form.says ?? ["", ""];
  const value = (reading: Reading): Notation => {
    const kind = reading.kind === "typed" ? [...reading.types].sort().join() : reading.kind;
    return {
      ...JSON_NOTATION,
      id: `${key} ${kind}`,
      isJson: false,
      text: {
        around: ['""', '""'],
        way: "plain",
        texts: made(`${key} ${kind}`, () => ({
          kind: "automaton",
          automaton: bareTexts(reading, apart, new Budget(MAX_STEPS)),
        })),
        ...(reading.kind === "text" ? { character: PLAIN } : {}),
      },
      bare: {
        text: [formText(asText) + " " + after, end],
        other: [formText(asOther) + " " + after, end],
        json,
        reading,
      },
    };
  };
  return {
    ...JSON_NOTATION,
    id: `markup ${key} ${tool}`,
    isJson: false,
    object: ["", "", '""'],
    member: [before, "", ""],
    names: WORDS(),
    inner: (name) => value(form.says === undefined ? tools.reading(tool, name) : { kind: "text" }),
  };
}
