/** Files for tests, made here. */
import { deflateRawSync, deflateSync } from "node:zlib";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A small PDF of our own making, a line of text a page. @param packed Whether the pages are deflated. */
export function makePdf(pages: readonly string[], packed = false): Uint8Array<ArrayBuffer> {
  return pdfOf(
    pages.map((text) => ({ content: `BT /F1 12 Tf 72 720 Td (${text}) Tj ET` })),
    packed,
  );
}

/** A page of a PDF. */
interface PdfPage {
  /** What is drawn on it: PDF's operators. */
  readonly content: string;
  /** What its operators call I0, I1 and so on. */
  readonly images?: readonly PdfImage[];
  /** Of its resources, beside fonts and pictures. */
  readonly resources?: string;
  /** Entries of its own beside. */
  readonly entries?: string;
  /** Degrees by which it is turned. */
  readonly rotate?: number;
  /** In points. */
  readonly width?: number;
  readonly height?: number;
}

/** A picture in a PDF. */
interface PdfImage {
  readonly width: number;
  readonly height: number;
  /** What its dictionary has besides: colours, bits, filter. */
  readonly entries: string;
  readonly data: Uint8Array;
}

/** A picture of three bytes a pixel, deflated. */
export function rgbImage(width: number, height: number, rgb: Uint8Array): PdfImage {
  const entries = "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode";
  return { width, height, entries, data: deflateSync(rgb) };
}

/** A PDF as a scanner makes it: each page one picture over the whole of it. */
export function makeScannedPdf(images: readonly PdfImage[]): Uint8Array<ArrayBuffer> {
  return pdfOf(images.map((image) => ({ content: "612 0 0 792 0 0 cm /I0 Do", images: [image] })));
}

/**
 * @param packed Whether what is drawn is deflated.
 * @param catalog More entries of the file's.
 * @param more Objects of it, the first of which is `4 0 R`.
 */
export function pdfOf(
  pages: readonly PdfPage[],
  packed = false,
  { catalog = "", more = [] }: { readonly catalog?: string; readonly more?: readonly string[] } =
    {},
): Uint8Array<ArrayBuffer> {
  const objects = [
    `<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert(1)) >> ${catalog} >>`,
    "",
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ...more,
  ];
  const add = (object: string) => objects.push(object);
  const stream = (entries: string, data: string) =>
    `<< ${entries} /Length ${data.length} >>\nstream\n${data}\nendstream`;
  const kids: number[] = [];
  for (
    const {
      content,
      images = [],
      resources = "",
      entries = "",
      rotate = 0,
      width = 612,
      height = 792,
    } of pages
  ) {
    const names = images.map((image, i) => {
      const head = `/Type /XObject /Subtype /Image /Width ${image.width} /Height ${image.height}`;
      const data = Buffer.from(image.data).toString("latin1");
      return `/I${i} ${add(stream(`${head} ${image.entries}`, data))} 0 R`;
    });
    const drawn = packed ? deflateSync(content, { level: 9 }).toString("latin1") : content;
    const contents = add(stream(packed ? "/Filter /FlateDecode" : "", drawn));
    kids.push(add(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${width} ${height}] /Rotate ${rotate} ` +
        `/Contents ${contents} 0 R ${entries} ` +
        `/Resources << /Font << /F1 3 0 R >> /XObject << ${names.join(" ")} >> ${resources} >> >>`,
    ));
  }
  objects[1] = `<< /Type /Pages /Kids [${
    kids.map((kid) => `${kid} 0 R`).join(" ")
  }] /Count ${pages.length} >>`;
  let text = "%PDF-1.4\n";
  const places = objects.map((object, i) => {
    const at = text.length;
    text += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return at;
  });
  const xref = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n` +
    places.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("") +
    `trailer << /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF`;
  return new Uint8Array(Buffer.from(text, "latin1"));
}

/** An archive with one file, packed, or with more. */
export function makeZip(
  name: string,
  content: Uint8Array,
  more: Readonly<Record<string, Uint8Array>> = {},
): Uint8Array<ArrayBuffer> {
  const head = (
    signature: number,
    size: number,
    fields: [at: number, value: number, bytes: number][],
  ) => {
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(0, signature, true);
    for (const [at, value, width] of fields) {
      if (width === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
    }
    return new Uint8Array(view.buffer);
  };
  const [locals, entries]: [Uint8Array[], Uint8Array[]] = [[], []];
  const size = (parts: readonly Uint8Array[]) => parts.reduce((sum, part) => sum + part.length, 0);
  const files = [[name, content] as const, ...Object.entries(more)];
  for (const [name, content] of files) {
    const packed = deflateRawSync(content);
    const sizes = (at: number): [number, number, number][] => [
      [at, packed.length, 4],
      [at + 4, content.length, 4],
      [at + 8, name.length, 2],
    ];
    const start: [number, number, number] = [42, size(locals), 4];
    entries.push(head(0x02014b50, 46, [[10, 8, 2], ...sizes(20), start]), bytes(name));
    locals.push(head(0x04034b50, 30, [[8, 8, 2], ...sizes(18)]), bytes(name), packed);
  }
  const end = head(0x06054b50, 22, [
    [8, files.length, 2],
    [10, files.length, 2],
    [12, size(entries), 4],
    [16, size(locals), 4],
  ]);
  return new Uint8Array(Buffer.concat([...locals, ...entries, end]));
}

/** A DOCX with one paragraph. */
export function makeDocx(text: string): Uint8Array<ArrayBuffer> {
  return makeZip("word/document.xml", bytes(`<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`));
}
