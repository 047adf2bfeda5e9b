/**
 * Draws a recorded terminal as an SVG that plays once and then stays. It knows what our program sends: text, line ends, "back to the
 * line's begin and clear it", and a few colours.
 */

/** What came at a time. */
export interface Event {
  /** Seconds since the begin. */
  readonly at: number;
  readonly text: string;
}

/** A recording as it lies in docs/recordings: a line of JSON each, in asciicast v2's form. */
export function parseCast(text: string): Event[] {
  const [head, ...lines] = text.trim().split("\n");
  if (JSON.parse(head!).version !== 2) throw new Error("not an asciicast of version 2");
  return lines.map((line) => {
    const [at, kind, data] = JSON.parse(line) as [number, string, string];
    if (kind !== "o") throw new Error(`an event of kind ${kind}`);
    return { at, text: data };
  });
}

const COLUMNS = 100;
const LINE_PX = 18;
const CHAR_PX = 8.4;
const MARGIN_PX = 14;
const COLOURS: { readonly [code: string]: string } = {
  "1": "b",
  "2": "d",
  "31": "r",
  "33": "y",
  "36": "c",
};

/** A line's content from one time to another; undefined: it stays. */
interface Version {
  readonly from: number;
  readonly until: number | undefined;
  readonly text: string;
}

/** Per line of the screen, what it showed and when. */
export function linesOf(events: readonly Event[]): Version[][] {
  const lines: Version[][] = [];
  let line = "";
  let row = 0;
  const show = (at: number) => {
    const versions = lines[row] ??= [];
    const last = versions.at(-1);
    if (last?.text === line) return;
    if (last) versions[versions.length - 1] = { ...last, until: at };
    versions.push({ from: at, until: undefined, text: line });
  };
  for (const { at, text } of events) {
    // deno-lint-ignore no-control-regex -- it is what is looked for
    for (const part of text.split(/(\r\n|\n|\r\x1b\[K)/)) {
      if (part === "\r\n" || part === "\n") {
        show(at);
        row++;
        line = "";
      } else if (part === "\r\x1b[K") line = "";
      else line += part;
    }
    show(at);
  }
  return lines.map((versions) => versions ?? []);
}

/** The picture. */
export function drawRecording(events: readonly Event[]): string {
  const lines = linesOf(events);
  const height = Math.ceil(2 * MARGIN_PX + lines.length * LINE_PX);
  const width = Math.ceil(2 * MARGIN_PX + COLUMNS * CHAR_PX);
  const texts = lines.flatMap((versions, row) =>
    versions.filter(({ text }) => text.trim() !== "").map((version) => textOf(version, row))
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">
<style>text{fill:#ddd;white-space:pre}.b{font-weight:bold;fill:#fff}.d{fill:#888}.r{fill:#f66}.y{fill:#fc6}.c{fill:#6cf}</style>
<rect width="${width}" height="${height}" rx="8" fill="#16181d"/>
${texts.join("\n")}
</svg>
`;
}

function textOf({ from, until, text }: Version, row: number): string {
  const y = MARGIN_PX + (row + 0.75) * LINE_PX;
  const length = until === undefined ? `fill="freeze"` : `dur="${seconds(until - from)}"`;
  const begin = seconds(from);
  return `<text x="${MARGIN_PX}" y="${y}" xml:space="preserve" visibility="hidden">` +
    `<set attributeName="visibility" to="visible" begin="${begin}" ${length}/>${
      spans(text)
    }</text>`;
}

function seconds(count: number): string {
  return `${count.toFixed(2)}s`;
}

/** The line with its colours, no longer than the screen is wide. */
function spans(text: string): string {
  let out = "";
  let style = "";
  let left = COLUMNS;
  // deno-lint-ignore no-control-regex -- colours begin with it
  for (const part of text.split(/(\x1b\[\d+m)/)) {
    // deno-lint-ignore no-control-regex -- colours begin with it
    const code = /^\x1b\[(\d+)m$/.exec(part)?.[1];
    if (code !== undefined) {
      style = COLOURS[code] ?? "";
      continue;
    }
    const shown = [...part].slice(0, left).join("");
    left -= [...shown].length;
    const escaped = shown.replace(
      /[&<>]/g,
      (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]!,
    );
    if (escaped !== "") {
      out += style === "" ? escaped : `<tspan class="${style}">${escaped}</tspan>`;
    }
  }
  return out;
}
