/**
 * Drawn shapes and digits with what is true of them: what the seeing model (scripts/seeing_model) is tested with. It learned from
 * other drawings, by other code and other random numbers: here each pixel is the mean of sixteen points. Not used by the runner.
 */
import { deflateSync } from "node:zlib";
import { seeded } from "../../../tests/support/seeds.ts";
import { png } from "./testing_pictures.ts";

/** Units of a side; the model was taught in these. */
const UNITS = 48;
const POINTS = 4;
const SHAPES = ["circle", "square", "triangle", "cross", "ring"] as const;
const COLOURS: Readonly<Record<string, readonly [number, number, number]>> = {
  red: [220, 30, 30],
  green: [30, 160, 50],
  blue: [40, 70, 220],
  yellow: [240, 215, 30],
  purple: [150, 40, 180],
  orange: [245, 135, 20],
};
const NUMBERS = ["none", "one", "two", "three", "four"];
const ROWS = ["top", "", "bottom"], COLUMNS = ["left", "", "right"];
/** Strokes of a display's digit, in a box of 1 × 2. */
const STROKES: Readonly<Record<string, readonly [number, number, number, number]>> = {
  a: [0, 0, 1, 0],
  b: [1, 0, 1, 1],
  c: [1, 1, 1, 2],
  d: [0, 2, 1, 2],
  e: [0, 1, 0, 2],
  f: [0, 0, 0, 1],
  g: [0, 1, 1, 1],
};
const DIGITS = "abcdef bc abged abgcd fgbc afgcd afgedc abc abcdefg abcdfg".split(" ");
const GREYS = [255, 250, 235, 215, 60, 30, 0];
/** No centre is nearer to a line between thirds, in units. */
const MARGIN = 2;

interface Thing {
  readonly kind: string;
  readonly colour: string;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/** A picture, a question on it, and the one right answer. */
interface Drawn {
  readonly picture: Uint8Array<ArrayBuffer>;
  readonly kind: string;
  readonly question: string;
  readonly answer: string;
}

function isInside({ kind, x, y, radius: r }: Thing, px: number, py: number): boolean {
  const [dx, dy] = [px - x, py - y];
  switch (kind) {
    case "circle":
      return Math.hypot(dx, dy) < r;
    case "square":
      return Math.max(Math.abs(dx), Math.abs(dy)) < 0.88 * r;
    case "ring":
      return Math.abs(Math.hypot(dx, dy) - 0.78 * r) < 0.24 * r;
    case "cross": {
      const [least, most] = [
        Math.min(Math.abs(dx), Math.abs(dy)),
        Math.max(Math.abs(dx), Math.abs(dy)),
      ];
      return least < 0.3 * r && most < r;
    }
    case "triangle":
      return dy < 0.8 * r && 0.88 * Math.abs(dx) < 0.47 * (dy + r);
    default: {
      const half = r / 2;
      return [...DIGITS[Number(kind)]!].some((name) => {
        const [x0, y0, x1, y1] = STROKES[name]!.map((v) => v * half) as [
          number,
          number,
          number,
          number,
        ];
        const [qx, qy] = [dx + half / 2, dy + half];
        const nearest = (q: number, a: number, b: number) =>
          Math.min(Math.max(q, Math.min(a, b)), Math.max(a, b));
        return Math.hypot(qx - nearest(qx, x0, x1), qy - nearest(qy, y0, y1)) < 0.18 * r;
      });
    }
  }
}

function place({ x, y }: Thing): string {
  const third = (at: number) => Math.floor(at / (UNITS / 3));
  return `${ROWS[third(y)]} ${COLUMNS[third(x)]}`.trim() || "middle";
}

/** The picture of this number. */
export function drawing(seed: number, number: number): Drawn {
  const random = seeded(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b));
  const below = (count: number) => Math.floor(random() * count);
  const pick = <T>(list: readonly T[]) => list[below(list.length)]!;
  const between = (low: number, high: number) => low + random() * (high - low);
  const isDigit = random() < 0.3;
  const kinds = isDigit
    ? [String(below(10))]
    : Array.from({ length: 1 + below(4) }, () => pick(SHAPES) as string);
  let things: Thing[] = [];
  while (things.length < kinds.length) {
    const radius = isDigit ? between(10, 15) : between(5, 8);
    const reach = (isDigit ? 0.72 : 1) * radius + 0.5;
    const [x, y] = [between(reach, UNITS - reach), between(reach, UNITS - reach)];
    const lines = [UNITS / 3, 2 * UNITS / 3];
    if (lines.some((line) => Math.min(Math.abs(x - line), Math.abs(y - line)) < MARGIN)) continue;
    if (things.some((o) => Math.hypot(x - o.x, y - o.y) < radius + o.radius + 1)) {
      if (random() < 0.02) things = [];
      continue;
    }
    const colour = pick(Object.keys(COLOURS));
    things.push({ kind: kinds[things.length]!, colour, x, y, radius });
  }
  const side = pick([48, 96, 150, 200]);
  const grey = pick(GREYS);
  return { picture: paint(things, side, [grey, grey, grey]), ...pick(questions(things, below)) };
}

