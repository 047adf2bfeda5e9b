/** A picture as SVG: text stays text, and colours follow the reader's light or dark mode. */
import type { Flow, Sequence, Tone } from "./parse.ts";

const STYLE = `
  svg { font: 13px system-ui, sans-serif; }
  .ink { fill: #1f2328; } .line { stroke: #57606a; fill: none; } .box { stroke: #57606a; fill: #fff; }
  .plain { stroke: #9a6700; } .cipher { stroke: #0969da; } .fill-plain { fill: #fff8c5; }
  .fill-cipher { fill: #ddf4ff; } .fill-none { fill: #f6f8fa; } .small { font-size: 11px; }
  .title { font-weight: 600; font-size: 15px; } .name { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .ink { fill: #e6edf3; } .line, .box { stroke: #8b949e; } .box { fill: #0d1117; }
    .plain { stroke: #d29922; } .cipher { stroke: #58a6ff; } .fill-plain { fill: #3b2e00; }
    .fill-cipher { fill: #0c2d6b; } .fill-none { fill: #161b22; }
  }`;
const MARGIN = 16;
const TITLE_HEIGHT = 40;
const LINE_HEIGHT = 16;
/** Widest characters of the font, near enough: text is measured by no browser here. */
const CHAR_WIDTH = 7;

/** The picture; the same text gives the same bytes. */
export function draw(picture: Flow | Sequence): string {
  const { body, width, height } = picture.kind === "flow"
    ? drawFlow(picture)
    : drawSequence(picture);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
    `height="${height}" role="img" aria-label="${escape(picture.title)}">\n` +
    `<title>${escape(picture.title)}</title>\n<style>${STYLE}\n</style>\n` +
    `<defs>${marker("plain")}${marker("cipher")}${marker("line")}</defs>\n` +
    `${text(MARGIN, 26, picture.title, "ink title", "start")}\n${body.join("\n")}\n</svg>\n`;
}

interface Drawn {
  readonly body: string[];
  readonly width: number;
  readonly height: number;
}

function drawFlow({ nodes, edges }: Flow): Drawn {
  const gap = Math.max(60, ...edges.map(({ label }) => label.length * (CHAR_WIDTH - 1) + 24));
  const boxes = new Map<string, { x: number; y: number; w: number; h: number; row: number }>();
  const body: string[] = [];
  const rows = Math.max(...nodes.map((node) => node.row)) + 1;
  let y = TITLE_HEIGHT + 10;
  let width = 0;
  for (let row = 0; row < rows; row++) {
    const here = nodes.filter((node) => node.row === row);
    const h = Math.max(...here.map((node) => node.lines.length)) * LINE_HEIGHT + 20;
    let x = MARGIN;
    for (const node of here) {
      const w = Math.max(90, ...node.lines.map((line) => line.length * CHAR_WIDTH + 20));
      boxes.set(node.id, { x, y, w, h, row });
      body.push(
        `<rect class="box ${
          fill(node.tone)
        }" x="${x}" y="${y}" width="${w}" height="${h}" rx="6"/>`,
      );
      node.lines.forEach((line, i) =>
        body.push(
          text(x + w / 2, y + 22 + i * LINE_HEIGHT, line, i === 0 ? "ink name" : "ink small"),
        )
      );
      x += w + gap;
    }
    width = Math.max(width, x - gap + MARGIN);
    y += h + 50;
  }
  for (const { from, to, tone, label } of edges) {
    const a = boxes.get(from)!;
    const b = boxes.get(to)!;
    if (a.row === b.row) {
      const right = a.x < b.x;
      const [x1, x2] = right ? [a.x + a.w, b.x] : [a.x, b.x + b.w];
      const at = a.y + a.h / 2;
      body.push(arrow(x1, at, x2, at, tone), text((x1 + x2) / 2, at - 7, label, "ink small"));
    } else {
      const down = a.y < b.y;
      const x = Math.max(a.x, b.x) + Math.min(a.w, b.w) / 2;
      const [y1, y2] = down ? [a.y + a.h, b.y] : [a.y, b.y + b.h];
      body.push(
        arrow(x, y1, x, y2, tone),
        text(x + 8, (y1 + y2) / 2 + 4, label, "ink small", "start"),
      );
    }
  }
  return { body, width, height: y - 50 + MARGIN };
}

