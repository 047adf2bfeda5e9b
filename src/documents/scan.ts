/**
 * A page that is a picture, as a scanner makes it: the pictures that a PDF's page is made of, laid where they stand. What else is on
 * the page is not drawn, as its text is read as text. Runs in a thread without any permission (scan_main.ts).
 */

/** PDF 32000-1:2008, 8.3.4: x' = a·x + c·y + e, y' = b·x + d·y + f. */
export type Matrix = readonly [number, number, number, number, number, number];

/** Left, bottom, right, top, in a page's units. */
export type Box = readonly [number, number, number, number];

/** A picture as pdf.js hands it over. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  /** Its `ImageKind`: 1, a bit a pixel in rows of whole bytes, 1 is white; 2, RGB; 3, RGBA. */
  readonly kind: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** A picture on a page. */
export interface Placed {
  /** From the unit square, y upwards, to the page's own units. */
  readonly matrix: Matrix;
  readonly raster: Raster;
  /** Of a stencil: the colour in which its zeros are painted. */
  readonly paint?: readonly [number, number, number] | undefined;
  /** How much it covers of what is beneath, 0 to 1. */
  readonly alpha: number;
  /** What is seen of it; undefined: all. */
  readonly clip: Box | undefined;
}

/** Pixels of a page's longer side, at most: models that see take no more. */
const LONGEST_SIDE = 1568;
/** Less of a page is a logo or a figure in it. */
const LEAST_COVERED = 0.5;
/** Samples of a picture for a pixel of the page, in each direction: 600 dots an inch come to four. */
const MOST_SAMPLES = 4;

/** What two boxes share, the corners of the first in any order; undefined: nothing. */
export function overlap([x0, y0, x1, y1]: Box, other: Box | undefined): Box | undefined {
  const [left, bottom, right, top] = other ?? [-Infinity, -Infinity, Infinity, Infinity];
  const box: Box = [
    Math.max(Math.min(x0, x1), left),
    Math.max(Math.min(y0, y1), bottom),
    Math.min(Math.max(x0, x1), right),
    Math.min(Math.max(y0, y1), top),
  ];
  return box[0] < box[2] && box[1] < box[3] ? box : undefined;
}

/** `inner`, then `outer`. */
export function times(outer: Matrix, inner: Matrix): Matrix {
  const [a, b, c, d, e, f] = outer;
  const [g, h, i, j, k, l] = inner;
  return [
    ...[a * g + c * h, b * g + d * h],
    ...[a * i + c * j, b * i + d * j],
    ...[a * k + c * l + e, b * k + d * l + f],
  ] as unknown as Matrix;
}

/**
 * The page; undefined: less than half of it are pictures.
 * @param view From the page's units to pixels at one pixel a unit, y downwards: what pdf.js calls a viewport's transform.
 * @param width In units, as it is seen, also where the page is turned.
 * @returns RGB, row by row.
 */
export function drawScan(
  pictures: readonly Placed[],
  view: Matrix,
  width: number,
  height: number,
): { readonly rgb: Uint8Array; readonly width: number } | undefined {
  if (!(width > 0 && height > 0 && Number.isFinite(width * height))) return undefined;
  // As many pixels as the best of its pictures has, and no more than a model takes.
  const density = Math.max(
    0,
    ...pictures.map(({ matrix, raster }) => {
      const [a, b, c, d] = times(view, matrix);
      return Math.max(raster.width / Math.hypot(a, b), raster.height / Math.hypot(c, d));
    }).filter(Number.isFinite),
  );
  const scale = Math.min(density, LONGEST_SIDE / Math.max(width, height));
  const [w, h] = [width, height].map((side) => Math.max(1, Math.round(side * scale))) as [
    number,
    number,
  ];
  const rgb = new Uint8Array(3 * w * h).fill(255);
  const covered = new Uint8Array(w * h);
  const toPixels = times([w / width, 0, 0, h / height, 0, 0], view);
  for (const one of pictures) {
    lay(one, times(toPixels, one.matrix), { rgb, covered, w, h, window: windowOf(one, toPixels) });
  }
  const count = covered.reduce((sum, one) => sum + one, 0);
  return count < LEAST_COVERED * covered.length ? undefined : { rgb, width: w };
}

