/**
 * A scanned PDF's pages as pictures: the same as poppler draws, for pages of pictures of every kind that PDF has, laid in every way;
 * and what is no scan is named.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { deflateSync } from "node:zlib";
import { scannedPages } from "../../src/documents/parse.ts";
import { makePdf, makeScannedPdf, pdfOf, rgbImage } from "../../src/documents/testing.ts";
import { SEED, seeded } from "../support/seeds.ts";

const isFull = Deno.env.get("SECLLAMA_FULL") === "1";
const COUNT = isFull ? 300 : 5;
/** Of 255, in the mean of all bytes: edges are laid a little otherwise. A page upside down is off by 40 and more. */
const MOST_OFF = 4;

type Image = ReturnType<typeof rgbImage>;

/** Blocks of random values, so that what is between two pixels matters little. */
function blocks(
  random: () => number,
  [width, height, channels]: [number, number, number],
  most: number,
): number[][] {
  const side = Math.ceil(Math.max(width, height) / 4);
  const values = Array.from(
    { length: 16 * channels },
    () => Math.floor(random() * (most + 1)),
  );
  return Array.from(
    { length: height },
    (_, y) =>
      Array.from({ length: width * channels }, (_, at) => {
        const block = Math.floor(y / side) * 4 + Math.floor(Math.floor(at / channels) / side);
        return values[block * channels + at % channels]!;
      }),
  );
}

/** Rows of samples of so many bits, each row in whole bytes (PDF 32000-1:2008, 8.9.3). */
function packed(rows: readonly number[][], bits: number): Uint8Array {
  return Uint8Array.from(rows.flatMap((row) => {
    const bytes = new Array<number>(Math.ceil(row.length * bits / 8)).fill(0);
    row.forEach((value, at) => {
      bytes[at * bits >> 3]! |= value << (8 - bits - at * bits % 8);
    });
    return bytes;
  }));
}

function imageOf(random: () => number): Image {
  const one = <T>(...all: T[]) => all[Math.floor(random() * all.length)]!;
  const [width, height] = [40 + Math.floor(random() * 300), 40 + Math.floor(random() * 300)];
  const palette = Array.from({ length: 16 }, () => Math.floor(random() * 0xffffff));
  const hex = palette.map((color) => color.toString(16).padStart(6, "0")).join("");
  const [channels, bits, colors] = one<[number, number, string]>(
    [3, 8, "/ColorSpace /DeviceRGB"],
    [1, 8, "/ColorSpace /DeviceGray"],
    [1, 1, "/ColorSpace /DeviceGray"],
    [1, 1, "/ColorSpace /DeviceGray /Decode [1 0]"],
    [1, 4, `/ColorSpace [/Indexed /DeviceRGB 15 <${hex}>]`],
    [1, 1, "/ImageMask true"],
    [1, 1, "/ImageMask true /Decode [1 0]"],
  );
  const data = packed(blocks(random, [width, height, channels], 2 ** bits - 1), bits);
  const [entries, bytes] = one<[string, Uint8Array]>(
    ["", data],
    ["/Filter /FlateDecode", deflateSync(data)],
  );
  return { width, height, entries: `${colors} /BitsPerComponent ${bits} ${entries}`, data: bytes };
}

/** Below all a picture of the whole page, on it some more. */
function scanOf(random: () => number) {
  const [width, height] = [300 + Math.floor(random() * 400), 300 + Math.floor(random() * 600)];
  const full: Image = rgbImage(
    600,
    600,
    Uint8Array.from(blocks(random, [600, 600, 3], 255).flat()),
  );
  const images = [full];
  let content = `q ${width} 0 0 ${height} 0 0 cm /I0 Do Q`;
  for (let i = 1; i <= Math.floor(random() * 4); i++) {
    images.push(imageOf(random));
    const size = () => 80 + random() * 250;
    const turn = random() < 0.5 ? 0 : random() * 2 * Math.PI;
    const [w, h] = [size() * (random() < 0.3 ? -1 : 1), size() * (random() < 0.3 ? -1 : 1)];
    const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
    const matrix = [w * cos, w * sin, -h * sin, h * cos, random() * width, random() * height];
    const color = [random(), random(), random()].map((part) => part.toFixed(3)).join(" ");
    content += ` q ${color} rg ${matrix.map((part) => part.toFixed(3)).join(" ")} cm /I${i} Do Q`;
  }
  const rotate = 90 * Math.floor(random() * 4);
  return { content, images, width, height, rotate };
}

