/**
 * Replies of functionary 3.2, whose prompt ends with `>>>`: each part has a line with whom it is for.
 *
 *     all\nText for the user>>>NAME\n{…}>>>python\ncode
 */
import { BodyCall } from "./body_call.ts";
import { MutableSaid, type ReplyReader, type Said } from "./reader.ts";
import { Names, type Tool } from "./tools.ts";
import { isObject } from "./values.ts";

const MARK = ">>>";
/** Around a part's name. */
const MAX_SPACE = 64;

export class FunctionaryReader implements ReplyReader {
  readonly #names: ReadonlySet<string>;
  #state: "header" | "text" | "call" = "header";
  #held = "";
  #call: BodyCall | undefined;
  #calls = 0;
  readonly #known: Names;
  readonly #parameters: ReadonlyMap<string, string>;

  constructor(tools: readonly Tool[]) {
    this.#names = new Set(["all", ...tools.map((tool) => tool.name)]);
    this.#known = new Names(this.#names);
    this.#parameters = new Map(tools.map((tool) => [tool.name, firstParameter(tool)]));
  }

  get inText(): boolean {
    return this.#state === "text";
  }

  push(piece: string): Said {
    this.#held += piece;
    return this.#run(false, false);
  }

  end(cut: boolean): Said {
    return this.#run(true, cut);
  }

  #run(ended: boolean, cut: boolean): Said {
    const said = new MutableSaid();
    for (;;) {
      if (this.#state === "header") {
        const line = this.#held.indexOf("\n");
        const name = this.#held.slice(0, line < 0 ? undefined : line).trim();
        if (line < 0) {
          const hopeful = this.#held.length <= this.#known.longest + MAX_SPACE &&
            this.#known.hasPrefix(name);
          if (hopeful && !(ended && !cut)) return said;
          if (ended && hopeful && this.#names.has(name)) return said;
        }
        if (line >= 0 && this.#names.has(name)) {
          this.#held = this.#held.slice(line + 1);
          this.#state = name === "all" ? "text" : "call";
          if (name !== "all") {
            this.#call = new BodyCall(this.#calls++, name, this.#parameters.get(name)!);
          }
        } else this.#state = "text";
        continue;
      }
      const next = this.#nextPart();
      const keep = next < 0 && !ended ? this.#mayBegin() : 0;
      const end = next < 0 ? this.#held.length - keep : next;
      const text = this.#held.slice(0, end);
      this.#held = this.#held.slice(end);
      if (this.#state === "text") said.say(text);
      else {
        for (const delta of this.#call!.push(text)) said.delta(delta);
        if (next >= 0 || ended) said.delta(this.#call!.end(next < 0 && cut));
      }
      if (next < 0) return said;
      this.#held = this.#held.slice(MARK.length);
      this.#state = "header";
    }
  }

  /** Where `>>>NAME\n` stands; -1 while it does not. A prompt of Python's is text. */
  #nextPart(): number {
    for (let at = this.#held.indexOf(MARK); at >= 0; at = this.#held.indexOf(MARK, at + 1)) {
      const rest = this.#held.slice(at + MARK.length, at + MARK.length + this.#known.longest + 1);
      const line = rest.indexOf("\n");
      if (line >= 0 && this.#names.has(rest.slice(0, line))) return at;
    }
    return -1;
  }

  /** Units at the end that may become the beginning of a part. */
  #mayBegin(): number {
    const longest = MARK.length + this.#known.longest;
    for (let length = Math.min(longest, this.#held.length); length > 0; length--) {
      const tail = this.#held.slice(-length);
      const begins = tail.startsWith(MARK)
        ? this.#known.hasPrefix(tail.slice(MARK.length))
        : MARK.startsWith(tail);
      if (begins) return length;
    }
    return 0;
  }
}

/** What code without a name belongs to. */
function firstParameter({ parameters }: Tool): string {
  const properties = isObject(parameters) && isObject(parameters.properties)
    ? Object.keys(parameters.properties)
    : [];
  return properties[0] ?? "code";
}
