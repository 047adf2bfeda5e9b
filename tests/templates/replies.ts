/** Replies as the corpus' templates write them, and how they are read. */
import { Budget, runAtOnce } from "../../src/budget.ts";
import { readerFor } from "../../src/replies/formats.ts";
import type { ParsedCall } from "../../src/replies/tools.ts";
import type { Write } from "../../src/replies/written_calls.ts";
import { adapt } from "../../src/templates/adapt.ts";
import { PLACEHOLDERS } from "../../src/templates/mod.ts";
import type { Random } from "../jinja/generate.ts";
import type { Member } from "./corpus.ts";

/** What a member's template makes of messages. */
export function writer({ template }: Member): Write {
  return (messages, tools, addGenerationPrompt) => {
    const o = { tools, addGenerationPrompt, specials: PLACEHOLDERS };
    const budget = new Budget({ what: "the chat template" });
    return runAtOnce(template.renderAs(adapt({ messages, tools }, template.needs), o, budget));
  };
}

/** A reply in pieces, read. */
export function readReply(options: Parameters<typeof readerFor>[0], pieces: readonly string[]) {
  const { reader } = readerFor(options);
  const said = [...pieces.map((piece) => reader.push(piece)), reader.end(false)];
  return {
    text: said.map(({ text }) => text).join(""),
    thinking: said.map(({ thinking }) => thinking).join(""),
    calls: said.flatMap(({ calls }): readonly ParsedCall[] => calls),
  };
}

/** A text in pieces, most of them short. */
export function cut(text: string, random: Random): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const length = 1 + random.below(random.below(3) === 0 ? 20 : 3);
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}