/** Runs one of poppler's programs or any other, as bytes to bytes. */
async function pipe(program: string, args: readonly string[], bytes: Uint8Array) {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const writing = writer.write(bytes).then(() => writer.close());
  const { success, stdout, stderr } = await child.output();
  await writing;
  assert.ok(success, new TextDecoder().decode(stderr));
  return stdout;
}

/** A picture's pixels in RGB, as poppler's own format has them: P6, then the size, then the bytes. */
function ppm(bytes: Uint8Array): { width: number; height: number; rgb: Uint8Array } {
  const head = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(
    new TextDecoder("latin1").decode(bytes.subarray(0, 64)),
  )!;
  return {
    width: Number(head[1]),
    height: Number(head[2]),
    rgb: bytes.subarray(head[0].length),
  };
}

/** A PNG's pixels, by the browsers' decoder in Python's stead: PDF takes its data as it is. */
async function decoded(png: Uint8Array<ArrayBuffer>) {
  const view = new DataView(png.buffer, png.byteOffset);
  const [width, height, grey] = [view.getUint32(16), view.getUint32(20), png[25] === 0];
  const data = png.subarray(41, 41 + view.getUint32(33));
  const entries = `/ColorSpace /Device${grey ? "Gray" : "RGB"} /BitsPerComponent 8 ` +
    "/Filter /FlateDecode /DecodeParms << /Predictor 15 " +
    `/Colors ${grey ? 1 : 3} /Columns ${width} >>`;
  const content = `${width} 0 0 ${height} 0 0 cm /I0 Do`;
  const pdf = pdfOf([{ content, images: [{ width, height, entries, data }], width, height }]);
  return ppm(await pipe("pdftoppm", ["-r", "72", "-singlefile", "-"], pdf));
}

/** @param turned Whether the page is by a quarter: poppler scales it before. */
async function difference(
  pdf: Uint8Array<ArrayBuffer>,
  page: number,
  png: Uint8Array<ArrayBuffer>,
  turned = false,
) {
  const ours = await decoded(png);
  const [x, y] = turned ? [ours.height, ours.width] : [ours.width, ours.height];
  const size = ["-scale-to-x", String(x), "-scale-to-y", String(y)];
  const at = ["-f", String(page), "-l", String(page), "-singlefile", "-"];
  const theirs = ppm(await pipe("pdftoppm", [...size, ...at], pdf));
  assert.deepEqual([ours.width, ours.height], [theirs.width, theirs.height]);
  return ours.rgb.reduce((sum, value, at) => sum + Math.abs(value - theirs.rgb[at]!), 0) /
    ours.rgb.length;
}

Deno.test(`scanned: ${COUNT} pages of drawn pictures are as poppler draws them`, async () => {
  const random = seeded(SEED);
  const offs: number[] = [];
  for (let i = 0; i < COUNT; i++) {
    const page = scanOf(random);
    const pdf = pdfOf([page], random() < 0.5);
    const { pages, unread } = await scannedPages(pdf.slice(), { first: 1, most: 1 });
    assert.deepEqual([pages.length, unread], [1, 0], JSON.stringify(page.content));
    const off = await difference(pdf, 1, pages[0]!.png, page.rotate % 180 !== 0);
    assert.ok(off <= MOST_OFF, `page ${i} of seed ${SEED}: off by ${off}: ${page.content}`);
    offs.push(off);
  }
  console.log(`${COUNT} pages, at most ${Math.max(...offs).toFixed(2)} of 255 off`);
});

