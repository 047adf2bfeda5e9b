/**
 * The text that a picture is made of. Two kinds, one thing a line; `#` begins a comment.
 *
 *     flow                                       sequence
 *     title Who sees what                        title A request
 *     node app plain "app" "any client"          actor client "client"
 *     node proxy plain "proxy" "seals, opens"    actor gateway "gateway"
 *     edge app proxy plain "loopback"            client -> gateway cipher "sealed request"
 *     row                                        note gateway "reads the header only"
 *
 * `plain` and `cipher` say what passes, or what a program sees: plaintext or ciphertext. `none`: neither. `row` begins a new row of
 * nodes.
 */

export const TONES = ["plain", "cipher", "none"] as const;
export type Tone = typeof TONES[number];

export interface Node {
  readonly id: string;
  readonly tone: Tone;
  /** The name, then lines of smaller text. */
  readonly lines: readonly string[];
  readonly row: number;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
  readonly tone: Tone;
  readonly label: string;
}

export interface Flow {
  readonly kind: "flow";
  readonly title: string;
  readonly nodes: readonly Node[];
  readonly edges: readonly Edge[];
}

export type Step =
  | ({ readonly kind: "message" } & Edge)
  | { readonly kind: "note"; readonly at: string; readonly lines: readonly string[] };

export interface Sequence {
  readonly kind: "sequence";
  readonly title: string;
  readonly actors: readonly { readonly id: string; readonly name: string }[];
  readonly steps: readonly Step[];
}

/**
 * Reads a picture's text.
 * @throws {SyntaxError} Naming the line that is wrong.
 */
export function parsePicture(text: string): Flow | Sequence {
  const lines = text.split("\n").map((line, i) => ({ words: wordsOf(line), number: i + 1 }))
    .filter(({ words }) => words.length > 0);
  const kind = lines.shift()?.words[0];
  if (kind !== "flow" && kind !== "sequence") throw new SyntaxError("line 1: flow or sequence");
  let title = "";
  let row = 0;
  const nodes: Node[] = [];
  const edges: Edge[] = [];
  const actors: { id: string; name: string }[] = [];
  const steps: Step[] = [];
  const known = (id: string | undefined, number: number): string => {
    if (id !== undefined && [...nodes, ...actors].some((one) => one.id === id)) return id;
    throw new SyntaxError(`line ${number}: there is no ${id}`);
  };
  for (const { words, number } of lines) {
    const [word, ...rest] = words;
    if (word === "title") title = rest.join(" ");
    else if (word === "row") row++;
    else if (word === "node") {
      nodes.push({ id: rest[0]!, tone: toneOf(rest[1], number), lines: rest.slice(2), row });
    } else if (word === "edge") {
      const [from, to, tone, label = ""] = rest;
      edges.push({
        from: known(from, number),
        to: known(to, number),
        tone: toneOf(tone, number),
        label,
      });
    } else if (word === "actor") actors.push({ id: rest[0]!, name: rest[1] ?? rest[0]! });
    else if (word === "note") {
      steps.push({ kind: "note", at: known(rest[0], number), lines: rest.slice(1) });
    } else if (rest[0] === "->") {
      const [, to, tone, label = ""] = rest;
      steps.push({
        kind: "message",
        from: known(word, number),
        to: known(to, number),
        tone: toneOf(tone, number),
        label,
      });
    } else throw new SyntaxError(`line ${number}: ${word} is not known`);
  }
  return kind === "flow" ? { kind, title, nodes, edges } : { kind, title, actors, steps };
}

function toneOf(word: string | undefined, number: number): Tone {
  const tone = TONES.find((one) => one === word);
  if (tone === undefined) throw new SyntaxError(`line ${number}: one of ${TONES.join(", ")}`);
  return tone;
}

/** Words and texts in quotes, without what follows a `#`. */
function wordsOf(line: string): string[] {
  return [...line.replace(/^\s*#.*$/, "").matchAll(/"([^"]*)"|(\S+)/g)].map((m) => m[1] ?? m[2]!);
}
