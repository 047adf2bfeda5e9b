/** Watches a reply's thought, and ends one that becomes too long by putting in what ends it. */
import type { ThoughtLimit } from "./types.ts";

export class ThoughtGuard {
  readonly #limit: ThoughtLimit;
  #state: "start" | "inside" | "over";
  /** The end of the text so far, as long as it takes to find a tag. */
  #text = "";
  /** Tokens of the tag that are put in already. */
  #put = 0;

  constructor(limit: ThoughtLimit) {
    this.#limit = limit;
    this.#state = limit.open === undefined ? "inside" : "start";
  }

  /** The token to put in next, if the thought is to end now. @param tokens Of the reply so far. */
  due(tokens: number): number | undefined {
    const { closeTokens, most } = this.#limit;
    if (this.#state !== "inside" || tokens < most) return undefined;
    return closeTokens[this.#put];
  }

  /** @param text The token's text, that of control tokens too. @param put Whether it was put in. */
  see(text: string, put: boolean): void {
    if (this.#state === "over") return;
    this.#put = put ? this.#put + 1 : 0;
    this.#text += text;
    const { open, close, closeTokens } = this.#limit;
    if (this.#state === "start") {
      const begun = this.#text.trimStart();
      if (begun.startsWith(open!)) {
        this.#state = "inside";
        this.#text = begun.slice(open!.length);
      } else if (!open!.startsWith(begun)) this.#state = "over";
    }
    if (this.#state !== "inside") return;
    if (this.#text.includes(close) || this.#put >= closeTokens.length) this.#state = "over";
    this.#text = this.#text.slice(-close.length);
  }
}