Deno.test("scanned: a JPEG, as scanners write them", async () => {
  const random = seeded(SEED);
  for (let i = 0; i < 2; i++) {
    const drawn = pdfOf([{ ...scanOf(random), rotate: 0 }]);
    const size = ["-scale-to-x", "640", "-scale-to-y", "800"];
    const data = await pipe("pdftoppm", ["-jpeg", ...size, "-singlefile", "-"], drawn);
    const entries = "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode";
    const pdf = makeScannedPdf([{ width: 640, height: 800, entries, data }]);
    const { pages } = await scannedPages(pdf.slice(), { first: 1, most: 1 });
    const off = await difference(pdf, 1, pages[0]!.png);
    assert.ok(off <= MOST_OFF, `off by ${off}`);
  }
});

Deno.test("scanned: a page is as it is seen, or is refused: cropped, faint, many small stencils; a bar over a name, a marker, a mask", async () => {
  const random = seeded(SEED);
  const full = rgbImage(600, 600, Uint8Array.from(blocks(random, [600, 600, 3], 255).flat()));
  const stencil: Image = {
    ...{ width: 8, height: 8, entries: "/ImageMask true /BitsPerComponent 1" },
    data: new Uint8Array([0xf0, 0x0f, 0xf0, 0x0f, 0xf0, 0x0f, 0xf0, 0x0f]),
  };
  const solid: Image = {
    ...{ width: 1, height: 1, entries: "/ImageMask true /BitsPerComponent 1" },
    data: new Uint8Array([0]),
  };
  const page = "q 600 0 0 600 0 0 cm /I0 Do Q ";
  const small = (i: number) => `q 20 0 0 20 ${40 * (i % 12)} ${50 * (i % 11)} cm /I1 Do Q `;
  const images = [full, stencil, solid];
  const resources = "/ExtGState << /Half << /ca 0.5 >> /None << /ca 0 >> " +
    "/Times << /BM /Multiply >> /Mask << /SMask << /S /Luminosity /G 6 0 R >> >> >>";
  const drawn = {
    "cropped": `q 100 50 400 450 re W n ${page} Q`,
    "cropped twice, in a page that is laid elsewhere":
      `q 1 0 0 1 20 30 cm 50 50 500 450 re W n 0 100 500 500 re W n ${page} Q`,
    "what is cropped away is covered": `q 0 0 600 590 re W n ${page} Q 0 592 600 8 re f`,
    "faint, over it": `${page} q /Half gs 300 0 0 300 100 100 cm /I0 Do Q`,
    "not to be seen": `${page} q /None gs 300 0 0 300 100 100 cm /I0 Do 0 0 1 1 re f Q`,
    "white paper beneath": `1 g 0 0 600 600 re f ${page}`,
    "lines beneath": `0 0 m 600 600 l S ${page}`,
    "in the page's own order": `0 g 0 0 300 300 re f ${page}`,
    "a bar that is a stencil": `${page} q 0 g 200 0 0 20 100 100 cm /I2 Do Q`,
    "a stencil twenty times": page + "1 0 0 rg " +
      Array.from({ length: 20 }, (_, i) => small(i)).join(""),
    "a path that is not painted": `${page} 100 100 50 50 re n`,
  };
  for (const [name, content] of Object.entries(drawn)) {
    const pdf = pdfOf([{ content, images, resources, width: 600, height: 600 }]);
    const { pages } = await scannedPages(pdf.slice(), { first: 1, most: 1 })
      .catch((error) => assert.fail(`${name}: ${error}`));
    const off = await difference(pdf, 1, pages[0]!.png);
    assert.ok(off <= MOST_OFF, `${name}: off by ${off}`);
  }
  const refused = {
    "a bar over it": `${page} 0 g 100 100 200 20 re f`,
    "a bar that is turned": `${page} q 0.7 0.7 -0.7 0.7 200 200 cm 0 0 200 20 re f Q`,
    "a line over it": `${page} 20 w 100 100 m 300 100 l S`,
    "a bar with a border": `${page} 100 100 200 20 re b`,
    "a marker": `${page} q /Times gs 1 1 0 rg 100 100 200 20 re f Q`,
    "a faint bar": `${page} q /Half gs 100 100 200 20 re f Q`,
    "a shading": `${page} /Sh sh`,
    "a crop that is no rectangle": `q 100 100 m 500 100 l 300 500 l h W n ${page} Q`,
    "a crop that is turned": `q 0.7 0.7 -0.7 0.7 300 0 cm 0 0 300 300 re W n ${page} Q`,
    "a picture that darkens it": `${page} q /Times gs 300 0 0 300 100 100 cm /I0 Do Q`,
    "a mask": `q /Mask gs ${page} Q`,
  };
  const more = `${resources} /Shading << /Sh << /ShadingType 2 /ColorSpace /DeviceGray ` +
    "/Coords [0 0 600 0] /Function << /FunctionType 2 /Domain [0 1] /C0 [0] /C1 [1] /N 1 >> >> >>";
  for (const [name, content] of Object.entries(refused)) {
    const pdf = pdfOf([{ content, images, resources: more, width: 600, height: 600 }]);
    await assert.rejects(
      scannedPages(pdf, { first: 1, most: 1 }),
      { code: "bad-request", message: /as they are seen/ },
      name,
    );
  }
});

