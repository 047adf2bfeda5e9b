/**
 * Files that people send as pictures and that llama.cpp's decoder (stb_image) does not read, so that a refusal can name them.
 *
 * Sources: each format's own: RIFF, ISO/IEC 14496-12 (`ftyp`), ISO/IEC 18181-2, TIFF 6.0, ISO 32000-1, SVG 2.
 */

/** A name with its article, and what stands in its file from a place on; letters are bytes. */
const OTHERS: readonly (readonly [name: string, at: number, ...texts: readonly string[]])[] = [
  ["a WebP", 8, "WEBP"],
  [
    "an AVIF or HEIC",
    4,
    ..."avif avis heic heif heim heis heix hevc hevx mif1 msf1".split(" ").map((brand) =>
      `ftyp${brand}`
    ),
  ],
  ["a JPEG XL", 0, "\xff\n", "\0\0\0\x0cJXL \r\n\x87\n"],
  ["a JPEG 2000", 0, "\xff\x4f\xff\x51", "\0\0\0\x0cjP  \r\n\x87\n"],
  ["a TIFF", 0, "II*\0", "MM\0*", "II+\0", "MM\0+"],
  ["an icon", 0, "\0\0\x01\0"],
  ["a Photoshop", 0, "8BPS"],
];
/** Those that are text. A byte order mark and white space may stand in front. */
const TEXTS: readonly (readonly [name: string, head: RegExp])[] = [
  ["a PDF", /^(?:\xef\xbb\xbf)?\s*%PDF-/],
  ["an SVG", /^(?:\xef\xbb\xbf)?\s*<(?:svg[\s>]|(?:\?xml|!--|!DOCTYPE svg)[^]*<svg[\s>])/],
];
/** An SVG may begin with comments and declarations. */
const LOOKED_AT = 512;

/** @returns The format with its article, as in "it is a WebP file"; undefined where nothing is known of it. */
export function nameOfOther(bytes: Uint8Array): string | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, LOOKED_AT));
  const other = OTHERS.find(([, at, ...texts]) => texts.some((text) => head.startsWith(text, at)));
  return (other ?? TEXTS.find(([, begins]) => begins.test(head)))?.[0];
}
