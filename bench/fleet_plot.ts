/**
 * How a fleet's costs grow, as a picture: both axes by powers of ten, so that what grows in proportion is a line at 45 degrees.
 * By itself it draws docs/pictures/fleet-growth.svg of what bench/fleet_growth.json has, as fleet_bench.ts measured it:
 *
 *     deno run -A --frozen bench/fleet_plot.ts
 */

/** Where a run is kept, and its picture. */
export const GROWTH = new URL("fleet_growth.json", import.meta.url);
export const PICTURE = new URL("../docs/pictures/fleet-growth.svg", import.meta.url);

/** What was measured at one size. */
export interface Point {
  readonly hosts: number;
  readonly clients: number;
  /** Of a processor, for one client that is revoked. */
  readonly ms: number;
  /** Written for it. */
  readonly kib: number;
  /** Of a processor, for a host that reads all. */
  readonly readMs: number;
  /** That it then holds. */
  readonly hostMiB: number;
}

interface Line {
  readonly name: string;
  readonly color: string;
  readonly at: readonly (readonly [x: number, y: number])[];
}

const [WIDTH, HEIGHT, PAD] = [420, 320, 52];
/** What is less is drawn here: a logarithm of nothing there is none. */
const LEAST = 0.1;

/** A difference of two heaps that is smaller says nothing. */
const NOISE_MIB = 0.5;

/** The exponent between the first and the last of these: 1 is in proportion, 0 not at all. */
function exponent(at: Line["at"]): number {
  const [[x0, y0], [x1, y1]] = [at[0]!, at.at(-1)!].map(([x, y]) => [x, Math.max(y, LEAST)]) as [
    [number, number],
    [number, number],
  ];
  return Math.log(y1 / y0) / Math.log(x1 / x0);
}

/** SVG of plots: over hosts at the smallest number of clients there, over clients with two hosts and, if that was run, with 1,000. */
export function growthPlot(points: readonly Point[]): string {
  const overHosts = points.filter(({ clients }) => clients === 1000)
    .sort((a, b) => a.hosts - b.hosts);
  const lines = (
    of: readonly Point[],
    x: (point: Point) => number,
    more: readonly Line[] = [],
  ): Line[] => {
    const all: Line[] = [
      { name: "ms of a processor, one revoked", color: "#1f6feb", at: of.map((p) => [x(p), p.ms]) },
      { name: "KiB written, one revoked", color: "#b35900", at: of.map((p) => [x(p), p.kib]) },
      ...more,
    ];
    return all.filter(({ at }) => at.length > 1);
  };
  const overClients = (hosts: number) => {
    const of = points.filter((point) => point.hosts === hosts)
      .sort((a, b) => a.clients - b.clients);
    return lines(of, (p) => p.clients, [
      {
        name: "ms of a processor, a host reads all",
        color: "#116329",
        at: of.map((p) => [p.clients, p.readMs]),
      },
      {
        name: "MiB that it holds",
        color: "#8250df",
        at: of.filter((p) => p.hostMiB >= NOISE_MIB).map((p) => [p.clients, p.hostMiB]),
      },
    ]);
  };
  const charts = ([
    ["hosts (1,000 clients)", lines(overHosts, (p) => p.hosts)],
    ["clients (two hosts)", overClients(2)],
    ["clients (1,000 hosts)", overClients(1000)],
  ] as const).filter(([, of]) => of.length > 0)
    .map(([title, of], i) => chart(title, of, i * WIDTH));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${charts.length * WIDTH} ${
    HEIGHT + 60
  }" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#ffffff"/>
${charts.join("\n")}
</svg>
`;
}

function chart(title: string, lines: readonly Line[], left: number): string {
  const all = lines.flatMap(({ at }) => at);
  const range = (which: 0 | 1) => {
    const values = all.map((at) => Math.log10(Math.max(at[which], LEAST)));
    const least = Math.floor(Math.min(...values));
    return [least, Math.max(least + 1, Math.ceil(Math.max(...values)))] as const;
  };
  const [[x0, x1], [y0, y1]] = [range(0), range(1)];
  const x = (value: number) =>
    left + PAD + (Math.log10(value) - x0) / (x1 - x0) * (WIDTH - 2 * PAD);
  const y = (value: number) =>
    HEIGHT - PAD - (Math.log10(Math.max(value, LEAST)) - y0) / (y1 - y0) * (HEIGHT - 2 * PAD);
  const out = [`<text x="${left + PAD}" y="24" font-size="13">over ${title}</text>`];
  for (let power = x0; power <= x1; power++) {
    const at = x(10 ** power);
    out.push(`<path d="M${at} ${PAD}V${HEIGHT - PAD}" stroke="#dddddd"/>`);
    out.push(`<text x="${at - 12}" y="${HEIGHT - PAD + 16}">${10 ** power}</text>`);
  }
  for (let power = y0; power <= y1; power++) {
    const at = y(10 ** power);
    out.push(`<path d="M${left + PAD} ${at}H${left + WIDTH - PAD}" stroke="#dddddd"/>`);
    out.push(`<text x="${left + 14}" y="${at + 4}">${10 ** power}</text>`);
  }
  lines.forEach(({ name, color, at }, i) => {
    const path = at.map(([px, py], n) => `${n === 0 ? "M" : "L"}${x(px)} ${y(py)}`).join("");
    out.push(`<path d="${path}" stroke="${color}" stroke-width="2" fill="none"/>`);
    out.push(
      ...at.map(([px, py]) => `<circle cx="${x(px)}" cy="${y(py)}" r="3" fill="${color}"/>`),
    );
    const label = `${name}: to the power of ${exponent(at).toFixed(2)}`;
    out.push(`<text x="${left + PAD}" y="${HEIGHT - 14 + 16 * i}" fill="${color}">${label}</text>`);
  });
  return out.join("\n");
}

if (import.meta.main) {
  const { points } = JSON.parse(await Deno.readTextFile(GROWTH)) as { points: Point[] };
  await Deno.writeTextFile(PICTURE, growthPlot(points));
}
