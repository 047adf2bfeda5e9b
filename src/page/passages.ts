/**
 * The passages of a document that a question is about. Robertson's BM25 over pieces of some 1,200 characters, in the page's memory:
 * the document goes nowhere, and is in no index.
 */
import { foldedWords } from "../api/folding.ts";
import type { Attachment } from "./types.ts";

/** A document up to this goes into the prompt whole. */
const WHOLE = 6_000;
const PIECE = 1_200;
/** Of a larger one, as many pieces. */
const MOST = 5;
const K1 = 1.2;
const B = 0.75;

/** A piece of a text. */
interface Passage {
  readonly text: string;
  /** From 1. */
  readonly firstLine: number;
  readonly lastLine: number;
}

/** Cuts a text at its empty lines, else at lines, into pieces of about 1,200 characters. Nothing is left out. */
export function passagesOf(text: string): Passage[] {
  const lines = text.split("\n").flatMap((line, i) =>
    line.length <= PIECE
      ? [{ line, number: i + 1 }]
      : (line.match(/[^]{1,1200}/g) ?? []).map((part) => ({ line: part, number: i + 1 }))
  );
  const passages: Passage[] = [];
  let held: typeof lines = [];
  let size = 0;
  const close = () => {
    if (held.some(({ line }) => line.trim() !== "")) {
      passages.push({
        text: held.map(({ line }) => line).join("\n").trim(),
        firstLine: held[0]!.number,
        lastLine: held.at(-1)!.number,
      });
    }
    held = [];
    size = 0;
  };
  for (const one of lines) {
    if (size + one.line.length > PIECE || one.line.trim() === "" && size > PIECE / 2) close();
    held.push(one);
    size += one.line.length + 1;
  }
  close();
  return passages;
}

/** Indices of the passages that fit the question, the best first. */
export function rank(passages: readonly Pick<Passage, "text">[], question: string): number[] {
  const words = passages.map(({ text }) => foldedWords(text));
  const mean = words.reduce((sum, { length }) => sum + length, 0) / Math.max(1, words.length);
  const scores = passages.map(() => 0);
  for (const word of new Set(foldedWords(question))) {
    const counts = words.map((list) => list.reduce((n, one) => n + (one === word ? 1 : 0), 0));
    const having = counts.filter((n) => n > 0).length;
    const weight = Math.log(1 + (passages.length - having + 0.5) / (having + 0.5));
    counts.forEach((n, i) => {
      const length = 1 - B + B * words[i]!.length / mean;
      scores[i]! += weight * n * (K1 + 1) / (n + K1 * length);
    });
  }
  return scores.map((score, i) => [score, i] as const).filter(([score]) => score > 0)
    .toSorted(([a], [b]) => b - a).map(([, i]) => i);
}

/** What of a document goes with a question: all of it, or the passages that fit, in their order. */
export function chosenOf(document: Attachment, question: string): Attachment[] {
  if (document.text.length <= WHOLE) return [document];
  const passages = passagesOf(document.text);
  const best = rank(passages, question).slice(0, MOST);
  // Nothing fits: its beginning says at least what it is.
  const taken = best.length > 0 ? best.toSorted((a, b) => a - b) : [0];
  return taken.map((i) => {
    const { text, firstLine, lastLine } = passages[i]!;
    return { name: document.name, text, where: `lines ${firstLine}–${lastLine}` };
  });
}