Deno.test("scanned: a layer that is hidden is not shown, and a remark over the page refuses it", async () => {
  const plain = (channel: number) =>
    rgbImage(
      300,
      300,
      Uint8Array.from({ length: 270_000 }, (_, at) => at % 3 === channel ? 255 : 0),
    );
  const [red, blue] = [plain(0), plain(2)];
  const size = { images: [red, blue], width: 600, height: 600 };
  const laid = "q 600 0 0 600 0 0 cm /I0 Do Q";
  for (const state of ["ON", "OFF"]) {
    const content = `${laid} /OC /L BDC q 300 0 0 300 0 0 cm /I1 Do Q 0 0 100 100 re n EMC`;
    const pdf = pdfOf([{ ...size, content, resources: "/Properties << /L 4 0 R >>" }], false, {
      catalog: `/OCProperties << /OCGs [4 0 R] /D << /BaseState /ON /${state} [4 0 R] >> >>`,
      more: ["<< /Type /OCG /Name (a draft) >>"],
    });
    const { pages } = await scannedPages(pdf.slice(), { first: 1, most: 1 });
    assert.ok(await difference(pdf, 1, pages[0]!.png) <= MOST_OFF, state);
  }
  const bar = "0 g 0 0 200 20 re f";
  const form = "/Type /XObject /Subtype /Form /BBox [0 0 200 20]";
  const remarked = (flags: number) =>
    pdfOf(
      [{
        ...{ ...size, content: laid },
        entries: `/Annots [<< /Type /Annot /Subtype /Square /Rect [100 100 300 120] /F ${flags} ` +
          "/AP << /N 4 0 R >> >>]",
      }],
      false,
      { more: [`<< ${form} /Length ${bar.length} >>\nstream\n${bar}\nendstream`] },
    );
  const refusal = { message: /as they are seen/ };
  await assert.rejects(scannedPages(remarked(4), { first: 1, most: 1 }), refusal);
  // Flags: one that is hidden (ISO 32000-1, table 165).
  const { pages } = await scannedPages(remarked(2), { first: 1, most: 1 });
  assert.ok(await difference(remarked(2), 1, pages[0]!.png) <= MOST_OFF);
});

