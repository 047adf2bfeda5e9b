/** A command line that was pasted: what a text program, a web page or a chat made of it, and what should not be in one at all. */
import { SecLlamaError } from "../errors.ts";

/** What text programs write for "--". */
const LONG_DASH = /^[\u2010-\u2015\u2212]+(?=[A-Za-z])/;
const QUOTES = /^["'\u00ab\u2018-\u201f]|["'\u00bb\u2018-\u201f]$/g;
/** Spaces that a shell does not part words at, and marks that are not seen. */
const ODD_SPACE = /[\u00a0\u2000-\u200d\u202f\u2060\u3000\ufeff]/;
/** A key, a pairing and a program's token, as they are written, whatever was pasted around them. */
const SECRET = /sl1:[A-Za-z0-9+/=]{20}|secllama-pair-\d+\.\S|slt_[0-9a-f]{12}_[\w-]{8}/i;
/** One of them, and nothing else, as a word or as an option's value. */
const ONLY_SECRET =
  /(?:^|=)(?:sl1:[A-Za-z0-9+/=]{20,}|secllama-pair-\d+\.\S+|slt_[0-9a-f]{12}_[\w-]{8,})$/i;
const PROMPT_SIGNS = ["$", "#", "%", ">", "\u276f"];

/**
 * Looks at words that nothing else can mean. A prompt may hold anything, so nothing after the model of `run` is looked at.
 * @throws {SecLlamaError} `usage`, with the line as it should be; a secret is not repeated.
 */
export function refusePasted(argv: readonly string[]): void {
  const [first] = argv;
  const looked = first === "run" ? argv.slice(0, 2) : argv;
  if (looked.some((word) => SECRET.test(word)) || argv.some((word) => ONLY_SECRET.test(word))) {
    throw new SecLlamaError(
      "usage",
      "a key, a pairing or a token is on the command line: others could read it there",
      {
        hint: "take it as known, and make another; how to hand one over: secllama help keys",
      },
    );
  }
  if (first === undefined) return;
  const refuse = (message: string, words: readonly string[]) => {
    // What follows a model is the prompt, which no error repeats.
    const shown = words[0] === "run" ? words.slice(0, 2) : words;
    throw new SecLlamaError("usage", message, {
      hint: `did you mean: secllama ${shown.join(" ")}`.trimEnd(),
    });
  };
  if (PROMPT_SIGNS.includes(first) || first === "secllama") {
    const rest = argv.slice(first !== "secllama" && argv[1] === "secllama" ? 2 : 1);
    refuse(`"${first}" is no command: it was pasted along`, rest);
  }
  if (first === "ollama") refuse('"ollama" is no command of SecLlama\'s', argv.slice(1));
  const dash = looked.find((word) => LONG_DASH.test(word));
  if (dash !== undefined) {
    const mended = looked.map((word) => word.replace(LONG_DASH, "--"));
    refuse(`"${dash.slice(0, 40)}" begins with a long dash, as text programs write it`, mended);
  }
  const space = looked.find((word) => ODD_SPACE.test(word));
  if (space !== undefined) {
    const mended = looked.flatMap((word) => word.split(new RegExp(ODD_SPACE, "g")).filter(Boolean));
    refuse(
      `"${space.slice(0, 40)}" holds a space that parts no words, as web pages have it`,
      mended,
    );
  }
  const quoted = looked.find((word) => /^[\u00ab\u2018-\u201f]|[\u00bb\u2018-\u201f]$/.test(word));
  if (quoted !== undefined) {
    const mended = looked.map((word) => word.replace(QUOTES, ""));
    refuse(`"${quoted.slice(0, 40)}" is in the quotes that text programs write`, mended);
  }
  if (/^[a-z]+ +\S/.test(first)) refuse("the whole command is in quotes", first.split(/ +/));
}
