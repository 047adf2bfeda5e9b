/**
 * What a PDF's page is painted of, as pdf.js's operators say it: the pictures that are seen, in their order. A page of which something
 * that is seen would be left out is refused: a black bar over a name is painted over the picture, and is not in it.
 */
import { type Box, type Matrix, overlap, type Placed, type Raster, times } from "./scan.ts";

/** Operators and what they are given, one after the other, and pdf.js's numbers of them. */
interface Operators {
  readonly fnArray: readonly number[];
  readonly argsArray: readonly unknown[];
}

/** What a page is read with. */
interface PageReader {
  /** pdf.js's `OPS`. */
  readonly numbers: Readonly<Record<string, number>>;
  /** The pixels of a picture that an operator names or holds. Rejects if they could not be decoded. */
  raster(given: unknown, stencil: boolean): Promise<Raster>;
  /** Whether a layer of the file is seen. */
  isVisible(layer: unknown): boolean;
}

/** How what comes next is painted. */
interface State {
  readonly matrix: Matrix;
  readonly paint: readonly [number, number, number];
  /** 0 to 1. */
  readonly alpha: number;
  /** Of a line, in its own units. */
  readonly lineWidth: number;
  /** Undefined: all of the page is; "odd": what is no rectangle. */
  readonly clip: Box | "odd" | undefined;
  /** Why what is painted so is not what is seen; undefined: it is. */
  readonly odd: string | undefined;
  /** It is no part of the page, but of a mask. */
  readonly isMask: boolean;
}

const START: State = {
  matrix: [1, 0, 0, 1, 0, 0],
  paint: [0, 0, 0],
  alpha: 1,
  lineWidth: 1,
  clip: undefined,
  odd: undefined,
  isMask: false,
};

/** A stencil of one pixel, which is painted. */
const SOLID: Raster = { width: 1, height: 1, kind: 1, data: new Uint8Array([0]) };

/** Those that paint, by pdf.js's names; text is not among them: it is read as text. */
const PAINTS = /^(?:paint|shadingFill|rawFillPath|beginInlineImage)/;
/** pdf.js's `DrawOPS`: how many numbers follow each. */
const NUMBERS_OF = [2, 2, 6, 4, 0];
const [MOVE, CURVE] = [0, 2];

/**
 * The pictures of a page that are seen, from the lowest up.
 * @throws {Error} If something else than text is painted over them, or one of them could not be laid as it is seen.
 */
export async function picturesOf(
  { fnArray, argsArray }: Operators,
  { numbers, raster, isVisible }: PageReader,
): Promise<Placed[]> {
  const names = new Map(Object.entries(numbers).map(([name, number]) => [number, name]));
  const pictures: Placed[] = [];
  const saved: State[] = [];
  const layers: boolean[] = [];
  let state = START;
  let clips = false;
  const set = (more: Partial<State>) => state = { ...state, ...more };
  const save = () => saved.push(state);
  const isSeen = () => !state.isMask && state.alpha > 0 && layers.every((seen) => seen);
  const place = async (given: unknown, stencil: boolean, matrix = state.matrix) => {
    if (!isSeen()) return;
    if (state.odd !== undefined && (pictures.length > 0 || state.odd === "mask")) {
      throw odd(state.odd);
    }
    if (state.clip === "odd") throw odd("clip");
    pictures.push({
      matrix,
      raster: given === SOLID ? SOLID : await raster(given, stencil),
      paint: stencil ? state.paint : undefined,
      alpha: state.alpha,
      clip: state.clip,
    });
  };
  /** Something is painted that is no picture. */
  const over = (box: Box | undefined) => {
    if (!isSeen()) return;
    const seen = box && (state.clip === "odd" ? box : overlap(box, state.clip));
    const hides = pictures.some(({ matrix, clip }) => {
      const picture = overlap(boxOf(matrix), clip);
      return box === undefined || seen && picture && overlap(seen, picture) !== undefined;
    });
    if (hides) throw odd("something is painted over it");
  };
  for (const [i, number] of fnArray.entries()) {
    const name = names.get(number) ?? "";
    const args = Array.from(argsArray[i] as ArrayLike<unknown> ?? []);
    switch (name) {
      case "save":
        save();
        break;
      case "restore":
      case "endGroup":
      case "paintFormXObjectEnd":
      case "endAnnotation":
        state = saved.pop() ?? state;
        break;
      case "transform":
        set({ matrix: times(state.matrix, args as unknown as Matrix) });
        break;
      case "beginGroup":
        save();
        set({ isMask: state.isMask || Boolean(Object(args[0]).smask) });
        break;
      case "paintFormXObjectBegin":
        save();
        if (args[0]) set({ matrix: times(state.matrix, args[0] as Matrix) });
        if (args[1]) set({ clip: clipped(state, args[1] as Box) });
        break;
      case "beginAnnotation":
        save();
        state = { ...START, clip: args[1] ? overlap(args[1] as Box, undefined) : undefined };
        for (const matrix of [args[2], args[3]]) {
          if (matrix) set({ matrix: times(state.matrix, matrix as Matrix) });
        }
        break;
      case "beginMarkedContent":
        layers.push(true);
        break;
      case "beginMarkedContentProps":
        layers.push(args[0] !== "OC" || isVisible(args[1]));
        break;
      case "endMarkedContent":
        layers.pop();
        break;
      case "setGState":
        state = withParameters(state, args[0]);
        break;
      case "setLineWidth":
        set({ lineWidth: Number(args[0]) });
        break;
      case "setFillRGBColor":
        set({ paint: colorOf(args[0]) });
        break;
      case "clip":
      case "eoClip":
        clips = true;
        break;
      case "constructPath": {
        const [how, data, box] = args as [number, ArrayLike<unknown>, Box | undefined];
        const painted = names.get(how) ?? "";
        if (!painted.endsWith("Path") && box) {
          over(boxOf(state.matrix, /stroke/i.test(painted) ? around(box, state.lineWidth) : box));
        }
        if (clips) {
          set({
            clip: isRectangle(data?.[0], box) ? clipped(state, box!) : clippedOddly(state, box),
          });
        }
        clips = false;
        break;
      }
      case "paintImageXObject":
      case "paintInlineImageXObject":
        await place(args[0], false);
        break;
      case "paintImageMaskXObject":
        await place(args[0], true);
        break;
      case "paintSolidColorImageMask":
        await place(SOLID, true);
        break;
      case "paintImageMaskXObjectGroup":
        for (const one of args[0] as { transform: Matrix }[]) {
          await place(one, true, times(state.matrix, one.transform));
        }
        break;
      case "paintImageMaskXObjectRepeat": {
        const [given, a, b, c, d, positions] = args as [
          unknown,
          number,
          number | undefined,
          number | undefined,
          number,
          ArrayLike<number>,
        ];
        for (const [e, f] of pairs(positions)) {
          await place(given, true, times(state.matrix, [a, b ?? 0, c ?? 0, d, e, f]));
        }
        break;
      }
      case "paintImageXObjectRepeat": {
        const [given, a, d, positions] = args as [unknown, number, number, ArrayLike<number>];
        for (const [e, f] of pairs(positions)) {
          await place(given, false, times(state.matrix, [a, 0, 0, d, e, f]));
        }
        break;
      }
      default:
        if (PAINTS.test(name)) over(undefined);
    }
  }
  return pictures;
}

