/** The thread that takes the pages that are pictures out of a PDF that a stranger made. It has no permission at all. */
import { getResolvedPDFJS } from "unpdf";
import { openPdf, type Pdf } from "./open_pdf.ts";
import { encodePng } from "./png.ts";
import { drawScan, type Matrix, type Placed, type Raster } from "./scan.ts";
import { picturesOf } from "./scan_page.ts";
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

type Page = Awaited<ReturnType<Pdf["getPage"]>>;

answerOnce<ScanAsked, ScannedPages>(async ({ bytes, first, most }) => {
  const { VerbosityLevel, OPS } = await getResolvedPDFJS();
  const pdf = await openPdf(bytes, {
    verbosity: VerbosityLevel.WARNINGS,
    maxImageSize: MOST_PIXELS,
    isOffscreenCanvasSupported: false,
    isImageDecoderSupported: false,
  });
  const layers = await pdf.getOptionalContentConfig();
  /** Rejects if something of it that is seen would be left out. */
  const seen = async (page: Page): Promise<Placed[]> => {
    leftOut = false;
    const pictures = await picturesOf(await page.getOperatorList(), {
      numbers: OPS as unknown as Readonly<Record<string, number>>,
      raster: (given, stencil) => rasterOf(page, given, stencil),
      isVisible: (layer) => layers.isVisible(layer as never),
    });
    if (leftOut) throw new Error("something of it is left out");
    return pictures;
  };
  const pages: { page: number; png: Uint8Array<ArrayBuffer> }[] = [];
  let unread = 0;
  let page = first;
  for (; page <= pdf.numPages && pages.length < most; page++) {
    const one = await pdf.getPage(page);
    const pictures = await seen(one).catch(() => undefined);
    if (pictures === undefined) unread++;
    const { transform, width, height } = one.getViewport({ scale: 1 });
    const drawn = pictures && drawScan(pictures, transform as unknown as Matrix, width, height);
    if (drawn) pages.push({ page, png: await encodePng(drawn.rgb, drawn.width) });
    one.cleanup();
  }
  return { total: pdf.numPages, next: page <= pdf.numPages ? page : null, unread, pages };
});

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