/** The part of the page's pixels in which it is seen. */
function windowOf({ clip }: Placed, [a, b, c, d, e, f]: Matrix): Box | undefined {
  if (clip === undefined) return undefined;
  const [x0, y0, x1, y1] = clip;
  const at = (x: number, y: number) => [a * x + c * y + e, b * x + d * y + f] as const;
  const [[px, py], [qx, qy]] = [at(x0, y0), at(x1, y1)];
  return [Math.min(px, qx), Math.min(py, qy), Math.max(px, qx), Math.max(py, qy)];
}

/** Lays a picture on the page: each pixel of the page is the mean of what it covers of the picture. */
function lay(
  { raster, paint, alpha: cover }: Placed,
  [a, b, c, d, e, f]: Matrix,
  page: { rgb: Uint8Array; covered: Uint8Array; w: number; h: number; window: Box | undefined },
): void {
  const size = a * d - b * c;
  if (!Number.isFinite(size) || size === 0) return;
  const corners = (base: number, x: number, y: number) => [base, base + x, base + y, base + x + y];
  const [xs, ys] = [corners(e, a, c), corners(f, b, d)];
  const [left, right] = [
    Math.max(0, Math.floor(Math.min(...xs))),
    Math.min(page.w, Math.max(...xs)),
  ];
  const [top, bottom] = [
    Math.max(0, Math.floor(Math.min(...ys))),
    Math.min(page.h, Math.max(...ys)),
  ];
  // Of the picture's pixels, so many lie below one of the page's.
  const across = raster.width * Math.max(Math.abs(d), Math.abs(c)) / Math.abs(size);
  const down = raster.height * Math.max(Math.abs(a), Math.abs(b)) / Math.abs(size);
  const samples = Math.min(MOST_SAMPLES, Math.max(1, Math.ceil(Math.max(across, down))));
  const at = pixelOf(raster);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      let [red, green, blue, seen] = [0, 0, 0, 0];
      let inside = false;
      for (let n = 0; n < samples * samples; n++) {
        const px = x + (n % samples + 0.5) / samples - e;
        const py = y + (Math.floor(n / samples) + 0.5) / samples - f;
        const { window } = page;
        if (
          window && (px + e < window[0] || px + e > window[2] || py + f < window[1] ||
            py + f > window[3])
        ) continue;
        const u = Math.floor((d * px - c * py) / size * raster.width);
        const v = Math.floor((1 - (a * py - b * px) / size) * raster.height);
        if (u < 0 || v < 0 || u >= raster.width || v >= raster.height) continue;
        inside = true;
        const color = at(u, v);
        const alpha = cover * (paint === undefined ? (color >>> 24) / 255 : color & 1 ? 0 : 1);
        red += alpha * (paint?.[0] ?? color & 255);
        green += alpha * (paint?.[1] ?? color >>> 8 & 255);
        blue += alpha * (paint?.[2] ?? color >>> 16 & 255);
        seen += alpha;
      }
      if (!inside) continue;
      const to = y * page.w + x;
      page.covered[to] = 1;
      const rest = 1 - seen / (samples * samples);
      [red, green, blue].forEach((sum, channel) => {
        const i = 3 * to + channel;
        page.rgb[i] = Math.round(sum / (samples * samples) + rest * page.rgb[i]!);
      });
    }
  }
}

/** A pixel's colour: red in the lowest byte, then green, blue, and how much it covers. */
function pixelOf({ width, kind, data }: Raster): (x: number, y: number) => number {
  const row = Math.ceil(width / 8);
  switch (kind) {
    case 1:
      return (x, y) => data[y * row + (x >> 3)]! >> (7 - (x & 7)) & 1 ? 0xffffffff : 0xff000000;
    case 2:
      return (x, y) => {
        const at = 3 * (y * width + x);
        return (data[at]! | data[at + 1]! << 8 | data[at + 2]! << 16 | 0xff000000) >>> 0;
      };
    default:
      return (x, y) => {
        const at = 4 * (y * width + x);
        return (data[at]! | data[at + 1]! << 8 | data[at + 2]! << 16 | data[at + 3]! << 24) >>> 0;
      };
  }
}