function odd(why: string): Error {
  return new Error(`not as it is seen: ${why}`);
}

/** Of a graphics state's parameters those that change what is seen (ISO 32000-1, table 58). */
function withParameters(state: State, parameters: unknown): State {
  let next = state;
  for (const [key, value] of parameters as [string, unknown][]) {
    if (key === "ca") next = { ...next, alpha: Number(value) };
    if (key === "SMask") next = { ...next, odd: value ? "mask" : undefined };
    if (key === "BM" && next.odd !== "mask") {
      next = { ...next, odd: value === "source-over" ? undefined : "blend" };
    }
  }
  return next;
}

/** Of the unit square, or another box. */
function boxOf(matrix: Matrix, [x0, y0, x1, y1]: Box = [0, 0, 1, 1]): Box {
  const [a, b, c, d, e, f] = matrix;
  const corners = [[x0, y0], [x0, y1], [x1, y0], [x1, y1]] as const;
  const xs = corners.map(([x, y]) => a * x + c * y + e);
  const ys = corners.map(([x, y]) => b * x + d * y + f);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** With the width of the line along its edge; the thinnest is seen too. */
function around([x0, y0, x1, y1]: Box, lineWidth: number): Box {
  const half = Math.max(lineWidth, 0.01) / 2;
  return [x0 - half, y0 - half, x1 + half, y1 + half];
}

/** What is left of what was seen, of a rectangle: where it stands straight it is one. */
function clipped({ matrix, clip }: State, box: Box): State["clip"] {
  const [a, b, c, d] = matrix;
  if (clip === "odd" || a * b !== 0 || c * d !== 0) return "odd";
  return overlap(boxOf(matrix, box), clip) ?? NOTHING;
}

/** What is left of any other form; of one without points nothing. */
function clippedOddly({ clip }: State, box: Box | undefined): State["clip"] {
  return box === undefined ? NOTHING : clip === NOTHING ? clip : "odd";
}

const NOTHING: Box = [0, 0, 0, 0];

/** Whether a path is a rectangle that stands straight in its own units. */
function isRectangle(data: unknown, box: Box | undefined): boolean {
  const path = data as ArrayLike<number> | undefined;
  if (!path || !box || typeof path.length !== "number") return false;
  let [moves, points] = [0, 0];
  for (let at = 0; at < path.length;) {
    const operator = path[at]!;
    if (operator === MOVE) moves++;
    if (operator >= CURVE && operator < NUMBERS_OF.length - 1) return false;
    const count = NUMBERS_OF[operator];
    if (count === undefined) return false;
    for (let i = 1; i <= count; i += 2) {
      points++;
      const [x, y] = [path[at + i]!, path[at + i + 1]!];
      if ((x !== box[0] && x !== box[2]) || (y !== box[1] && y !== box[3])) return false;
    }
    at += 1 + count;
  }
  return moves === 1 && points >= 4 && points <= 5;
}

function* pairs(numbers: ArrayLike<number>): Generator<readonly [number, number]> {
  for (let i = 0; i + 1 < numbers.length; i += 2) yield [numbers[i]!, numbers[i + 1]!];
}

/** `#rrggbb`, as pdf.js writes it. */
function colorOf(text: unknown): readonly [number, number, number] {
  const [, hex] = /^#([\da-f]{6})$/i.exec(String(text)) ?? [];
  const value = parseInt(hex ?? "0", 16);
  return [value >> 16, value >> 8 & 255, value & 255];
}
