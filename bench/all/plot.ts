/** A plot of one table: each row's samples as parts of its goal, on a scale where ten times as much is as far as a tenth. */
import { median } from "../median.ts";
import { type Goal, isMet } from "./goals.ts";

const WIDTH = 860, LEFT = 420, RIGHT = 40, TOP = 48, STEP = 26;
const MARKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
/** Also told apart without colours: a missed goal is a ring. */
const INK = { met: "#1a7f37", missed: "#b3261e", text: "#24292f", faint: "#d0d7de" };

interface PlotRow {
  readonly goal: Goal;
  readonly samples: readonly number[];
}

/** @returns An SVG file. */
export function plot(title: string, rows: readonly PlotRow[]): string {
  // A goal of nothing at all is drawn as whether there was one.
  const parts = rows.map(({ goal, samples }) =>
    samples.map((one) => goal.goal === 0 ? (one === 0 ? 1 : 10) : one / goal.goal)
  );
  const all = [0.5, 2, ...parts.flat().map((part) => Math.max(part, 0.01))];
  const [low, high] = [Math.log(Math.min(...all) / 1.1), Math.log(Math.max(...all) * 1.1)];
  const x = (part: number) =>
    LEFT + (Math.log(Math.max(part, 0.01)) - low) / (high - low) * (WIDTH - LEFT - RIGHT);
  const height = TOP + rows.length * STEP + 34;
  const bottom = height - 34;
  const at = (value: number) => value.toFixed(1);
  const lines = MARKS.filter((mark) => Math.log(mark) > low && Math.log(mark) < high).map((mark) =>
    `<line x1="${at(x(mark))}" y1="${TOP - 8}" x2="${at(x(mark))}" y2="${bottom}" stroke="${
      mark === 1 ? INK.text : INK.faint
    }"${mark === 1 ? ' stroke-dasharray="4 3"' : ""}/>` +
    `<text x="${at(x(mark))}" y="${bottom + 16}" text-anchor="middle">${mark}</text>`
  );
  const drawn = rows.map(({ goal, samples }, i) => {
    const y = TOP + i * STEP + STEP / 2;
    const [least, most] = [Math.min(...parts[i]!), Math.max(...parts[i]!)];
    const met = isMet(goal, median(samples));
    const colour = met ? INK.met : INK.missed;
    return `<text x="${LEFT - 12}" y="${y + 4}" text-anchor="end">${
      escaped(short(goal.name))
    }</text>` +
      `<line x1="${at(x(least))}" y1="${y}" x2="${
        at(x(most))
      }" y2="${y}" stroke="${colour}" stroke-width="3"/>` +
      `<circle cx="${
        at(x(median(parts[i]!)))
      }" cy="${y}" r="5" stroke="${colour}" stroke-width="2" fill="${met ? colour : "#ffffff"}"/>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" fill="${INK.text}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="16" y="24" font-size="15" font-weight="bold">${escaped(title)}</text>`,
    ...lines,
    ...drawn,
    `<text x="${LEFT}" y="${
      height - 2
    }" font-size="11">parts of the goal; ● met, ○ missed; line: lowest to highest</text>`,
    "</svg>",
    "",
  ].join("\n");
}

function short(name: string): string {
  const plain = name.replaceAll("`", "");
  return plain.length > 62 ? `${plain.slice(0, 61)}…` : plain;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}