function drawSequence({ actors, steps }: Sequence): Drawn {
  const place = new Map(actors.map(({ id }, i) => [id, i]));
  // Each gap is as wide as the longest text between its two neighbours.
  const gaps = actors.slice(1).map((_, i) =>
    Math.max(
      130,
      ...steps.map((step) => {
        if (step.kind === "note") {
          const at = place.get(step.at)!;
          const most = Math.max(...step.lines.map((line) => line.length)) * (CHAR_WIDTH - 1) + 40;
          return at === i || at === i + 1 ? most / 2 + 10 : 0;
        }
        const [a, b] = [place.get(step.from)!, place.get(step.to)!];
        return Math.min(a, b) === i && Math.abs(a - b) === 1
          ? step.label.length * (CHAR_WIDTH - 1) + 30
          : 0;
      }),
    )
  );
  const noteHalf = (index: number) =>
    Math.max(
      60,
      ...steps.map((step) =>
        step.kind === "note" && place.get(step.at) === index
          ? Math.max(...step.lines.map((line) => line.length)) * (CHAR_WIDTH - 1) / 2 + 14
          : 0
      ),
    );
  const xs = [MARGIN + noteHalf(0)];
  for (const gap of gaps) xs.push(xs.at(-1)! + gap);
  const width = Math.max(xs.at(-1)! + noteHalf(actors.length - 1) + MARGIN, 360);
  const body: string[] = [];
  let y = TITLE_HEIGHT + 44;
  const drawn: string[] = [];
  for (const step of steps) {
    if (step.kind === "note") {
      const x = xs[place.get(step.at)!]!;
      const w = Math.max(...step.lines.map((line) => line.length)) * (CHAR_WIDTH - 1) + 20;
      const h = step.lines.length * 15 + 10;
      drawn.push(
        `<rect class="box fill-none" x="${x - w / 2}" y="${y}" width="${w}" height="${h}" rx="4"/>`,
      );
      step.lines.forEach((line, i) => drawn.push(text(x, y + 17 + i * 15, line, "ink small")));
      y += h + 14;
    } else {
      y += 16;
      const [x1, x2] = [xs[place.get(step.from)!]!, xs[place.get(step.to)!]!];
      drawn.push(
        arrow(x1, y, x2, y, step.tone),
        text((x1 + x2) / 2, y - 6, step.label, "ink small"),
      );
      y += 14;
    }
  }
  actors.forEach(({ name }, i) => {
    const w = Math.max(80, name.length * CHAR_WIDTH + 20);
    body.push(
      `<path class="line" stroke-dasharray="3 4" d="M${xs[i]} ${TITLE_HEIGHT + 34}V${y}"/>`,
      `<rect class="box" x="${xs[i]! - w / 2}" y="${
        TITLE_HEIGHT + 6
      }" width="${w}" height="28" rx="6"/>`,
      text(xs[i]!, TITLE_HEIGHT + 25, name, "ink name"),
    );
  });
  return { body: [...body, ...drawn], width: Math.ceil(width), height: y + MARGIN };
}

function fill(tone: Tone): string {
  return `fill-${tone}`;
}

function strokeOf(tone: Tone): string {
  return tone === "none" ? "line" : tone;
}

function marker(name: string): string {
  return `<marker id="${name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">` +
    `<path class="${name}" d="M1 1L7 4L1 7" fill="none"/></marker>`;
}

function arrow(x1: number, y1: number, x2: number, y2: number, tone: Tone): string {
  const stroke = strokeOf(tone);
  const width = tone === "cipher" ? 2.5 : 1.3;
  return `<path class="${stroke}" fill="none" stroke-width="${width}" marker-end="url(#${stroke})" ` +
    `d="M${x1} ${y1}L${x2} ${y2}"/>`;
}

function text(x: number, y: number, content: string, style: string, anchor = "middle"): string {
  return `<text class="${style}" x="${x}" y="${y}" text-anchor="${anchor}">${
    escape(content)
  }</text>`;
}

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