function paint(things: readonly Thing[], side: number, ground: readonly number[]) {
  const rows = new Uint8Array(side * (1 + 3 * side));
  const unit = UNITS / side;
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      // The farthest is a ring: 1.02 of its radius.
      const near = things.filter(({ x, y, radius }) =>
        Math.max(Math.abs((column + 0.5) * unit - x), Math.abs((row + 0.5) * unit - y)) <
          1.1 * radius + unit
      );
      if (near.length === 0) {
        rows.set(ground, row * (1 + 3 * side) + 1 + 3 * column);
        continue;
      }
      const sum = [0, 0, 0];
      for (let point = 0; point < POINTS ** 2; point++) {
        const px = (column + (point % POINTS + 0.5) / POINTS) * unit;
        const py = (row + (Math.floor(point / POINTS) + 0.5) / POINTS) * unit;
        const thing = near.find((one) => isInside(one, px, py));
        const colour = thing === undefined ? ground : COLOURS[thing.colour]!;
        for (let channel = 0; channel < 3; channel++) sum[channel]! += colour[channel]!;
      }
      rows.set(
        sum.map((one) => Math.round(one / POINTS ** 2)),
        row * (1 + 3 * side) + 1 + 3 * column,
      );
    }
  }
  return png(side, side, new Uint8Array(deflateSync(rows)));
}

/** All that there is one right answer to. */
function questions(
  things: readonly Thing[],
  below: (count: number) => number,
): Omit<Drawn, "picture">[] {
  const [first] = things as [Thing];
  const ask = (kind: string, question: string, answer: string) => ({ kind, question, answer });
  if (/\d/.test(first.kind)) {
    return [
      ask("digit", "What digit is this?", first.kind),
      ask("digit", "Which digit do you see?", first.kind),
      ask("colour", "What colour is the digit?", first.colour),
      ask("where", "Where is the digit?", place(first)),
    ];
  }
  const alone = (name: "kind" | "colour", thing: Thing) =>
    things.filter((one) => one[name] === thing[name]).length === 1;
  const absent = SHAPES.filter((shape) => things.every(({ kind }) => kind !== shape));
  return [
    ask("count", "How many shapes are there?", NUMBERS[things.length]!),
    ask("is there", `Is there a ${first.kind}?`, "yes"),
    ask("is there", `Is there a ${absent[below(absent.length)]}?`, "no"),
    ...(things.length === 1
      ? [
        ask("shape", "What shape is this?", first.kind),
        ask("colour", "What colour is it?", first.colour),
      ]
      : []),
    ...things.filter((thing) => alone("kind", thing)).flatMap((thing) => [
      ask("colour", `What colour is the ${thing.kind}?`, thing.colour),
      ask("where", `Where is the ${thing.kind}?`, place(thing)),
    ]),
    ...things.filter((thing) => alone("colour", thing)).map((thing) =>
      ask("shape", `What shape is ${thing.colour}?`, thing.kind)
    ),
  ];
}
