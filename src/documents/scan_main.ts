/** The thread that takes the pages that are pictures out of a PDF that a stranger made. It has no permission at all. */
import { getDocumentProxy, getResolvedPDFJS } from "unpdf";
import { encodePng } from "./png.ts";
import { drawScan, type Matrix, type Placed, type Raster, times } from "./scan.ts";
import { answerOnce, type ScanAsked, type ScannedPages } from "./thread_side.ts";

/** Pixels of a picture in the file: a sheet of A3 at 600 dots an inch. Larger ones are left out by pdf.js. */
const MOST_PIXELS = 70_000_000;

/**
 * How pdf.js says, and says only so, that it leaves out something of a page: the letters of a scan are often a stencil of their own. Its
 * `stopAtErrors` gives the operators before it as if they were all (6.1.200).
 */
const LEAVES_OUT = /getOperatorList - ignoring|Unable to decode image/;
let leftOut = false;
// What else it says may quote the file, and goes nowhere.
console.warn = (...said: unknown[]) => {
  if (LEAVES_OUT.test(said.join(" "))) leftOut = true;
};
console.log = console.info = console.error = () => {};

type Pdf = Awaited<ReturnType<typeof getDocumentProxy>>;
type Page = Awaited<ReturnType<Pdf["getPage"]>>;

answerOnce<ScanAsked, ScannedPages>(async ({ bytes, first, most }) => {
  const { VerbosityLevel } = await getResolvedPDFJS();
  const pdf = await getDocumentProxy(bytes, {
    disableFontFace: true,
    useSystemFonts: false,
    verbosity: VerbosityLevel.WARNINGS,
    maxImageSize: MOST_PIXELS,
    isOffscreenCanvasSupported: false,
    isImageDecoderSupported: false,
  });
  const pages: { page: number; png: Uint8Array<ArrayBuffer> }[] = [];
  let unread = 0;
  let page = first;
  for (; page <= pdf.numPages && pages.length < most; page++) {
    const one = await pdf.getPage(page);
    const pictures = await picturesOf(one).catch(() => undefined);
    if (pictures === undefined) unread++;
    const { transform, width, height } = one.getViewport({ scale: 1 });
    const drawn = pictures && drawScan(pictures, transform as unknown as Matrix, width, height);
    if (drawn) pages.push({ page, png: await encodePng(drawn.rgb, drawn.width) });
    one.cleanup();
  }
  return { total: pdf.numPages, next: page <= pdf.numPages ? page : null, unread, pages };
});

/** A page's pictures in the order in which they are painted. Rejects if there is one that cannot be decoded. */
async function picturesOf(page: Page): Promise<Placed[]> {
  const { OPS } = await getResolvedPDFJS();
  leftOut = false;
  const { fnArray, argsArray } = await page.getOperatorList();
  const pictures: Placed[] = [];
  let matrix: Matrix = [1, 0, 0, 1, 0, 0];
  let paint: readonly [number, number, number] = [0, 0, 0];
  const saved: [Matrix, typeof paint][] = [];
  const place = async (given: unknown, stencil: boolean) => {
    const raster = await rasterOf(page, given, stencil);
    pictures.push({ matrix, raster, paint: stencil ? paint : undefined });
  };
  for (const [i, operator] of fnArray.entries()) {
    const args: unknown[] = argsArray[i] ?? [];
    switch (operator) {
      case OPS.save:
      case OPS.beginGroup:
        saved.push([matrix, paint]);
        break;
      case OPS.restore:
      case OPS.endGroup:
      case OPS.paintFormXObjectEnd:
        [matrix, paint] = saved.pop() ?? [matrix, paint];
        break;
      case OPS.transform:
        matrix = times(matrix, args as unknown as Matrix);
        break;
      case OPS.paintFormXObjectBegin:
        saved.push([matrix, paint]);
        if (args[0]) matrix = times(matrix, args[0] as Matrix);
        break;
      case OPS.setFillRGBColor:
        paint = colorOf(args[0]);
        break;
      case OPS.paintImageXObject:
      case OPS.paintInlineImageXObject:
        await place(args[0], false);
        break;
      case OPS.paintImageMaskXObject:
        await place(args[0], true);
        break;
    }
  }
  if (leftOut) throw new Error("something of it is left out");
  return pictures;
}

/** `#rrggbb`, as pdf.js writes it. */
function colorOf(text: unknown): readonly [number, number, number] {
  const [, hex] = /^#([\da-f]{6})$/i.exec(String(text)) ?? [];
  const value = parseInt(hex ?? "0", 16);
  return [value >> 16, value >> 8 & 255, value & 255];
}

/** @param given A name of one, or one: a stencil's bits, or where they are, stand within it. */
async function rasterOf(page: Page, given: unknown, stencil: boolean): Promise<Raster> {
  const named = typeof given === "string" ? given : stencil && Object(given).data;
  const found = typeof named !== "string" ? given : await new Promise<unknown>((resolve) => {
    (named.startsWith("g_") ? page.commonObjs : page.objs).get(named, resolve);
  });
  const { width, height, kind, data } = Object(found) as Partial<Raster>;
  if (!width || !height || !data) throw new Error("it is not decoded");
  const bits = stencil || kind === 1;
  const row = bits ? Math.ceil(width / 8) : width * (kind === 2 ? 3 : 4);
  // Less than it says that it has: the rest would be black.
  if (data.length < row * height) throw new Error("it is cut");
  return { width, height, kind: bits ? 1 : kind!, data };
}