Deno.test("scanned: so many pages at once, then the next ones; what is no scan is named", async () => {
  const image = rgbImage(4, 4, new Uint8Array(48).fill(200));
  const fax: Image = {
    ...image,
    entries: "/ImageMask true /Filter /CCITTFaxDecode",
    data: image.data,
  };
  const three = () => makeScannedPdf([image, fax, image, image]);
  const numbers = async (first: number, most: number) => {
    const { pages, total, next, unread } = await scannedPages(three(), { first, most });
    return { pages: pages.map(({ page }) => page), total, next, unread };
  };
  assert.deepEqual(await numbers(1, 2), { pages: [1, 3], total: 4, next: 4, unread: 1 });
  assert.deepEqual(await numbers(4, 2), { pages: [4], total: 4, next: null, unread: 0 });
  const small = pdfOf([{ content: "q 100 0 0 100 0 0 cm /I0 Do Q", images: [image] }]);
  const all = "612 0 0 792 0 0 cm";
  const cases: [Uint8Array<ArrayBuffer>, number, string, RegExp][] = [
    [three(), 5, "bad-request", /has 4 pages/],
    [makePdf(["words"]), 1, "bad-request", /no page of this PDF is a picture/],
    [small, 1, "bad-request", /no page of this PDF is a picture/],
    // The letters of a page are often a stencil of their own, over the paper.
    [
      pdfOf([{ content: `${all} /I0 Do /I1 Do`, images: [image, fax] }]),
      1,
      "bad-request",
      /as they are seen/,
    ],
    [makeScannedPdf([fax]), 1, "bad-request", /cannot be taken as they are seen/],
    [locked(makeScannedPdf([image])), 1, "bad-request", /wants a password/],
    [new TextEncoder().encode("%PDF-1.4\n garbage"), 1, "bad-request", /it is broken/],
    [new TextEncoder().encode("no PDF"), 1, "unsupported-media-type", /no PDF/],
  ];
  for (const [bytes, first, code, message] of cases) {
    await assert.rejects(scannedPages(bytes, { first, most: 8 }), { code, message });
  }
});

/** With the standard's oldest lock, to which no password is the key (ISO 32000-1, 7.6.3). */
function locked(pdf: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const key = `<${"5a".repeat(32)}>`;
  const lock =
    `/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O ${key} /U ${key} >> /ID [<00> <00>]`;
  const text = new TextDecoder("latin1").decode(pdf);
  const at = text.lastIndexOf("/Root");
  return new Uint8Array(Buffer.from(`${text.slice(0, at)}${lock} ${text.slice(at)}`, "latin1"));
}

Deno.test("scanned: what strangers write into a PDF ends at worst its own thread", async () => {
  const random = seeded(SEED);
  const image = rgbImage(16, 16, new Uint8Array(768).fill(90));
  const whole = (content: string, more: object = {}) =>
    pdfOf([{ content, images: [image], ...more }]);
  const odd = [
    whole("1e38 0 0 1e38 0 0 cm /I0 Do"),
    whole("0 0 0 0 0 0 cm /I0 Do"),
    whole("612 0 0 792 0 0 cm /I0 Do", { width: 1e7, height: 1 }),
    whole("612 0 0 792 0 0 cm /I0 Do", { width: 0, height: 0 }),
    whole(`${"q ".repeat(20_000)} 612 0 0 792 0 0 cm /I0 Do`),
    whole(`Q Q Q 612 0 0 792 0 0 cm ${"/I0 Do ".repeat(50)}`),
    makeScannedPdf([{ ...image, width: 60_000, height: 60_000 }]),
    makeScannedPdf([{ ...image, width: 0, height: -1 }]),
  ];
  const plain = makeScannedPdf([image]);
  for (let i = 0; i < (isFull ? 200 : 8); i++) {
    const bytes = plain.slice(0, random() < 0.2 ? Math.floor(random() * plain.length) : undefined);
    for (let n = 0; n < 1 + random() * 8; n++) {
      bytes[9 + Math.floor(random() * (bytes.length - 9))] = Math.floor(random() * 256);
    }
    odd.push(bytes);
  }
  let read = 0;
  for (const bytes of odd) {
    try {
      read += (await scannedPages(bytes, { first: 1, most: 1 })).pages.length;
    } catch (error) {
      assert.match(
        (error as { code?: string }).code ?? String(error),
        /^(?:bad-request|unsupported-media-type)$/,
      );
    }
  }
  assert.ok(read > 0 && read < odd.length, `${read} of ${odd.length} were read`);
});
